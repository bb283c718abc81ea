import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect } from "effect"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { vi } from "vitest"
import { settingsFor, until } from "./fixtures/TestKafka.ts"
import { setTimeOfDay } from "./fixtures/TimeOfDay.ts"
import { makeClient } from "./KafkaClient.ts"

const require = createRequire(import.meta.url)

interface Connection {
  connect(): Promise<boolean>
  disconnect(): Promise<boolean>
}

type ConnectionClass = new(options: object) => Connection

interface RequestQueue {
  destroy(): void
  maybeThrottle(millis: number): void
  push(request: object): void
  scheduleCheckPendingRequests(): void
  scheduleRequestTimeoutCheck(): void
}

interface RequestQueueClass {
  new(options: object): RequestQueue
  readonly prototype: { scheduleCheckPendingRequests: () => void }
}

const silent = { debug: () => {}, error: () => {}, warn: () => {} }

/** A queue of requests that nobody answers; `sent` and `timedOut` have their numbers. */
const unanswered = Effect.acquireRelease(
  Effect.sync(() => {
    const Queue = require("kafkajs/src/network/requestQueue") as RequestQueueClass
    const queue = new Queue({
      maxInFlightRequests: null,
      requestTimeout: 20,
      enforceRequestTimeout: true,
      clientId: "test",
      broker: "test",
      logger: silent
    })
    queue.scheduleRequestTimeoutCheck()
    const sent: Array<number> = []
    const timedOut: Array<number> = []
    const push = (correlationId: number, requestTimeout: number) =>
      queue.push({
        entry: { correlationId, reject: () => timedOut.push(correlationId) },
        expectResponse: true,
        requestTimeout,
        sendRequest: () => sent.push(correlationId)
      })
    return { queue, push, sent, timedOut }
  }),
  ({ queue }) => Effect.sync(() => queue.destroy())
)

/** A module of kafkajs as it is without our patches. */
const unpatched = (path: string): unknown => {
  const id = require.resolve(path)
  const patched = require.cache[id]
  delete require.cache[id]
  const original: unknown = require(id)
  require.cache[id] = patched
  return original
}

/** How many timers kafkajs sets on a connection that has nothing to do. */
const idleTimers = Effect.fnUntraced(function*(broker: string) {
  const client = yield* makeClient(settingsFor(broker), "test")
  const admin = client.admin()
  yield* Effect.promise(() => admin.connect())
  yield* Effect.promise(() => admin.listTopics())
  const setTimers = vi.spyOn(globalThis, "setTimeout")
  yield* Effect.sleep("300 millis")
  const count = setTimers.mock.calls.filter(([callback]) => String(callback).includes("checkPendingRequests")).length
  setTimers.mockRestore()
  yield* Effect.promise(() => admin.disconnect())
  return count
}, Effect.scoped)

const newConnection = (ConnectionOf: ConnectionClass, port: number) =>
  new ConnectionOf({
    host: "127.0.0.1",
    port,
    logger: { namespace: () => ({ debug: () => {}, error: () => {} }) },
    socketFactory: (require("kafkajs/src/network/socketFactory") as () => unknown)(),
    connectionTimeout: 5_000,
    requestTimeout: 5_000
  })

const connectTwice = (connection: Connection) =>
  Effect.promise(async () => {
    await Promise.all([connection.connect(), connection.connect()])
    await connection.disconnect()
  })

layer(KafkaBroker.layer, { excludeTestServices: true, timeout: "2 minutes" })("A connection", (it) => {
  it.effect("sets no timers while it has nothing to do", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const broker = brokers[0] ?? ""
      assert.strictEqual(yield* idleTimers(broker), 0)

      const queue = require("kafkajs/src/network/requestQueue") as RequestQueueClass
      const original = unpatched("kafkajs/src/network/requestQueue") as RequestQueueClass
      const { scheduleCheckPendingRequests } = queue.prototype
      const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {})
      queue.prototype.scheduleCheckPendingRequests = original.prototype.scheduleCheckPendingRequests
      assert.isAbove(yield* idleTimers(broker), 30, "what kafkajs does by itself")
      queue.prototype.scheduleCheckPendingRequests = scheduleCheckPendingRequests
      warnings.mockRestore()
    }))

  it.effect.each([-3_600_000, 3_600_000])(
    "times its requests by itself, and not by the time of day, where that is set by %i ms",
    (millis) =>
      Effect.gen(function*() {
        const { push, queue, sent, timedOut } = yield* unanswered
        push(1, 300)
        push(2, 60_000)
        queue.maybeThrottle(100)
        push(3, 60_000)
        yield* setTimeOfDay(millis)
        yield* until(() => sent.length === 3 && timedOut.length > 0)
        assert.deepStrictEqual([sent, timedOut], [[1, 2, 3], [1]])
      })
  )

  it.effect("is made once for all who ask at the same time", () =>
    Effect.gen(function*() {
      let accepted = 0
      const server = createServer(() => {
        accepted += 1
      })
      const port = yield* Effect.acquireRelease(
        Effect.callback<number>((resume) => {
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
          })
        }),
        () => Effect.sync(() => server.close())
      )
      yield* connectTwice(newConnection(require("kafkajs/src/network/connection") as ConnectionClass, port))
      yield* until(() => accepted === 1)
      yield* connectTwice(newConnection(unpatched("kafkajs/src/network/connection") as ConnectionClass, port))
      // kafkajs by itself makes two: had the first one made two as well, they would be four.
      yield* until(() => accepted === 3)
    }))
})
