import type { createRequire } from "node:module"

interface RequestQueue {
  throttleCheckTimeoutId: NodeJS.Timeout | null
  requestTimeoutIntervalId?: NodeJS.Timeout
  throttledUntil: number
  readonly enforceRequestTimeout: boolean
  readonly requestTimeout: number
  readonly pending: ReadonlyArray<unknown>
  readonly inflight: ReadonlyMap<number, SocketRequest>
  readonly maxInFlightRequests: number | null
  isConnected(): boolean
  destroy(): void
  canSendSocketRequestImmediately(): boolean
  checkPendingRequests(): void
  maybeThrottle(millis: number | null): void
  scheduleCheckPendingRequests(): void
  scheduleRequestTimeoutCheck(): void
}

interface SocketRequest {
  readonly requestTimeout: number
  /** Ours: when it was sent, by the monotonic clock. */
  sentSteadily?: number
  send(): void
  timeoutRequest(): void
}

interface Connection {
  connecting?: Promise<unknown> | undefined
  chunks: ReadonlyArray<Buffer>
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<unknown>
  authenticate(): Promise<void>
  disconnect(): Promise<unknown>
}

const CHECK_PENDING_REQUESTS_INTERVAL = 10
const CHECK_TIMEOUTS_INTERVAL = 100
/** Every answer begins with its length, an INT32. */
const LENGTH_BYTES = 4

/** Mends kafkajs' connections. */
export const patchConnection = (require: ReturnType<typeof createRequire>): void => {
  const { prototype: queue } = require("kafkajs/src/network/requestQueue") as { readonly prototype: RequestQueue }

  // On an idle connection it re-arms a timer with a negative delay for ever: some 860 wake-ups a second, and a warning since Node 24.
  queue.scheduleCheckPendingRequests = function() {
    if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return
    const delay = this.throttledUntil - performance.now()
    // oxlint-disable-next-line eslint/no-restricted-globals -- inside kafkajs there is no Effect
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null
      this.checkPendingRequests()
    }, delay > 0 ? delay : CHECK_PENDING_REQUESTS_INTERVAL)
  }

  // It reads the time of day where it measures how long something takes. Where that is set forward all requests time out at once; where it is set
  // back none does for as long, and what is throttled is not sent.
  const { prototype: request } = require("kafkajs/src/network/requestQueue/socketRequest") as {
    readonly prototype: SocketRequest
  }
  const { send } = request

  request.send = function() {
    send.call(this)
    this.sentSteadily = performance.now()
  }

  queue.scheduleRequestTimeoutCheck = function() {
    if (!this.enforceRequestTimeout) return
    this.destroy()
    // oxlint-disable-next-line eslint/no-restricted-globals -- inside kafkajs there is no Effect
    this.requestTimeoutIntervalId = setInterval(() => {
      const now = performance.now()
      for (const sent of this.inflight.values()) {
        if (now - (sent.sentSteadily ?? now) > sent.requestTimeout) sent.timeoutRequest()
      }
      if (!this.isConnected()) this.destroy()
    }, Math.min(this.requestTimeout, CHECK_TIMEOUTS_INTERVAL))
  }

  queue.maybeThrottle = function(millis) {
    if (millis !== null && millis > 0) this.throttledUntil = Math.max(performance.now() + millis, this.throttledUntil)
  }

  queue.canSendSocketRequestImmediately = function() {
    return (this.maxInFlightRequests === null || this.inflight.size < this.maxInFlightRequests) &&
      this.throttledUntil <= performance.now()
  }

  const { prototype: connection } = require("kafkajs/src/network/connection") as { readonly prototype: Connection }
  const { authenticate, connect } = connection

  // Where the broker refuses to know us, it keeps the connection, whose next attempt the broker does not understand, whatever has changed meanwhile.
  connection.authenticate = function() {
    return authenticate.call(this).catch(async (error: unknown) => {
      await this.disconnect()
      throw error
    })
  }

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
