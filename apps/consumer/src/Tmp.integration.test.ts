import { assert, describe, it } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaCluster } from "@origin-regions/testkit/KafkaCluster"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Layer, Result, Stream } from "effect"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { whileRunning } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { codesOf, DISTINCT_TURNS, turnsOf, upserts } from "./fixtures/Upserts.ts"

const ADDRESSES = 600
const REQUESTS = ADDRESSES * DISTINCT_TURNS

const losesBrokers = Effect.gen(function*() {
  const { brokers, nodes } = yield* KafkaCluster
  const api = yield* Api
  const topics = yield* makeTestTopics(12)
  const zoneId = yield* uniqueZoneId
  const environment = settingsFor(brokers, topics.names, api)
  const first = yield* ConsumerProcess.start(environment)
  const second = yield* ConsumerProcess.start(environment)
  const running = <A, E, R>(effect: Effect.Effect<A, E, R>) => whileRunning(second)(whileRunning(first)(effect))
  for (let turn = 0; turn < DISTINCT_TURNS; turn++) yield* topics.emit(upserts(zoneId, ADDRESSES, turn))

  const fs = yield* Effect.promise(() => import("node:fs"))
  const say = (s: string) => fs.appendFileSync("/tmp/cl-debug.txt", new Date().toISOString() + " " + s + "\n")
  for (const [n, c] of [["first", first], ["second", second]] as const) {
    yield* Effect.forkChild(Stream.runForEach(c.lines, (l) => Effect.sync(() => say(n + " " + l.slice(0, 400)))))
  }
  yield* Effect.forkChild(
    Effect.forever(Effect.andThen(
      Effect.sync(() => say("count " + topics.outcomes.all.length)),
      Effect.sleep("1 second")
    ))
  )
  const more = Effect.suspend(() => {
    const enough = topics.outcomes.all.length + 500
    return running(topics.outcomes.until((all) => all.length >= enough))
  })
  for (const node of nodes.slice(1)) {
    yield* more
    say("kill " + node.nodeId)
    yield* node.kill
    // By those that are left.
    yield* more
    say("start " + node.nodeId)
    yield* node.start
    say("started")
  }
  yield* running(topics.outcomes.until((all) => all.length >= REQUESTS))
  for (const consumer of [first, second]) {
    assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
  }

  assert.lengthOf(topics.outcomes.all, REQUESTS)
  assert.strictEqual(new Set(topics.outcomes.all.map(({ request }) => request)).size, REQUESTS)
  assert.deepStrictEqual(codesOf(topics.outcomes.all), { upserted: REQUESTS })
  const turns = turnsOf(yield* changesOf(api, zoneId))
  const wanted = Array.from({ length: DISTINCT_TURNS }, (_, turn) => turn)
  assert.strictEqual(turns.size, ADDRESSES)
  for (const [ip, made] of turns) assert.deepStrictEqual(made, wanted, ip)
})

/** Reasons for which there is no cluster here, rather than a broken one. */
const missing: ReadonlySet<string> = new Set(["JavaMissing", "JavaTooOld", "MavenMissing"])

describe("Consumers on three brokers, of which one after the other is killed, with the leaders and coordinators on it", () => {
  it.live("answer every request once, and in order, by those that are left", ({ skip }) =>
    Effect.gen(function*() {
      const built = yield* Effect.result(Layer.build(KafkaCluster.layerJvm()))
      if (Result.isFailure(built)) {
        const { message, reason } = built.failure
        return missing.has(reason._tag) ? skip(message) : yield* built.failure
      }
      yield* Effect.gen(function*() {
        const { brokers } = yield* KafkaCluster
        yield* Effect.scoped(Effect.provide(losesBrokers, [layerKafka(brokers), Api.layer, Leash.layer]))
      }).pipe(Effect.provide(built.success))
    }), 180_000)
})
