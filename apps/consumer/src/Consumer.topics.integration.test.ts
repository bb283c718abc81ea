import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Layer } from "effect"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { says, statusOf, until, whileRunning } from "./fixtures/RunningConsumer.ts"
import { allCommitted, layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { codesOf, turnsOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

const ADDRESSES = 40
const PARTITIONS = 4

/** A topic, its zone, and requests for all of the zone's addresses that come in turns. */
const makeWork = Effect.fnUntraced(function*() {
  const topics = yield* makeTestTopics(PARTITIONS)
  const zoneId = yield* uniqueZoneId
  let turns = 0
  return {
    topics,
    zoneId,
    turns: () => turns,
    emit: Effect.suspend(() => topics.emit(upserts(zoneId, ADDRESSES, turns++))),
    done: Effect.suspend(() => topics.outcomes.until((all) => all.length >= turns * ADDRESSES))
  }
})

const ready = (consumer: ConsumerProcess.Consumer) =>
  Effect.flatMap(
    consumer.address,
    (origin) => Effect.promise(async () => (await fetch(`${origin}/health/ready`)).status)
  )

/** How many partitions it has. */
const owned = (consumer: ConsumerProcess.Consumer) =>
  Effect.map(statusOf(consumer), ({ partitions }) => partitions.length)

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("Members of a group", (it) => {
  it.effect.each(["exactly-once", "at-least-once"])(
    "that are subscribed to different topics each work on their own, %s, and say so until all have the same",
    (delivery) =>
      Effect.gen(function*() {
        const { brokers } = yield* KafkaBroker
        const api = yield* Api
        const [old, fresh] = [yield* makeWork(), yield* makeWork()]
        const environment = settingsFor(brokers, old.topics.names, api, {
          DELIVERY: delivery,
          KAFKA_SESSION_TIMEOUT: "45 seconds"
        })
        const groupId = environment["KAFKA_GROUP_ID"] ?? ""
        const environmentAfter = settingsFor(brokers, fresh.topics.names, api, {
          DELIVERY: delivery,
          KAFKA_SESSION_TIMEOUT: "45 seconds",
          KAFKA_GROUP_ID: groupId
        })
        const [oldTopic, freshTopic] = [old.topics.names.requests, fresh.topics.names.requests]
        /** Waits until a member says how many there are on each topic. */
        const differs = (consumer: ConsumerProcess.Consumer, onOld: string, onFresh: string) =>
          until(statusOf(consumer), ({ explanation: [line = ""] }) =>
            line.startsWith(`members of the group ${groupId} are subscribed to different topics: `) &&
            line.includes(`${oldTopic} (${onOld}, on `) && line.includes(`${freshTopic} (${onFresh}, on `) &&
            line.endsWith(
              "Finish the roll-out of REQUESTS_TOPIC, or give each deployment its own KAFKA_GROUP_ID and carry its offsets over"
            ))

        const first = yield* ConsumerProcess.start(environment)
        yield* old.emit
        yield* whileRunning(first)(old.done)
        // Those of the new topic start while the old one's is at work, and leads the group.
        const second = yield* ConsumerProcess.start(environmentAfter)
        yield* Effect.all([old.emit, fresh.emit])
        yield* whileRunning(first)(old.done)
        yield* whileRunning(second)(fresh.done)
        for (const consumer of [first, second]) {
          yield* whileRunning(consumer)(differs(consumer, "1 member", "1 member"))
          yield* says(consumer, `Members of the group ${groupId} are subscribed to different topics: `)
          assert.strictEqual(yield* ready(consumer), 200)
          assert.strictEqual(yield* owned(consumer), PARTITIONS)
        }
        const third = yield* ConsumerProcess.start(environmentAfter)
        yield* whileRunning(first)(differs(first, "1 member", "2 members"))
        assert.deepStrictEqual(
          yield* Effect.forEach([first, second, third], owned),
          [PARTITIONS, PARTITIONS / 2, PARTITIONS / 2]
        )
        yield* Effect.all([old.emit, fresh.emit])
        yield* whileRunning(first)(old.done)
        yield* whileRunning(second)(fresh.done)

        assert.deepStrictEqual(yield* first.terminate, { code: 0, signal: undefined })
        yield* Effect.all([old.emit, fresh.emit])
        for (const consumer of [second, third]) {
          yield* whileRunning(consumer)(
            says(consumer, `All members of the group ${groupId} are subscribed to ${freshTopic}`)
          )
          yield* until(statusOf(consumer), ({ explanation }) =>
            explanation.length === 0)
        }
        yield* whileRunning(second)(fresh.done)

        // What was left in the old topic is there for its next member, whoever leads the group.
        const late = yield* ConsumerProcess.start(environment)
        yield* whileRunning(late)(old.done)
        yield* whileRunning(late)(differs(late, "1 member", "2 members"))
        for (const work of [old, fresh]) {
          yield* whileRunning(late)(allCommitted(work.topics, groupId))
        }
        for (const consumer of [second, third, late]) {
          assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
        }

        for (const { topics, turns, zoneId } of [old, fresh]) {
          const outcomes = topics.outcomes.all
          assert.deepStrictEqual(codesOf(outcomes), { upserted: turns() * ADDRESSES })
          assert.strictEqual(
            new Set(outcomes.map(({ event }) =>
              event.id
            )).size,
            turns() * ADDRESSES
          )
          const made = turnsOf(yield* changesOf(api, zoneId))
          assert.strictEqual(made.size, ADDRESSES)
          for (const [ip, each] of made) {
            assert.deepStrictEqual(
              each,
              Array.from({ length: turns() }, (_, turn) => turn),
              ip
            )
          }
        }
      }).pipe(Effect.scoped),
    // Most of the time is waiting.
    { concurrent: true }
  )
})
