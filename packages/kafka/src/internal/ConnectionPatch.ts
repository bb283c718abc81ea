import type { createRequire } from "node:module"

interface RequestQueue {
  throttleCheckTimeoutId: NodeJS.Timeout | null
  readonly throttledUntil: number
  readonly pending: ReadonlyArray<unknown>
  checkPendingRequests(): void
  scheduleCheckPendingRequests(): void
}

interface Connection {
  connecting?: Promise<unknown> | undefined
  chunks: ReadonlyArray<Buffer>
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<unknown>
}

const CHECK_PENDING_REQUESTS_INTERVAL = 10
/** Every answer begins with its length, an INT32. */
const LENGTH_BYTES = 4

/** Mends kafkajs' connections. */
export const patchConnection = (require: ReturnType<typeof createRequire>): void => {
  const { prototype: queue } = require("kafkajs/src/network/requestQueue") as { readonly prototype: RequestQueue }

  // On an idle connection it re-arms a timer with a negative delay for ever: some 860 wake-ups a second, and a warning since Node 24.
  queue.scheduleCheckPendingRequests = function() {
    if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return
    // oxlint-disable-next-line eslint/no-restricted-properties -- kafkajs' own clock
    const delay = this.throttledUntil - Date.now()
    // oxlint-disable-next-line eslint/no-restricted-globals -- inside kafkajs there is no Effect
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null
      this.checkPendingRequests()
    }, delay > 0 ? delay : CHECK_PENDING_REQUESTS_INTERVAL)
  }

  const { prototype: connection } = require("kafkajs/src/network/connection") as { readonly prototype: Connection }
  const { connect } = connection

  // The half of an answer that a broken connection has left it takes for the beginning of what comes over the next one, and then throws where nobody
  // can catch it. And two callers at a time get two sockets, one of which is forgotten.
  connection.connect = function() {
    if (this.isConnected()) return connect.call(this)
    if (this.connecting === undefined) {
      this.chunks = []
      this.bytesBuffered = 0
      this.bytesNeeded = LENGTH_BYTES
      this.connecting = connect.call(this).finally(() => {
        this.connecting = undefined
      })
    }
    return this.connecting
  }
}
