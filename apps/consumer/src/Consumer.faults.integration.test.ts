import { assert, layer } from "@effect/vitest"
import { Api, type ApiOptions } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { type ApiCall, failureEnvelope, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { text } from "./fixtures/RequestRecords.ts"
import { linesOf, statusOf, until, whileRunning } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor, type TopicNames } from "./fixtures/TestTopics.ts"
import { codesOf, upsertOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

/** The settings of a consumer of these topics, with the real API unless they say otherwise, and generation 1: what the proxies here look for. */
const settings = Effect.fnUntraced(function*(names: TopicNames, more: Readonly<Record<string, string>> = {}) {
  const { brokers } = yield* KafkaBroker
  return settingsFor(brokers, names, yield* Api, { API_GENERATION: "1", ...more })
})

const apiWith = (options: ApiOptions) =>
  Effect.map(Layer.build(Layer.fresh(Api.layerWith(options))), (context) => Context.get(context, Api))

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("When the API fails, the consumer", (it) => {
  it.effect("keeps requests while the API is down, says so, and applies them when it is back", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics()
      const zoneId = yield* uniqueZoneId
      const consumer = yield* ConsumerProcess.start(yield* settings(topics.names))
      yield* api.stop
      yield* topics.emit(upserts(zoneId, 300))
      // More than can be under way at once.
      yield* until(statusOf(consumer), ({ waiting }) => waiting > 64)
      yield* api.start
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 300))
      assert.deepStrictEqual(codesOf(outcomes), { upserted: 300 })
      assert.lengthOf(yield* changesOf(api, zoneId), 300)
      yield* consumer.terminate
      const waits = (yield* linesOf(consumer)).filter((line) => line.includes("waits"))
      assert.isBelow(waits.length, 20)
      assert.match(waits[0] ?? "", /waits \d+ms: the API cannot be reached: /)
    }))

  it.effect("tries again where the API, or what stands before it, fails", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics()
      const zones = yield* Effect.all([uniqueZoneId, uniqueZoneId, uniqueZoneId])
      const proxy = yield* makeApiProxy(api.baseUrl)
      const faults: Array<(call: ApiCall) => void> = [
        (call) => call.answer(503),
        (call) => call.cut(),
        (call) => call.answer(500, failureEnvelope(1140, "Internal error.")),
        (call) => call.answer(429, failureEnvelope(971, "Please wait."), { "retry-after": "0" }),
        (call) => call.answer(200, "<html>"),
        (call) => call.pass()
      ]
      const tried = new Map<string, number>()
      proxy.decide = (call) => {
        if (call.method !== "PATCH") return call.pass()
        const times = tried.get(call.path) ?? 0
        tried.set(call.path, times + 1)
        faults[times]?.(call)
      }
      const consumer = yield* ConsumerProcess.start(
        yield* settings(topics.names, { CLOUDFLARE_BASE_URL: proxy.baseUrl })
      )
      yield* topics.emit(zones.flatMap((zoneId) => upserts(zoneId, 1)))
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= zones.length))
      assert.deepStrictEqual(codesOf(outcomes), { upserted: zones.length })
      assert.deepStrictEqual([...tried.values()], zones.map(() => faults.length))
      // All but the refusal for want of quota may have changed something.
      assert.deepStrictEqual([...new Set(outcomes.map(({ event }) => event.data.attempts))], [5])
      for (const zoneId of zones) assert.lengthOf(yield* changesOf(api, zoneId), 1)
    }))

  it.effect("keeps to its quota, together with other members, and earns no refusal", () =>
    Effect.gen(function*() {
      const api = yield* apiWith({
        environment: { API_RATE_LIMIT: "100", API_RATE_LIMIT_WINDOW: "3 seconds", API_RATE_LIMIT_BLOCK: "5 minutes" }
      })
      const topics = yield* makeTestTopics(6)
      const zoneId = yield* uniqueZoneId
      const { brokers } = yield* KafkaBroker
      const environment = settingsFor(brokers, topics.names, api, {
        API_GENERATION: "1",
        API_QUOTA_SHARE: "80",
        // Three calls would do for all.
        API_BATCH_SIZE: "1"
      })
      const members = yield* Effect.all([ConsumerProcess.start(environment), ConsumerProcess.start(environment)], {
        concurrency: 2
      })
      yield* topics.emit(upserts(zoneId, 250))
      for (const member of members) {
        yield* until(
          statusOf(member),
          ({ explanation }) => explanation.some((line) => line.includes("quota of 100 calls in 3s"))
        )
      }
      const outcomes = yield* topics.outcomes.until((all) => all.length >= 250)
      assert.deepStrictEqual(codesOf(outcomes), { upserted: 250 })
      const metrics = yield* Effect.promise(() =>
        fetch(new URL("/metrics", api.baseUrl)).then((response) => response.text())
      )
      assert.include(metrics, "code=\"ok\"")
      assert.notInclude(metrics, "code=\"971\"")
      for (const member of members) assert.lengthOf((yield* statusOf(member)).explanation, 0)
    }))

  it.effect("leaves a zone alone that fails, says so, and goes on with the others", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics()
      const [bad, good] = yield* Effect.all([uniqueZoneId, uniqueZoneId])
      const proxy = yield* makeApiProxy(api.baseUrl)
      let isDown = true
      let triesOfBad = 0
      proxy.decide = (call) => {
        if (!call.path.includes(bad)) return call.pass()
        triesOfBad += 1
        if (isDown) call.answer(503)
        else call.pass()
      }
      const consumer = yield* ConsumerProcess.start(
        yield* settings(topics.names, { CLOUDFLARE_BASE_URL: proxy.baseUrl, CONCURRENCY: "10" })
      )
      yield* topics.emit([...upserts(bad, 500), ...upserts(good, 500)])
      const done = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 500))
      assert.deepStrictEqual(codesOf(done), { upserted: 500 })
      assert.isTrue(done.every(({ event }) => event.subject?.startsWith(good)))
      const status = yield* until(statusOf(consumer), ({ waiting }) => waiting === 500)
      assert.match(
        status.explanation[0] ?? "",
        new RegExp(`^zone ${bad}: paused since .+; 500 requests waiting, next try`)
      )
      // What was under way, and a few probes.
      assert.isBelow(triesOfBad, 30)
      isDown = false
      const all = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 1000))
      assert.deepStrictEqual(codesOf(all), { upserted: 1000 })
      assert.deepInclude(yield* statusOf(consumer), { waiting: 0, explanation: [] })
    }))

  it.effect("gives up at the deadline, and keeps the request in the dead letters", () =>
    Effect.gen(function*() {
      const topics = yield* makeTestTopics()
      const zoneId = yield* uniqueZoneId
      const proxy = yield* makeApiProxy()
      // What may have been applied is looked up before it is given up.
      proxy.decide = (call) =>
        call.method === "GET"
          ? call.answer(404, failureEnvelope(1142, "No such mapping."))
          : call.answer(502, failureEnvelope(1140, "Internal error."))
      const consumer = yield* ConsumerProcess.start(
        yield* settings(topics.names, { CLOUDFLARE_BASE_URL: proxy.baseUrl, REQUEST_DEADLINE: "500 millis" })
      )
      const request = upsertOf(zoneId, "192.0.2.1", 0)
      yield* topics.emit([request])
      const [outcome] = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 1))
      const [letter] = yield* topics.deadLetters.until((all) => all.length >= 1)
      const attempts = outcome?.event.data.attempts ?? 0
      assert.isAtLeast(attempts, 2)
      assert.strictEqual(outcome?.event.type, "dev.origin-regions.mapping.failed.v1")
      assert.deepInclude<object | undefined>(outcome?.event.data, {
        error: {
          name: "gave_up",
          message: "Given up after 500ms: Internal error. (code 1140)",
          attempts,
          last_status: 502,
          last_code: 1140
        }
      })
      assert.deepStrictEqual([letter?.key, letter?.value], [request.key, request.value])
      assert.strictEqual(text(letter?.headers[1]?.value), "gave_up")
    }))

  it.effect("passes on what the API refuses for good, in its own words", () =>
    Effect.gen(function*() {
      const topics = yield* makeTestTopics()
      const zoneId = yield* uniqueZoneId
      const proxy = yield* makeApiProxy()
      const refusals: Readonly<Record<string, readonly [number, number, string]>> = {
        "192.0.2.1": [400, 7003, "Could not route to the requested path"],
        "192.0.2.2": [400, 1999, "A rule of tomorrow"],
        "192.0.2.3": [403, 1135, "This setting is not available for your plan type."]
      }
      proxy.decide = (call) => {
        const [status, code, message] = refusals[call.originIp] ?? [500, 0, ""]
        call.answer(status, failureEnvelope(code, message))
      }
      const consumer = yield* ConsumerProcess.start(
        yield* settings(topics.names, { CLOUDFLARE_BASE_URL: proxy.baseUrl })
      )
      yield* topics.emit(Object.keys(refusals).map((ip) => upsertOf(zoneId, ip, 0)))
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 3))
      assert.sameDeepMembers(
        outcomes.map(({ event }) => [event.subject, event.outcomecode, "error" in event.data ? event.data.error : {}]),
        [
          [`${zoneId}/192.0.2.1`, "7003", {
            code: 7003,
            name: "unknown_zone",
            message: "Could not route to the requested path"
          }],
          [`${zoneId}/192.0.2.2`, "1999", { code: 1999, name: "rejected_by_api", message: "A rule of tomorrow" }],
          [
            `${zoneId}/192.0.2.3`,
            "1135",
            { code: 1135, name: "rejected_by_api", message: "This setting is not available for your plan type." }
          ]
        ]
      )
    }))

  it.effect("keeps everything while its credential is bad, and goes on when it works", () =>
    Effect.gen(function*() {
      const topics = yield* makeTestTopics()
      const zoneId = yield* uniqueZoneId
      const token = "the-new-token-of-forty-characters-012345"
      const scope = yield* Scope.make()
      const { baseUrl } = yield* apiWith({ token: "the-old-token" }).pipe(Scope.provide(scope))
      const consumer = yield* ConsumerProcess.start(
        yield* settings(topics.names, { CLOUDFLARE_BASE_URL: baseUrl, CLOUDFLARE_API_TOKEN: token })
      )
      yield* topics.emit(upserts(zoneId, 20))
      const { explanation } = yield* until(statusOf(consumer), ({ waiting }) => waiting === 20)
      assert.match(
        explanation[0] ?? "",
        /^the API is not called: 20 requests wait since .+Authentication error \(code 10000\); next try .+ once the credential works$/
      )
      yield* Scope.close(scope, Exit.void)
      const api = yield* apiWith({ token, port: Number(new URL(baseUrl).port) })
      assert.strictEqual(api.baseUrl, baseUrl)
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 20))
      assert.deepStrictEqual(codesOf(outcomes), { upserted: 20 })
      assert.lengthOf(yield* changesOf(api, zoneId), 20)
      yield* consumer.terminate
      const lines = yield* linesOf(consumer)
      assert.isTrue(lines.some((line) => line.includes("Authentication error (code 10000)")))
      assert.isFalse(lines.some((line) => line.includes(token)))
    }))
})
