import { assert, layer } from "@effect/vitest"
import { Api, type ApiOptions } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { RedisServer } from "@origin-regions/testkit/RedisServer"
import { Context, Effect, Layer, Redacted } from "effect"
import { failureEnvelope, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { linesOf, statusOf, until } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { codesOf, turnsOf, upsertOf, upserts } from "./fixtures/Upserts.ts"

const missingRedis = await Effect.runPromise(RedisServer.missing)

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Leash.layer))
)

const apiWith = (options: ApiOptions) =>
  Effect.map(Layer.build(Layer.fresh(Api.layerWith(options))), (context) => Context.get(context, Api))

const redisServer = Effect.map(
  Layer.build(Layer.fresh(RedisServer.layer)),
  (context) => Context.get(context, RedisServer)
)

/** How many calls the API has refused for their number, by its own count. */
const refusedBy = ({ baseUrl }: Api["Service"]) =>
  Effect.promise(async () => {
    const metrics = await fetch(new URL("/metrics", baseUrl)).then((response) => response.text())
    assert.include(metrics, "code=\"ok\"")
    const counts = metrics.split("\n").filter((line) => line.includes("code=\"971\""))
    return counts.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0)
  })

const twoMembers = (environment: Readonly<Record<string, string>>) =>
  Effect.all([ConsumerProcess.start(environment), ConsumerProcess.start(environment)], { concurrency: 2 })

