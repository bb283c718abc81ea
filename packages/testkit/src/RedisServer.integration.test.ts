import { assert, describe, it } from "@effect/vitest"
import { createClient } from "@redis/client"
import { Effect, Exit, Fiber, Redacted } from "effect"
import { RedisServer } from "./RedisServer.ts"

const missing = await Effect.runPromise(RedisServer.missing)

/** A connection that goes with the scope. */
const connect = (url: Redacted.Redacted) =>
  Effect.acquireRelease(
    Effect.tryPromise(() =>
      createClient({ url: Redacted.value(url), socket: { reconnectStrategy: false } }).on("error", () => {}).connect()
    ),
    (client) => Effect.sync(() => client.isOpen && client.destroy())
  )

const get = (url: Redacted.Redacted) =>
  Effect.scoped(Effect.flatMap(connect(url), (client) => Effect.tryPromise(() => client.get("fact"))))

describe.skipIf(missing !== undefined)(`RedisServer${missing === undefined ? "" : ` (not here: ${missing})`}`, () => {
  it.live("serves who knows its password, and comes back at its address with nothing after a stop and after a kill", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer
      for (const end of [server.stop, server.kill]) {
        const client = yield* connect(server.url)
        yield* Effect.promise(() => client.set("fact", "1"))
        assert.strictEqual(yield* get(server.url), "1")
        yield* end
        assert.isTrue(Exit.isFailure(yield* Effect.exit(get(server.url))))
        yield* server.start
        assert.isNull(yield* get(server.url))
      }
      const stranger = new URL(Redacted.value(server.url))
      stranger.password = ""
      assert.isTrue(Exit.isFailure(yield* Effect.exit(get(Redacted.make(stranger.href)))))
    }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

  it.live("answers nothing while it is frozen, and then what it was asked meanwhile", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer
      const client = yield* connect(server.url)
      const question = yield* Effect.scoped(Effect.gen(function*() {
        yield* server.frozen
        const question = yield* Effect.forkChild(Effect.promise(() => client.ping()), { startImmediately: true })
        const answer = yield* Effect.timeoutOption(Effect.promise(() => client.ping()), "500 millis")
        assert.strictEqual(answer._tag, "None")
        return question
      }))
      assert.strictEqual(yield* Fiber.join(question), "PONG")
    }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))
})
