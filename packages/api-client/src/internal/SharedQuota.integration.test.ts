import { assert, describe, it } from "@effect/vitest"
import { RedisServer } from "@origin-regions/testkit/RedisServer"
import { createClient } from "@redis/client"
import { Effect, Logger, Redacted, Schedule, Scope } from "effect"
import { randomUUID } from "node:crypto"
import { makeSharedQuota, poolKey } from "./SharedQuota.ts"

const missing = await Effect.runPromise(RedisServer.missing)

const baseUrl = new URL("https://api.example.com/client/v4")

const until = (fact: () => boolean) =>
  Effect.repeat(Effect.sync(fact), { until: (holds) => holds, schedule: Schedule.spaced("5 millis") })

/** A process's quota, of a token that it shares with others; with what it has logged. */
const member = Effect.fnUntraced(function*(redis: Redacted.Redacted, token: string, calls: number | undefined) {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => {
    lines.push(String(message))
  })
  const quota = yield* makeSharedQuota({
    quota: { calls, share: 1, redis },
    credential: { _tag: "Token", token: Redacted.make(token) },
    baseUrl,
    underWay: () => 0
  }).pipe(Effect.provide(Logger.layer([logger])))
  return { quota, lines, isJoined: () => quota.status?.pool === "joined" }
})

const told = { ratelimit: "\"default\";r=1000;t=250", "ratelimit-policy": "\"default\";q=1200;w=300" }

describe.skipIf(missing !== undefined)(`SharedQuota${missing === undefined ? "" : ` (not here: ${missing})`}`, () => {
  it.live("lets a member use all that the API tells of, while the other does nothing", () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer
      const token = randomUUID()
      const [one, other] = [yield* member(url, token, 1_200), yield* member(url, token, 1_200)]
      for (const { quota } of [one, other]) quota.own(0.5)
      yield* until(() => one.isJoined() && other.isJoined())
      one.quota.observe(told)
      let made = 0
      yield* until(() => {
        while (one.quota.waitMillis === 0) {
          one.quota.called()
          made += 1
        }
        return made > 400
      })
      // Half of it would be 500, of which the last are spread out.
      yield* until(() => (other.quota.status?.left ?? 1_000) < 610)
      assert.isAtMost(made, 1_000)
    }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

  it.live("tells every member of a refusal that one was told", () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer
      const token = randomUUID()
      const [one, other] = [yield* member(url, token, 1_200), yield* member(url, token, 1_200)]
      const stranger = yield* member(url, randomUUID(), 1_200)
      for (const { quota } of [one, other, stranger]) quota.own(0.5)
      yield* until(() => [one, other, stranger].every(({ isJoined }) => isJoined()))
      one.quota.observe({ "retry-after": "120" }, 429)
      yield* until(() => other.quota.waitMillis > 100_000)
      assert.isAbove(one.quota.waitMillis, 100_000)
      assert.isBelow(stranger.quota.waitMillis, 100_000)
      // And who comes later.
      const late = yield* member(url, token, 1_200)
      late.quota.own(1)
      yield* until(() => late.quota.waitMillis > 100_000)
      assert.isAtMost(late.quota.waitMillis, 120_000)
    }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

  it.live("goes by its own share while Redis is down or answers nothing, says so, and joins again", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer
      const { isJoined, lines, quota } = yield* member(server.url, randomUUID(), 120_000_000)
      quota.own(1)
      yield* until(isJoined)
      yield* server.kill
      yield* until(() => !isJoined() && quota.waitMillis === 0)
      yield* server.start
      yield* until(() => isJoined() && quota.waitMillis === 0)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* server.frozen
        yield* until(() => !isJoined() && quota.waitMillis === 0)
      }))
      yield* until(() => isJoined() && quota.waitMillis === 0)
      const joined = "The quota is pooled in Redis, with all who use the token"
      assert.lengthOf(lines, 5)
      assert.deepStrictEqual([lines[0], lines[2], lines[4]], [joined, joined, joined])
      for (const lost of [lines[1], lines[3]]) {
        assert.match(lost ?? "", /^The quota's pool in Redis is out of reach \(.+\): this member keeps to its share by/)
      }
      assert.notInclude(lines.join("\n"), new URL(Redacted.value(server.url)).password)
    }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

  it.live("is there without Redis, and gives back what it has leased when it ends", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer
      yield* server.stop
      const token = randomUUID()
      const { isJoined, quota } = yield* member(server.url, token, 1_200)
      quota.own(0.5)
      yield* until(() => quota.waitMillis === 0)
      assert.isFalse(isJoined())
      yield* server.start
      const scope = yield* Scope.make()
      const leaving = yield* Scope.provide(member(server.url, token, 1_200), scope)
      leaving.quota.own(0.5)
      yield* until(() => isJoined() && leaving.isJoined())
      leaving.quota.observe(told)
      yield* until(() => (quota.status?.left ?? 0) > 900)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      // Its half of what the API has told goes with it.
      yield* until(() => (quota.status?.left ?? 1_000) <= 501)
    }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

  it.live("needs no more of Redis than the documentation says", () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer
      const admin = yield* Effect.acquireRelease(
        Effect.promise(() => createClient({ url: Redacted.value(url) }).connect()),
        (client) => Effect.sync(() => client.destroy())
      )
      const commands = "INFO TIME SCRIPT|LOAD EVALSHA SUBSCRIBE GET SET PUBLISH".toLowerCase().split(" ")
      yield* Effect.promise(() =>
        admin.aclSetUser("quota", [
          "on",
          ">s3cret",
          "~origin-regions:quota:*",
          "&origin-regions:quota:*",
          "-@all",
          ...commands.map((command) => `+${command}`)
        ])
      )
      const restricted = new URL(Redacted.value(url))
      restricted.username = "quota"
      restricted.password = "s3cret"
      const { isJoined, quota } = yield* member(Redacted.make(restricted.href), randomUUID(), 1_200)
      quota.own(1)
      quota.observe({ "retry-after": "120" }, 429)
      yield* until(() => isJoined() && quota.status?.refused === true)
    }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

  it("names a pool by the API and the token, and tells nobody the token", () => {
    const token = { _tag: "Token", token: Redacted.make("test") } as const
    assert.strictEqual(
      poolKey(token, baseUrl),
      "origin-regions:quota:api.example.com:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )
    const key = { _tag: "Key", email: "a@example.com", key: Redacted.make("test") } as const
    assert.notStrictEqual(poolKey(key, baseUrl), poolKey(token, baseUrl))
  })
})