/** Three requests for each of so many addresses, one after another. */
const threeTurns = (zoneId: string, addresses: number) =>
  [0, 1, 2].flatMap((turn) =>
    Array.from({ length: addresses }, (_, number) => upsertOf(zoneId, `10.0.0.${number}`, turn))
  )

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("Two members of a group", (it) => {
  it.effect("make one refused call each while the API refuses all, and lose neither order nor outcomes", () =>
    Effect.gen(function*() {
      const api = yield* apiWith({
        environment: { API_RATE_LIMIT: "60", API_RATE_LIMIT_WINDOW: "3 seconds", API_RATE_LIMIT_BLOCK: "15 seconds" }
      })
      const topics = yield* makeTestTopics(6)
      const zoneId = yield* uniqueZoneId
      const { brokers } = yield* KafkaBroker
      // With more calls at a time those are refused that are under way.
      const members = yield* twoMembers(
        settingsFor(brokers, topics.names, api, { API_GENERATION: "1", CONCURRENCY: "1" })
      )
      // Somebody else uses the token, with no regard for its quota.
      const call = Effect.promise(() =>
        fetch(`${api.baseUrl}/zones/${zoneId}/cache/origin_cloud_regions`, {
          headers: { authorization: `Bearer ${api.token}` }
        })
      )
      yield* Effect.repeat(call, { until: ({ status }) => status === 429 })
      yield* topics.emit(threeTurns(zoneId, 12))
      for (const member of members) {
        yield* until(statusOf(member), ({ explanation }) => explanation.some((line) => line.includes("is not called")))
      }
      const outcomes = yield* topics.outcomes.until((all) => all.length >= 36)
      assert.deepStrictEqual(codesOf(outcomes), { upserted: 36 })
      assert.strictEqual(yield* refusedBy(api), 1 + members.length)
      const turns = turnsOf(yield* changesOf(api, zoneId))
      assert.strictEqual(turns.size, 12)
      for (const ofAddress of turns.values()) assert.deepStrictEqual(ofAddress, [0, 1, 2])
      for (const member of members) {
        yield* member.terminate
        const lines = yield* linesOf(member)
        assert.lengthOf(lines.filter((line) => line.includes("All requests wait")), 1)
      }
    }))

  it.effect.skipIf(missingRedis !== undefined)(
    `pool their quota in Redis, also while it comes and goes, and earn no refusal${
      missingRedis === undefined ? "" : ` (not here: ${missingRedis})`
    }`,
    () =>
      Effect.gen(function*() {
        const api = yield* apiWith({
          environment: { API_RATE_LIMIT: "100", API_RATE_LIMIT_WINDOW: "3 seconds", API_RATE_LIMIT_BLOCK: "5 minutes" }
        })
        const redis = yield* redisServer
        const topics = yield* makeTestTopics(6)
        const zoneId = yield* uniqueZoneId
        const { brokers } = yield* KafkaBroker
        const members = yield* twoMembers(settingsFor(brokers, topics.names, api, {
          API_GENERATION: "1",
          API_QUOTA_SHARE: "80",
          // Three calls would do for all.
          API_BATCH_SIZE: "1",
          REDIS_URL: Redacted.value(redis.url)
        }))
        yield* topics.emit(upserts(zoneId, 200))
        for (const member of members) {
          yield* until(
            statusOf(member),
            ({ explanation }) => explanation.some((line) => line.includes("are left for all who pool it"))
          )
        }
        yield* topics.outcomes.until((all) => all.length >= 200)
        yield* redis.kill
        yield* topics.emit(upserts(zoneId, 200, 1))
        for (const member of members) {
          yield* until(
            statusOf(member),
            ({ explanation }) => explanation.some((line) => line.includes("keeps to its share by partitions"))
          )
        }
        yield* topics.outcomes.until((all) => all.length >= 400)
        yield* redis.start
        yield* topics.emit(upserts(zoneId, 200, 2))
        const outcomes = yield* topics.outcomes.until((all) => all.length >= 600)
        assert.deepStrictEqual(codesOf(outcomes), { upserted: 600 })
        assert.strictEqual(yield* refusedBy(api), 0)
        const password = new URL(Redacted.value(redis.url)).password
        for (const member of members) {
          yield* until(statusOf(member), ({ explanation }) => explanation.length === 0)
          yield* member.terminate
          const lines = (yield* linesOf(member)).join("\n")
          assert.include(lines, "The quota is pooled in Redis")
          assert.include(lines, "is out of reach")
          assert.notInclude(lines, password)
        }
      })
  )

  it.effect.skipIf(missingRedis !== undefined)(
    `with a pool in Redis both stop when one is refused${
      missingRedis === undefined ? "" : ` (not here: ${missingRedis})`
    }`,
    () =>
      Effect.gen(function*() {
        const api = yield* apiWith({})
        const redis = yield* redisServer
        const proxy = yield* makeApiProxy(api.baseUrl)
        const topics = yield* makeTestTopics(6)
        const zoneId = yield* uniqueZoneId
        const { brokers } = yield* KafkaBroker
        const members = yield* twoMembers(settingsFor(brokers, topics.names, api, {
          API_GENERATION: "1",
          API_QUOTA: "1000000",
          API_BATCH_SIZE: "1",
          CLOUDFLARE_BASE_URL: proxy.baseUrl,
          REDIS_URL: Redacted.value(redis.url)
        }))
        for (const member of members) {
          yield* until(statusOf(member), ({ quota }) => quota?.pool === "joined")
        }
        let calls = 0
        proxy.decide = (call) => {
          calls += 1
          if (calls === 1) call.answer(429, failureEnvelope(971, "Please wait."), { "retry-after": "8" })
          else call.pass()
        }
        yield* topics.emit(upserts(zoneId, 1))
        for (const member of members) yield* until(statusOf(member), ({ quota }) => quota?.refused === true)
        yield* topics.emit(upserts(zoneId, 60, 1))
        for (const member of members) {
          yield* until(statusOf(member), ({ queued, waiting }) => queued + waiting > 5)
          assert.strictEqual(calls, 1)
        }
        const outcomes = yield* topics.outcomes.until((all) => all.length >= 61)
        assert.deepStrictEqual(codesOf(outcomes), { upserted: 61 })
        assert.strictEqual(calls, 62)
      })
  )
})
