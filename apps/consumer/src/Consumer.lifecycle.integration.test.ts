import { assert, layer } from "@effect/vitest"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Fiber, Layer, Queue } from "effect"
import { type ApiCall, holdBeyond, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { linesOf, statusOf, until, whileRunning } from "./fixtures/RunningConsumer.ts"
import {
  allCommitted,
  createTopics,
  layerKafka,
  makeTestTopics,
  type OutcomeArrival,
  settingsFor,
  type TopicNames,
  uniqueTopicNames
} from "./fixtures/TestTopics.ts"
import { codesOf, creates, DISTINCT_TURNS, turnsOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

/** The settings of a consumer of these topics, with the real API unless they say otherwise, and generation 1: what the proxies here look for. */
const settings = Effect.fnUntraced(function*(names: TopicNames, more: Readonly<Record<string, string>> = {}) {
  const { brokers } = yield* KafkaBroker
  return settingsFor(brokers, names, yield* Api, { API_GENERATION: "1", ...more })
})

/** A broker that a test may kill. */
const PrivateSurroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(KafkaBroker.layerPrivate())
)

/** How many requests have an outcome. */
const answered = (all: ReadonlyArray<OutcomeArrival>) => new Set(all.map(({ request }) => request)).size

/** An API that holds every write until the test lets it go. */
const makeHoldingProxy = Effect.fnUntraced(function*(target?: string) {
  const proxy = yield* makeApiProxy(target)
  const held = yield* Queue.unbounded<ApiCall>()
  proxy.decide = (call) => {
    if (call.method === "PATCH") Queue.offerUnsafe(held, call)
    else call.answer(404)
  }
  return {
    proxy,
    size: Queue.size(held),
    take: (count: number) => Effect.forEach(Array.from({ length: count }), () => Queue.take(held))
  }
})

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("The consumer", (it) => {
  it.effect("has 64 calls under way at once, one for each address, whatever the number of partitions", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics(1)
      const zoneId = yield* uniqueZoneId
      const { proxy, size, take } = yield* makeHoldingProxy(api.baseUrl)
      const consumer = yield* ConsumerProcess.start(
        yield* settings(topics.names, { CLOUDFLARE_BASE_URL: proxy.baseUrl, API_QUOTA: "none", API_BATCH_SIZE: "1" })
      )
      yield* topics.emit([...upserts(zoneId, 100, 0), ...upserts(zoneId, 100, 1)])
      const first = yield* whileRunning(consumer)(take(64))
      assert.strictEqual(new Set(first.map(({ originIp }) => originIp)).size, 64)
      assert.deepInclude(yield* statusOf(consumer), { in_flight: 64, queued: 136 })
      assert.strictEqual(yield* size, 0)
      // One answer makes room for one more.
      first[0]?.pass()
      const [next] = yield* whileRunning(consumer)(take(1))
      assert.notInclude(first.map(({ originIp }) => originIp), next?.originIp)
      assert.strictEqual((yield* statusOf(consumer)).in_flight, 64)
      proxy.decide = (call) => call.pass()
      for (const call of [...first.slice(1), next]) call?.pass()
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 200))
      assert.deepStrictEqual(codesOf(outcomes), { upserted: 200 })
      const turns = turnsOf(yield* changesOf(api, zoneId))
      assert.deepStrictEqual([...turns.values()], Array.from({ length: 100 }, () => [0, 1]))
    }))

  it.effect("settles what is in flight when it is told to end, and leaves the rest to the next", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics()
      const zoneId = yield* uniqueZoneId
      const { proxy, size, take } = yield* makeHoldingProxy(api.baseUrl)
      const environment = yield* settings(topics.names, {
        CLOUDFLARE_BASE_URL: proxy.baseUrl,
        CONCURRENCY: "10",
        API_QUOTA: "none",
        API_BATCH_SIZE: "1"
      })
      const first = yield* ConsumerProcess.start(environment)
      yield* topics.emit(upserts(zoneId, 30))
      const calls = yield* whileRunning(first)(take(10))
      const origin = yield* first.address
      const ending = yield* Effect.forkChild(first.terminate)
      // Its HTTP server is the first to close.
      yield* until(Effect.option(Effect.tryPromise(() => fetch(origin))), ({ _tag }) => _tag === "None")
      for (const call of calls) call.pass()
      assert.deepStrictEqual(yield* Fiber.join(ending), { code: 0, signal: undefined })
      assert.strictEqual(yield* size, 0)
      assert.lengthOf(yield* topics.outcomes.until((all) => all.length >= 10), 10)
      assert.lengthOf(yield* changesOf(api, zoneId), 10)

      proxy.decide = (call) => call.pass()
      const second = yield* ConsumerProcess.start(environment)
      yield* whileRunning(second)(topics.outcomes.until((all) => all.length >= 30))
      yield* whileRunning(second)(allCommitted(topics, environment["KAFKA_GROUP_ID"] ?? ""))
      assert.lengthOf(topics.outcomes.all, 30)
      assert.lengthOf(yield* changesOf(api, zoneId), 30)
    }))

  it.effect("gives calls their time when it is told to end, and then ends though the API has not answered", () =>
    Effect.gen(function*() {
      const topics = yield* makeTestTopics()
      const zoneId = yield* uniqueZoneId
      const { proxy, take } = yield* makeHoldingProxy()
      const consumer = yield* ConsumerProcess.start(
        yield* settings(topics.names, { CLOUDFLARE_BASE_URL: proxy.baseUrl, API_TIMEOUT: "3 seconds" })
      )
      yield* topics.emit(upserts(zoneId, 3))
      yield* whileRunning(consumer)(take(3))
      assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
      const lines = yield* linesOf(consumer)
      assert.isTrue(lines.some((line) => line.includes("the timeout of 3s passed")), lines.join("\n"))
      assert.isFalse(lines.some((line) => line.includes("could not be settled")))
    }))

  it.effect("is not ready where Kafka is gone, but live, and ends in less than ten seconds if it may settle for five", () =>
    Effect.gen(function*() {
      const broker = yield* KafkaBroker
      const api = yield* Api
      const producer = yield* KafkaProducer
      const names = uniqueTopicNames()
      yield* createTopics(names)
      const zoneId = yield* uniqueZoneId
      const { proxy, take } = yield* makeHoldingProxy(api.baseUrl)
      const consumer = yield* ConsumerProcess.start(
        yield* settings(names, {
          CLOUDFLARE_BASE_URL: proxy.baseUrl,
          API_TIMEOUT: "4 seconds",
          DRAIN_TIMEOUT: "5 seconds"
        })
      )
      yield* producer.send(upserts(zoneId, 3).map((record) => ({ topic: names.requests, record })))
      const calls = yield* whileRunning(consumer)(take(3))
      yield* broker.kill
      proxy.decide = (call) => call.pass()
      for (const call of calls) call.pass()
      // They are done, and nobody can be told.
      yield* until(statusOf(consumer), ({ unpublished }) => unpublished === 3)
      const health = (path: string) =>
        Effect.flatMap(consumer.address, (origin) => Effect.promise(() => fetch(`${origin}/health/${path}`)))
      yield* until(health("ready"), ({ status }) => status === 503)
      assert.strictEqual((yield* health("live")).status, 200)
      const start = performance.now()
      assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
      assert.isBelow(performance.now() - start, 10_000)
      const lines = yield* linesOf(consumer)
      assert.isTrue(lines.some((line) => line.includes("3 requests could not be settled within 5s")))
      assert.lengthOf(yield* changesOf(api, zoneId), 3)
    }).pipe(Effect.scoped, Effect.provide(PrivateSurroundings)))

  it.effect.each([
    { delivery: "exactly-once", batchSize: 1 },
    { delivery: "exactly-once", batchSize: 100 },
    { delivery: "at-least-once", batchSize: 1 }
  ])(
    "answers every request $delivery, in batches of up to $batchSize, though it is killed in the midst of 2,000",
    ({ batchSize, delivery }) =>
      Effect.gen(function*() {
        const api = yield* Api
        const topics = yield* makeTestTopics(4)
        const zoneId = yield* uniqueZoneId
        const proxy = yield* makeApiProxy(api.baseUrl)
        const { release } = holdBeyond(proxy, 1800)
        const environment = yield* settings(topics.names, {
          CLOUDFLARE_BASE_URL: proxy.baseUrl,
          DELIVERY: delivery,
          API_BATCH_SIZE: String(batchSize),
          CONCURRENCY: "16"
        })
        const first = yield* ConsumerProcess.start(environment)
        yield* topics.emit([0, 1, 2, 3].flatMap((turn) => upserts(zoneId, 500, turn)))
        yield* whileRunning(first)(topics.outcomes.until((all) => all.length >= 500))
        assert.deepStrictEqual(yield* first.kill, { code: undefined, signal: "SIGKILL" })
        assert.isBelow(topics.outcomes.all.length, 2000)

        release()
        const second = yield* ConsumerProcess.start(environment)
        yield* whileRunning(second)(topics.outcomes.until((all) => answered(all) >= 2000))
        yield* whileRunning(second)(allCommitted(topics, environment["KAFKA_GROUP_ID"] ?? ""))
        const outcomes = topics.outcomes.all
        assert.strictEqual(answered(outcomes), 2000)
        if (delivery === "exactly-once") assert.lengthOf(outcomes, 2000)
        // Whoever is answered twice can tell by the id.
        assert.strictEqual(new Set(outcomes.map(({ event }) => event.id)).size, 2000)
        assert.deepStrictEqual(codesOf(outcomes), { upserted: outcomes.length })
        const turns = turnsOf(yield* changesOf(api, zoneId))
        assert.strictEqual(turns.size, 500)
        let repeats = 0
        for (const [ip, made] of turns) {
          made.forEach((turn, at) => {
            const before = made[at - 1] ?? -1
            if (turn === before) repeats += 1
            else assert.strictEqual(turn, before + 1, `the order of ${ip}: ${made.join()}`)
          })
          assert.strictEqual(made.at(-1), 3)
        }
        // Only calls that were under way are made again, and those whose outcome was.
        if (batchSize === 1) assert.isAtMost(repeats, 256)
      })
  )

  it.effect.each(["1", "2"])(
    "tells none of its own creates as 1145, in generation %s, though it is killed and answers are lost",
    (generation) =>
      Effect.gen(function*() {
        const api = yield* Api
        const topics = yield* makeTestTopics(4)
        const zoneId = yield* uniqueZoneId
        const proxy = yield* makeApiProxy(api.baseUrl)
        let writes = 0
        const losingAnswers = (call: ApiCall) => {
          if (call.method !== "GET" && ++writes % 10 === 0) call.passAndCut()
          else call.pass()
        }
        const { release } = holdBeyond(proxy, 900, losingAnswers)
        const environment = yield* settings(topics.names, {
          API_GENERATION: generation,
          CLOUDFLARE_BASE_URL: proxy.baseUrl
        })
        const first = yield* ConsumerProcess.start(environment)
        yield* topics.emit(creates(zoneId, 1000))
        yield* whileRunning(first)(topics.outcomes.until((all) => all.length >= 250))
        yield* first.kill
        assert.isBelow(topics.outcomes.all.length, 1000)

        release()
        const second = yield* ConsumerProcess.start(environment)
        const outcomes = yield* whileRunning(second)(topics.outcomes.until((all) => answered(all) >= 1000))
        assert.deepStrictEqual(codesOf(outcomes), { created: 1000 })
        const recovered = outcomes.filter(({ event }) => "recovered" in event.data && event.data.recovered)
        assert.isAtLeast(recovered.length, 50)
        assert.lengthOf(yield* changesOf(api, zoneId), 1000)
      })
  )

  it.effect("hands over to others that come and go under load, with nothing done twice and the order kept", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const topics = yield* makeTestTopics(4)
      const zoneId = yield* uniqueZoneId
      // Nobody is killed: on a machine with other work a short session would end by itself.
      const environment = yield* settings(topics.names, { KAFKA_SESSION_TIMEOUT: "45 seconds" })
      const arrived = () => topics.outcomes.all.length
      let turn = 0
      let emitting = true
      /** A new turn for all 200 addresses whenever one is done. */
      const load = yield* Effect.forkChild(Effect.gen(function*() {
        while (emitting) {
          yield* topics.emit(upserts(zoneId, 200, turn++))
          yield* topics.outcomes.until((all) => all.length >= (turn - 2) * 200)
        }
      }))
      const more = (count: number) => {
        const wanted = arrived() + count
        return topics.outcomes.until((all) => all.length >= wanted)
      }

      const first = yield* ConsumerProcess.start(environment)
      yield* whileRunning(first)(more(400))
      const second = yield* ConsumerProcess.start(environment)
      yield* whileRunning(second)(more(400))
      const start = performance.now()
      assert.deepStrictEqual(yield* first.terminate, { code: 0, signal: undefined })
      assert.isBelow(performance.now() - start, 10_000)
      yield* whileRunning(second)(more(400))
      const third = yield* ConsumerProcess.start(environment)
      yield* whileRunning(third)(more(400))
      emitting = false
      yield* whileRunning(second)(Fiber.join(load))
      yield* whileRunning(third)(topics.outcomes.until((all) => all.length >= turn * 200))
      yield* whileRunning(third)(allCommitted(topics, environment["KAFKA_GROUP_ID"] ?? ""))
      for (const consumer of [second, third]) {
        assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
      }

      assert.strictEqual(arrived(), turn * 200)
      assert.strictEqual(new Set(topics.outcomes.all.map(({ event }) => event.id)).size, turn * 200)
      const turns = turnsOf(yield* changesOf(api, zoneId))
      const wanted = Array.from({ length: turn }, (_, each) => each % DISTINCT_TURNS)
      assert.strictEqual(turns.size, 200)
      for (const [ip, made] of turns) assert.deepStrictEqual(made, wanted, ip)
    }))
})
