import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Clock, Context, Effect, Layer } from "effect"
import { type ApiCall, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { answersOf, changesOf } from "./fixtures/ApiRecords.ts"
import { eventOf, recordOf } from "./fixtures/RequestRecords.ts"
import { whileRunning } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { codesOf, creates, turnsOf, upsertOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

/** An API with the limit of Cloudflare's. */
const limitedApi = Effect.map(
  Layer.build(Layer.fresh(Api.layerWith({ environment: { API_RATE_LIMIT: "1200" } }))),
  (context) => Context.get(context, Api)
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

/** What comes and goes: before everything else in the API's lists. */
const moving = Array.from({ length: 100 }, (_, number) => `0.0.0.${number}`)

const inHundreds = (addresses: ReadonlyArray<string>) =>
  Array.from(
    { length: Math.ceil(addresses.length / 100) },
    (_, index) => addresses.slice(index * 100, index * 100 + 100)
  )

/** What others do in a zone, beside the consumer. */
const write = async (
  { baseUrl, token }: Api["Service"],
  zoneId: string,
  method: "PUT" | "DELETE",
  addresses: ReadonlyArray<string>
) => {
  const place = { vendor: "gcp", region: "us-central1" }
  const response = await fetch(`${baseUrl}/zones/${zoneId}/origin/cloud_regions/batch`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(method === "PUT" ? addresses.map((origin_ip) => ({ origin_ip, ...place })) : addresses)
  })
  assert.strictEqual(response.status, 200)
  await response.arrayBuffer()
}

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
        const calls = (yield* answersOf(api)).reduce((sum, { count }) => sum + count, 0)
        assert.isAbove(calls, 0)
        assert.isBelow(calls, (2 * ADDRESSES) / 10)
        assert.lengthOf(yield* changesOf(api, zoneId), 1 + ADDRESSES + ADDRESSES - ODD)
      })
  )

  it.effect("creates many in a few calls, and overwrites nothing, while others create and delete in the zone all the time", () =>
    Effect.gen(function*() {
      const api = yield* limitedApi
      const topics = yield* makeTestTopics(3)
      const zoneId = yield* uniqueZoneId
      const { brokers } = yield* KafkaBroker
      const proxy = yield* makeApiProxy(api.baseUrl)
      const made: Array<string> = []
      let turn = 0
      // Between two reads of a look others delete what comes first, or put it back, so that everything behind it moves by a page.
      proxy.decide = (call: ApiCall) => {
        made.push(`${call.method} ${call.path.slice(call.path.indexOf("cloud_regions") + "cloud_regions".length)}`)
        if (!call.path.includes("?page=")) return call.pass()
        turn += 1
        void write(api, zoneId, turn % 2 === 0 ? "PUT" : "DELETE", moving).then(() => call.pass())
      }
      const there = Array.from({ length: 300 }, (_, number) => `10.0.${number % 2}.${number >> 1}`)
      for (const group of [moving, ...inHundreds(there)]) {
        yield* Effect.promise(() => write(api, zoneId, "PUT", group))
      }
      yield* topics.emit([upsertOf(zoneId, "10.9.0.1", 1)])
      const consumer = yield* ConsumerProcess.start(
        settingsFor(brokers, topics.names, api, { API_GENERATION: "auto", CLOUDFLARE_BASE_URL: proxy.baseUrl })
      )
      yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length === 1))
      const before = made.length
      yield* topics.emit(creates(zoneId, 500))
      const all = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length === 501))
      assert.deepStrictEqual(codesOf(all), { upserted: 1, created: 500 - there.length, 1145: there.length })
      assert.isBelow(made.length - before, 500)
      assert.isAbove(turn, 5)
      const kept = (yield* changesOf(api, zoneId)).filter(({ origin_ip }) => there.includes(origin_ip))
      // As they were made at first, and never since.
      assert.lengthOf(kept, there.length)
      for (const { event } of all) {
        const { data } = event
        if (event.outcomecode !== "1145") continue
        const error = "error" in data && "existing" in data.error ? data.error : undefined
        assert.deepInclude(error?.existing, { vendor: "gcp", region: "us-central1" })
        assert.isFalse(error?.matches)
        assert.include(there.map((ip) => `${zoneId}/${ip}`), event.subject)
      }
    }))

  it.effect("resolves creates whose answer is lost by one look at all of them, and none by itself", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics()
      const zoneId = yield* uniqueZoneId
      const { brokers } = yield* KafkaBroker
      const proxy = yield* makeApiProxy(api.baseUrl)
      let lost = 0
      let reads = 0
      proxy.decide = (call: ApiCall) => {
        if (call.method === "GET" && call.path.includes("cloud_regions/")) reads += 1
        if (call.mappings > 1 && lost === 0) {
          lost = call.mappings
          call.passAndCut()
        } else call.pass()
      }
      yield* topics.emit(creates(zoneId, 100))
      const consumer = yield* ConsumerProcess.start(
        settingsFor(brokers, topics.names, api, {
          API_GENERATION: "2",
          CLOUDFLARE_BASE_URL: proxy.baseUrl,
          CONCURRENCY: "1"
        })
      )
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 100))
      assert.deepStrictEqual(codesOf(outcomes), { created: 100 })
      const recovered = outcomes.filter(({ event }) => "recovered" in event.data && event.data.recovered)
      assert.isAbove(lost, 1)
      assert.lengthOf(recovered, lost)
      // What came first may have gone alone.
      assert.isAtMost(reads, 100 - lost)
      assert.lengthOf(yield* changesOf(api, zoneId), 100)
    }))

  it.effect("tells a create whose answer is lost from the upsert that has gone before it in a batch", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics()
      const zoneId = yield* uniqueZoneId
      const { brokers } = yield* KafkaBroker
      const proxy = yield* makeApiProxy(api.baseUrl)
      const clock = yield* Clock.Clock
      let creates = 0
      proxy.decide = (call: ApiCall) => {
        // As late as a server may be in renewing it.
        const date = new Date(clock.currentTimeMillisUnsafe() - 900).toUTCString()
        if (call.method === "POST" && ++creates === 1) call.cut()
        else call.pass({ date })
      }
      const [upsert, other] = upserts(zoneId, 2)
      const ip = "10.0.0.0"
      const create = recordOf(
        "bare",
        eventOf("create", "create", { zone_id: zoneId, ip, vendor: "aws", region: "us-east-1" }),
        `${zoneId}/${ip}`
      )
      if (upsert === undefined || other === undefined) return assert.fail("there are two")
      yield* topics.emit([upsert, other, create])
      const consumer = yield* ConsumerProcess.start(
        settingsFor(brokers, topics.names, api, {
          API_GENERATION: "1",
          CLOUDFLARE_BASE_URL: proxy.baseUrl,
          CONCURRENCY: "1"
        })
      )
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 3))
      assert.deepStrictEqual(codesOf(outcomes), { upserted: 2, 1145: 1 })
      assert.strictEqual(creates, 2)
      const changes = yield* changesOf(api, zoneId)
      assert.lengthOf(changes, 2)
    }))

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
