import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer } from "effect"
import { type ApiCall, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { eventOf, recordOf } from "./fixtures/RequestRecords.ts"
import { whileRunning } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { codesOf, turnsOf, upsertOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

/** An API with the limit of Cloudflare's. */
const limitedApi = Effect.map(
  Layer.build(Layer.fresh(Api.layerWith({ environment: { API_RATE_LIMIT: "1200" } }))),
  (context) => Context.get(context, Api)
)

/** How many requests for mappings an API has answered, by operation and code. */
const answersOf = (api: Api["Service"]) =>
  Effect.map(
    Effect.promise(() => fetch(new URL("/metrics", api.baseUrl)).then((response) => response.text())),
    (metrics) =>
      Object.fromEntries(
        [...metrics.matchAll(/requests_total\{([^}]*)\} (\d+)/g)].map(([, labels = "", count]) => [
          /operation="([^"]*)"/.exec(labels)?.[1] + " " + /code="([^"]*)"/.exec(labels)?.[1],
          Number(count)
        ])
      )
  )

const ADDRESSES = 600
const ODD = 6

const deletes = (zoneId: string) =>
  upserts(zoneId, ADDRESSES).map((_, number) => {
    const ip = number < ODD ? `10.1.0.${number}` : `10.0.${number >> 8}.${number & 255}`
    return recordOf("bare", eventOf("delete", `delete ${ip}`, { zone_id: zoneId, ip }), `${zoneId}/${ip}`)
  })

const ofNoRegion = (zoneId: string) =>
  Array.from({ length: ODD }, (_, number) => {
    const ip = `10.2.0.${number}`
    const data = { zone_id: zoneId, ip, vendor: "aws", region: "moon-east-1" }
    return recordOf("bare", eventOf("upsert", `upsert ${ip}`, data), `${zoneId}/${ip}`)
  })

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("The consumer", (it) => {
  it.effect.each(["1", "2"])(
    "asks for many things in one call where calls are counted, and tells what became of each (generation %s)",
    (generation) =>
      Effect.gen(function*() {
        const api = yield* limitedApi
        const topics = yield* makeTestTopics(3)
        const zoneId = yield* uniqueZoneId
        const { brokers } = yield* KafkaBroker
        // The first answer tells that calls are counted.
        yield* topics.emit(upserts(zoneId, 1, 1))
        const consumer = yield* ConsumerProcess.start(
          settingsFor(brokers, topics.names, api, { API_GENERATION: generation })
        )
        yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length === 1))
        yield* topics.emit([...upserts(zoneId, ADDRESSES), ...ofNoRegion(zoneId)])
        const sent = 1 + ADDRESSES + ODD
        const upserted = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length === sent))
        assert.deepStrictEqual(codesOf(upserted), { upserted: 1 + ADDRESSES, 1157: ODD })
        for (const { event } of upserted) {
          if (event.outcomecode === "1157") assert.deepInclude(event.data, { attempts: 1 })
        }
        yield* topics.emit(deletes(zoneId))
        const all = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length === sent + ADDRESSES))
        assert.deepStrictEqual(codesOf(all), {
          upserted: 1 + ADDRESSES,
          1157: ODD,
          deleted: ADDRESSES - ODD,
          unchanged: ODD
        })
        const calls = Object.entries(yield* answersOf(api)).reduce((sum, [, count]) => sum + count, 0)
        assert.isBelow(calls, (2 * ADDRESSES) / 10)
        assert.lengthOf(yield* changesOf(api, zoneId), 1 + ADDRESSES + ADDRESSES - ODD)
      })
  )

  it.effect("keeps the order of each address where answers to batches are lost", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics(3)
      const zoneId = yield* uniqueZoneId
      const { brokers } = yield* KafkaBroker
      const proxy = yield* makeApiProxy(api.baseUrl)
      let batches = 0
      proxy.decide = (call: ApiCall) => {
        if (!call.path.endsWith("/batch")) return call.pass()
        batches += 1
        if (batches % 3 === 0) call.passAndCut()
        else call.pass()
      }
      const turns = [0, 1, 2, 3]
      const addresses = Array.from({ length: 100 }, (_, number) => `10.0.0.${number}`)
      yield* topics.emit(turns.flatMap((turn) => addresses.map((ip) => upsertOf(zoneId, ip, turn))))
      const consumer = yield* ConsumerProcess.start(
        settingsFor(brokers, topics.names, api, {
          API_GENERATION: "1",
          CLOUDFLARE_BASE_URL: proxy.baseUrl,
          CONCURRENCY: "2"
        })
      )
      const outcomes = yield* whileRunning(consumer)(
        topics.outcomes.until((all) => all.length >= turns.length * addresses.length)
      )
      assert.deepStrictEqual(codesOf(outcomes), { upserted: turns.length * addresses.length })
      assert.isAbove(batches, 6)
      const changes = yield* changesOf(api, zoneId)
      assert.isAbove(changes.length, turns.length * addresses.length)
      for (const [ip, made] of turnsOf(changes)) {
        // A turn can be there again, as its answer was lost, but not after a later one.
        assert.deepStrictEqual(made.filter((turn, index) => turn !== made[index - 1]), turns, ip)
      }
    }))
})
