import { assert, describe, it } from "@effect/vitest"
import { deadLetter } from "@origin-regions/domain/DeadLetter"
import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import { mappingOutcome, outcomeRecord } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { Context, Effect, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { Delivery, type SettledTask } from "../Delivery.ts"
import {
  makeModelKafka,
  type ModelKafka,
  requestAt,
  REQUESTS,
  sourceRecord,
  stale,
  type Taken,
  timeRefused,
  unreachable
} from "../fixtures/ModelKafka.ts"
import { PartitionProgress } from "../Progress.ts"
import { RequestMemory } from "../RequestMemory.ts"
import { newOwner, newTask, type OwnedPartition } from "../Task.ts"
import { layerAtLeastOnce } from "./AtLeastOnce.ts"

const created: Settlement = { _tag: "Succeeded", result: "created", mapping: null, recovered: false }
const gaveUp: Settlement = { _tag: "Failed", name: "gave_up", message: "Given up after 1d: no answer", lastStatus: 503 }
const malformed: Settlement = { _tag: "Malformed", issues: [{ path: "", message: "the record's value is not JSON" }] }

const makeDelivery = Effect.gen(function*() {
  const kafka = yield* makeModelKafka()
  const lookups = { count: 0, failures: 0 }
  const admin = Layer.mock(KafkaAdmin)({
    maxMessageBytes: () =>
      Effect.suspend(() => {
        lookups.count += 1
        return lookups.failures-- > 0 ? Effect.fail(unreachable("look up a setting")) : Effect.succeed(2000)
      })
  })
  const context = yield* Layer.build(
    layerAtLeastOnce({
      groupId: "group",
      requestsTopic: REQUESTS,
      outcomesTopic: "outcomes",
      deadLettersTopic: "dead-letters"
    }).pipe(
      Layer.provide(admin),
      Layer.provide(kafka.layer)
    )
  )
  return { delivery: Context.get(context, Delivery), kafka, lookups }
})

/** Collects what is logged, but for what only a developer would want to read. */
const collectLines = (lines: Array<string>) =>
  Effect.provide(Logger.layer([Logger.make(({ logLevel, message }) => {
    if (logLevel !== "Debug") lines.push(`${logLevel} ${message}`)
  })]))

const owned = (partition: number): OwnedPartition => ({
  ...newOwner(partition, new PartitionProgress({ offset: 0, metadata: "" }), new RequestMemory(10)),
  isDue: false
})

/** The next record of a partition, settled. */
const settled = (
  owner: OwnedPartition,
  settlement: Settlement = created,
  record = requestAt(owner.partition, owner.progress.position)
): SettledTask => {
  const undone = owner.progress.receive(record.offset) ?? assert.fail("it was done before")
  const request = readRequest(record)
  return {
    task: {
      ...newTask({ owner, record, request, undone, span: undefined }),
      attempts: 2,
      failures: 1,
      firstTriedAt: 0
    },
    settlement,
    settledAt: Date.UTC(2026, 10, 24)
  }
}

const outcomeOf = ({ settledAt, settlement, task: { attempts, record, request } }: SettledTask) =>
  mappingOutcome({ groupId: "group", record, request, settlement, attempts, settledAt })

const outcomeSent = (each: SettledTask): Taken => ({
  _tag: "Sent",
  topic: "outcomes",
  record: outcomeRecord(outcomeOf(each), each.task.record.key)
})

const letterSent = (each: SettledTask): Taken => {
  const { id, outcomecode } = outcomeOf(each)
  return { _tag: "Sent", topic: "dead-letters", record: deadLetter(each.task.record, { id, code: outcomecode }, 2000) }
}

const membership = (kafka: ModelKafka) => ({
  subscription: kafka.subscription,
  assignment: { epoch: 7, generation: { memberId: "member", generationId: 3 }, heads: new Map() },
  over: undefined
})

/** What was committed of partition 0, from commit to commit. */
const commits = (kafka: ModelKafka) =>
  kafka.taken.flatMap((taken) =>
    taken._tag === "Committed" ? [taken.offsets.find(({ partition }) => partition === 0)] : []
  )

/** The same, settled so long before its request by the clock here. */
const settledBefore = (each: SettledTask, ahead: number): SettledTask => ({
  ...each,
  settledAt: each.task.record.timestamp - ahead
})

describe("Delivery at least once", () => {
  it.effect("publishes outcomes in their order, each dead letter before its outcome, and commits all partitions at once", () =>
    Effect.gen(function*() {
      const { delivery, kafka, lookups } = yield* makeDelivery
      const [left, right] = [owned(0), owned(1)]
      const poison = sourceRecord(1, 0, "{", { key: new Uint8Array([7]), headers: [{ name: "x", value: null }] })
      const all = [settled(left), settled(right, malformed, poison), settled(left, gaveUp)]
      yield* delivery.deliver(all, () => [], membership(kafka))
      const [first, second, third] = all
      if (first === undefined || second === undefined || third === undefined) return assert.fail()
      assert.deepStrictEqual(kafka.taken, [
        outcomeSent(first),
        letterSent(second),
        outcomeSent(second),
        letterSent(third),
        outcomeSent(third),
        {
          _tag: "Committed",
          epoch: 7,
          offsets: [left, right].map(({ partition, progress: { committed } }) => ({ partition, ...committed }))
        }
      ])
      assert.deepStrictEqual([left, right].map(({ progress }) => progress.committed.offset), [2, 1])
      assert.strictEqual(lookups.count, 1)
      assert.isFalse(left.progress.hasMoved)
    }))

  it.effect("asks for the limit of dead letters once, and only when there is one", () =>
    Effect.gen(function*() {
      const { delivery, kafka, lookups } = yield* makeDelivery
      const owner = owned(0)
      const lines: Array<string> = []
      yield* delivery.deliver([settled(owner)], () => [], membership(kafka))
      assert.strictEqual(lookups.count, 0)
      lookups.failures = 2
      const waiting = yield* Effect.forkChild(
        delivery.deliver([settled(owner, gaveUp)], () => [], membership(kafka)).pipe(collectLines(lines))
      )
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(waiting)
      yield* delivery.deliver([settled(owner, gaveUp)], () => [], membership(kafka))
      assert.strictEqual(lookups.count, 3)
      assert.deepStrictEqual(
        lines,
        Array.from({ length: 2 }, () => "Warn Could not look up a setting: no broker answers")
      )
    }))

  it.effect("makes an outcome no older than its request, but as new as it is where Kafka refuses that", () =>
    Effect.gen(function*() {
      const { delivery, kafka } = yield* makeDelivery
      const owner = owned(0)
      const { timestamp } = requestAt(0, 0)
      yield* delivery.deliver(
        [settledBefore(settled(owner), 1_000), settledBefore(settled(owner), -1_000)],
        () => [],
        membership(kafka)
      )
      let refusals = 1
      kafka.hindrance = (what) => what === "Sent" && refusals-- > 0 ? Effect.fail(timeRefused) : Effect.void
      const refused = yield* Effect.forkChild(
        delivery.deliver([settledBefore(settled(owner), 1_000)], () => [], membership(kafka)).pipe(collectLines([]))
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(refused)
      assert.deepStrictEqual(
        kafka.taken.flatMap((each) => each._tag === "Sent" ? [each.record.timestamp] : []),
        [timestamp, undefined, undefined]
      )
    }))

  it.effect("publishes nothing of a partition that is lost, and commits nothing of one that is lost meanwhile", () =>
    Effect.gen(function*() {
      const { delivery, kafka } = yield* makeDelivery
      const [kept, lost, losing] = [owned(0), owned(1), owned(2)]
      lost.lost = true
      kafka.hindrance = (what) =>
        Effect.sync(() => {
          if (what === "Sent") losing.lost = true
        })
      yield* delivery.deliver([settled(lost), settled(losing), settled(kept)], () => [], membership(kafka))
      assert.lengthOf(kafka.taken.filter(({ _tag }) => _tag === "Sent"), 2)
      assert.deepStrictEqual([...kafka.heads.keys()], [0])
    }))

  it.effect("commits nothing, and says nothing, when the group has moved on", () =>
    Effect.gen(function*() {
      const { delivery, kafka } = yield* makeDelivery
      let tries = 0
      kafka.hindrance = (what) => {
        if (what === "Sent") return Effect.void
        tries += 1
        return Effect.fail(stale)
      }
      const owner = owned(0)
      const lines: Array<string> = []
      assert.strictEqual(
        yield* delivery.deliver([settled(owner)], () => [], membership(kafka)).pipe(collectLines(lines)),
        "stale"
      )
      assert.strictEqual(tries, 1)
      assert.deepStrictEqual(lines, [])
      assert.deepStrictEqual([owner.progress.isMarked, owner.progress.hasMoved], [false, true])
      kafka.hindrance = () => Effect.void
      assert.strictEqual(yield* delivery.commit(() => [owner], membership(kafka)), "committed")
      assert.deepStrictEqual([owner.progress.isMarked, owner.progress.hasMoved], [true, false])
      assert.strictEqual(kafka.heads.get(0)?.offset, 1)
    }))

  it.effect("tries a commit again until it succeeds, each time with what is done by then", () =>
    Effect.gen(function*() {
      const { delivery, kafka } = yield* makeDelivery
      let failures = 3
      kafka.hindrance = (what) =>
        what === "Committed" && failures-- > 0 ? Effect.fail(unreachable("commit offsets")) : Effect.void
      const owner = owned(0)
      const [first, second] = [settled(owner), settled(owner)]
      const lines: Array<string> = []
      const delivering = yield* Effect.forkChild(
        delivery.deliver([first], () => [], membership(kafka)).pipe(collectLines(lines))
      )
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(delivering.pollUnsafe())
      assert.strictEqual(delivery.problem(), "Could not commit offsets: no broker answers")
      owner.progress.done(second.task.record.offset)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(delivering), "committed")
      assert.isUndefined(delivery.problem())
      assert.deepStrictEqual(lines, ["Warn Could not commit offsets: no broker answers. Outcomes wait; trying again"])
      assert.deepStrictEqual(commits(kafka).map((each) => each?.offset), [2])
    }))
})
