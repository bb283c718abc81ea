import { assert, describe, it } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaCluster } from "@origin-regions/testkit/KafkaCluster"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { whereAvailable } from "@origin-regions/testkit/WhereAvailable"
import { Effect } from "effect"
import { holdBeyond, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { whileRunning } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { codesOf, DISTINCT_TURNS, turnsOf, upserts } from "./fixtures/Upserts.ts"

const ADDRESSES = 300
const REQUESTS = ADDRESSES * DISTINCT_TURNS

const losesBrokers = Effect.gen(function*() {
  const { brokers, nodes } = yield* KafkaCluster
  const api = yield* Api
  const topics = yield* makeTestTopics(12)
  const proxy = yield* makeApiProxy(api.baseUrl)
  const environment = settingsFor(brokers, topics.names, api, { CLOUDFLARE_BASE_URL: proxy.baseUrl })
  const first = yield* ConsumerProcess.start(environment)
  const second = yield* ConsumerProcess.start(environment)
  const running = <A, E, R>(effect: Effect.Effect<A, E, R>) => whileRunning(second)(whileRunning(first)(effect))

  const losing = nodes.slice(1)
  for (const [index, node] of losing.entries()) {
    const zoneId = yield* uniqueZoneId
    const before = index * REQUESTS
    const { release } = holdBeyond(proxy, REQUESTS - ADDRESSES)
    for (let turn = 0; turn < DISTINCT_TURNS; turn++) yield* topics.emit(upserts(zoneId, ADDRESSES, turn))
    yield* running(topics.outcomes.until((all) => all.length >= before + 300))
    yield* node.kill
    assert.isBelow(topics.outcomes.all.length, before + REQUESTS)
    release()
    // By those that are left.
    yield* running(topics.outcomes.until((all) => all.length >= before + REQUESTS))
    yield* node.start
    const turns = turnsOf(yield* changesOf(api, zoneId))
    const wanted = Array.from({ length: DISTINCT_TURNS }, (_, turn) => turn)
    assert.strictEqual(turns.size, ADDRESSES)
    for (const [ip, made] of turns) assert.deepStrictEqual(made, wanted, ip)
  }
  for (const consumer of [first, second]) {
    assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
  }

  const all = REQUESTS * losing.length
  assert.lengthOf(topics.outcomes.all, all)
  assert.strictEqual(new Set(topics.outcomes.all.map(({ request }) => request)).size, all)
  assert.deepStrictEqual(codesOf(topics.outcomes.all), { upserted: all })
})

describe("Consumers on three brokers, of which one after the other is killed, with the leaders and coordinators on it", () => {
  it.live("answer every request once, and in order, by those that are left", ({ skip }) =>
    whereAvailable(
      KafkaCluster.layerJvm(),
      skip,
      Effect.gen(function*() {
        const { brokers } = yield* KafkaCluster
        yield* Effect.scoped(Effect.provide(losesBrokers, [layerKafka(brokers), Api.layer, Leash.layer]))
      })
    ), 180_000)
})
