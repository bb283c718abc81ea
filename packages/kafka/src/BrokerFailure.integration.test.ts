import { assert, layer } from "@effect/vitest"
import { canLimitFileSizes, limitFileSizes } from "@origin-regions/testkit/FileSizeLimit"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import type { KafkaBrokerError } from "@origin-regions/testkit/KafkaBrokerError"
import { Duration, Effect, Fiber, Schedule } from "effect"
import { layerOwnKafka, newTopic, ofText, readAll, sendRecords, until } from "./internal/fixtures/TestKafka.ts"
import { joinGroup } from "./internal/fixtures/TestMember.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"

const KEYS = ["a", "b", "c", "d"]

/** Values of each key in the order in which they first came. */
const firstOccurrences = (values: ReadonlyArray<string | null>) => {
  const byKey = new Map(KEYS.map((key) => [key, new Set<number>()]))
  for (const value of values) {
    const [key = "", number] = (value ?? "").split(":")
    byKey.get(key)?.add(Number(number))
  }
  return [...byKey.values()].map((numbers) => [...numbers])
}

/** A broker that fails twice under load costs nothing. */
const costsNothing = Effect.fnUntraced(function*(fail: Effect.Effect<void, KafkaBrokerError, KafkaBroker>) {
  const broker = yield* KafkaBroker
  const admin = yield* KafkaAdmin
  const topic = yield* newTopic(2)
  const member = yield* joinGroup({ topic, sessionTimeout: Duration.seconds(20) })
  yield* until(() => member.assignments.length === 1)

  let sent = 0
  let goal = Infinity
  const round = Effect.suspend(() => sendRecords(topic, KEYS.map((key) => ({ key, value: `${key}:${sent}` }))))
    .pipe(
      Effect.retry({
        schedule: Schedule.spaced("100 millis"),
        while: ({ reason }) => reason._tag === "Unreachable"
      }),
      Effect.tap(Effect.sync(() => {
        sent += 1
      }))
    )
  const writing = yield* Effect.forkScoped(Effect.repeat(round, { while: () => sent < goal }))
  for (const failure of [1, 2]) {
    yield* until(() => sent >= failure * 200)
    yield* fail
    yield* broker.start
  }
  goal = sent + 200
  yield* Fiber.join(writing)

  const all = Array.from({ length: sent }, (_, index) => index)
  const expected = KEYS.map(() => all)
  const ends = yield* admin.endOffsets(topic)
  const records = yield* readAll(topic, [...ends.values()].reduce((sum, offset) => sum + offset, 0))
  assert.deepStrictEqual(firstOccurrences(records.map(({ value }) => ofText(value))), expected)
  yield* until(() => [...ends].every(([partition, end]) => member.position(partition) === end))
  assert.deepStrictEqual(firstOccurrences(member.values), expected)
  assert.strictEqual(member.assignments.length, 1)
  yield* member.commitAll("after")
  assert.deepStrictEqual(
    new Set([...(yield* admin.committedOffsets(member.groupId, topic)).values()].map(({ metadata }) => metadata)),
    new Set(["after"])
  )
})

const killed = KafkaBroker.use(({ kill }) => kill)

/** None of its files grows any further, and it dies of that. */
const filled = Effect.gen(function*() {
  const { instance } = yield* KafkaBroker
  yield* limitFileSizes(Number(yield* instance), 0)
  yield* Effect.repeat(instance, { until: (running) => running === undefined, schedule: Schedule.spaced("10 millis") })
})

layer(layerOwnKafka, { excludeTestServices: true, timeout: "2 minutes" })(
  "A broker that fails and is started again",
  (it) => {
    it.effect("costs no record that was acknowledged, no order of a key, and no membership, where it was killed", () =>
      costsNothing(killed))

    it.effect.skipIf(!canLimitFileSizes)("… and where its disk was full", () =>
      Effect.gen(function*() {
        const { provider } = yield* KafkaBroker
        // What runs in a container is out of reach.
        if (provider === "jvm") yield* costsNothing(filled)
      }))
  }
)
