import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Fiber, Layer, Schedule } from "effect"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { whileRunning } from "./fixtures/RunningConsumer.ts"
import { allCommitted, layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { codesOf, DISTINCT_TURNS, turnsOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

const ADDRESSES = 200

/** A pod, as a Deployment sees it: when it is ready, whether it was unready afterwards, and its end. */
const startPod = Effect.fnUntraced(function*(environment: Readonly<Record<string, string>>) {
  const consumer = yield* ConsumerProcess.spawn(environment)
  const unready: Array<string> = []
  let asked = 0
  const probe = Effect.gen(function*() {
    const origin = yield* consumer.address
    const { status, text } = yield* Effect.promise(async () => {
      const response = await fetch(`${origin}/health/ready`)
      return { status: response.status, text: await response.text() }
    })
    asked += 1
    if (status !== 200) unready.push(`${status} ${text}`)
  })
  let probing: Fiber.Fiber<unknown, unknown> | undefined
  return {
    whileRunning: whileRunning(consumer),
    ready: Effect.gen(function*() {
      yield* consumer.ready
      yield* probe
      probing = yield* Effect.forkScoped(Effect.repeat(probe, Schedule.spaced("100 millis")))
    }),
    end: Effect.gen(function*() {
      if (probing !== undefined) yield* Fiber.interrupt(probing)
      assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
      assert.isAbove(asked, 0)
      assert.deepStrictEqual(unready, [])
    })
  }
})

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("A rollout", (it) => {
  it.effect.each([
    { delivery: "exactly-once", pods: 2, surge: 1 },
    // As the manifests have it: what is new starts while what is old ends.
    { delivery: "at-least-once", pods: 3, surge: 0 }
  ])(
    "of $pods members under load, $surge more than there are to be, $delivery: all stay ready, nothing is lost, doubled or out of order",
    ({ delivery, pods, surge }) =>
      Effect.gen(function*() {
        const { brokers } = yield* KafkaBroker
        const api = yield* Api
        const topics = yield* makeTestTopics(6)
        const zoneId = yield* uniqueZoneId
        // Nobody is killed: on a machine with other work a short session would end by itself.
        const environment = settingsFor(brokers, topics.names, api, {
          DELIVERY: delivery,
          KAFKA_SESSION_TIMEOUT: "45 seconds"
        })
        let turn = 0
        let emitting = true
        /** A new turn for all addresses whenever one is done, but not so fast that members lack the processor that they start with. */
        const load = yield* Effect.forkChild(Effect.gen(function*() {
          while (emitting) {
            yield* topics.emit(upserts(zoneId, ADDRESSES, turn++))
            yield* topics.outcomes.until((all) => all.length >= (turn - 2) * ADDRESSES)
            yield* Effect.sleep("100 millis")
          }
        }))
        /** So many more turns are through. */
        const more = (turns: number) => {
          const wanted = topics.outcomes.all.length + turns * ADDRESSES
          return topics.outcomes.until((all) => all.length >= wanted)
        }
        const startReady = Effect.tap(startPod(environment), ({ ready }) => ready)

        const old = yield* Effect.all(Array.from({ length: pods }, () => startReady), { concurrency: "unbounded" })
        const fresh: typeof old = []
        for (const pod of old) {
          yield* pod.whileRunning(more(1))
          if (surge > 0) {
            fresh.push(yield* startReady)
            yield* pod.end
          } else {
            const ending = yield* Effect.forkChild(pod.end)
            fresh.push(yield* startReady)
            yield* Fiber.join(ending)
          }
        }
        const [last] = fresh
        assert.isDefined(last)
        yield* last.whileRunning(more(1))
        emitting = false
        yield* last.whileRunning(Fiber.join(load))
        yield* last.whileRunning(topics.outcomes.until((all) => all.length >= turn * ADDRESSES))
        yield* last.whileRunning(allCommitted(topics, environment["KAFKA_GROUP_ID"] ?? ""))
        yield* Effect.forEach(fresh, ({ end }) => end, { concurrency: "unbounded", discard: true })

        const outcomes = topics.outcomes.all
        assert.deepStrictEqual(codesOf(outcomes), { upserted: turn * ADDRESSES })
        assert.strictEqual(new Set(outcomes.map(({ event }) => event.id)).size, turn * ADDRESSES)
        const turns = turnsOf(yield* changesOf(api, zoneId))
        const wanted = Array.from({ length: turn }, (_, each) => each % DISTINCT_TURNS)
        assert.strictEqual(turns.size, ADDRESSES)
        for (const [ip, made] of turns) assert.deepStrictEqual(made, wanted, ip)
      }).pipe(Effect.scoped),
    // Most of the time is waiting.
    { concurrent: true }
  )
})
