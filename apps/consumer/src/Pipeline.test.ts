import { assert, describe, it } from "@effect/vitest"
import {
  type ApiErrorReason,
  BadCredential,
  RateLimited,
  Unavailable,
  Unreachable
} from "@origin-regions/api-client/ApiError"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { ownerOf } from "@origin-regions/kafka/ProgressMetadata"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"
import type { Attempt, AttemptResult } from "./Attempt.ts"
import {
  API_EPOCH,
  batchFrom,
  batchOf,
  createRequest,
  type ModelKafka,
  requestAt,
  sourceRecord,
  stale,
  timeRefused,
  unreachable
} from "./fixtures/ModelKafka.ts"
import {
  type Call,
  created,
  failing,
  makePipeline,
  outcomes,
  quiet,
  settle,
  waiting
} from "./fixtures/ModelPipeline.ts"
import { settableTime } from "./fixtures/SettableTime.ts"
import type { Pipeline } from "./Pipeline.ts"
import { PartitionProgress } from "./Progress.ts"
import { identityOf } from "./RequestMemory.ts"

const nextCommit = (kafka: ModelKafka) => Effect.repeat(kafka.nextTaken, { until: (taken) => taken._tag !== "Sent" })

const isOfPartition1 = ({ partition }: { readonly partition: number }) => partition === 1

/** Waits until so many outcomes have been published, and what they make possible is committed. */
const published = (kafka: ModelKafka, count: number) =>
  Effect.repeat(nextCommit(kafka), { until: () => outcomes(kafka).length >= count })

describe("Pipeline", () => {
  it.effect("publishes each outcome, and only then commits its offset", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ delivery: "at-least-once" })
      assign(0)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 0, 3)))
      const [first, second] = [yield* calls, yield* calls]
      yield* kafka.skipTaken
      settle(second)
      const sent = yield* kafka.nextTaken
      assert.deepInclude(sent, { _tag: "Sent", topic: "outcomes" })
      assert.deepInclude(yield* kafka.nextTaken, { _tag: "Committed", epoch: 1 })
      assert.strictEqual(kafka.heads.get(0)?.offset, 0)
      settle(first)
      yield* nextCommit(kafka)
      assert.strictEqual(kafka.heads.get(0)?.offset, 2)
      assert.deepStrictEqual(outcomes(kafka), ["0@1", "0@0"])
    }))

  it.effect("has as many calls under way as it may, and no more", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 64 })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 200))
      const first = yield* pending
      assert.lengthOf(first, 64)
      assert.deepInclude(pipeline.status(), { inFlight: 64, queued: 136 })
      first.slice(0, 10).forEach(settle)
      for (let count = 0; count < 10; count++) yield* calls
      assert.strictEqual(pipeline.status().inFlight, 64)
    }))

  it.effect.each(
    [
      ["at-least-once", "Committed"],
      ["exactly-once", "Transaction"]
    ] as const
  )(
    "works on one request of an address at a time, and on the next when the outcome is committed (%s)",
    ([delivery, settles]) =>
      Effect.gen(function*() {
        const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ delivery })
        assign(0, 1)
        const spellings = ["2001:db8::1", "2001:DB8:0::1", "2001:db8:0:0:0:0:0:1"]
        pipeline.handler.received(
          batchOf(0, spellings.slice(0, 2).map((ip, at) => sourceRecord(0, at, createRequest(`${at}`, ip))))
        )
        pipeline.handler.received(batchOf(1, [sourceRecord(1, 0, createRequest("2", spellings[2] ?? ""))]))
        const first = yield* calls
        assert.deepStrictEqual([first.at, yield* pending], ["0@0", []])
        const gate = yield* Queue.unbounded<void>()
        kafka.hindrance = (what) => what === settles ? Queue.take(gate) : Effect.void
        settle(first)
        assert.deepStrictEqual(yield* pending, [])
        Queue.offerUnsafe(gate, undefined)
        const second = yield* calls
        assert.strictEqual(second.at, "0@1")
        settle(second)
        Queue.offerUnsafe(gate, undefined)
        assert.strictEqual((yield* calls).at, "1@0")
        assert.deepStrictEqual(outcomes(kafka), ["0@0", "0@1"])
      })
  )

  it.effect("goes back to where it stands when a batch lies beyond", () =>
    Effect.gen(function*() {
      const { assign, pending, pipeline } = yield* makePipeline()
      assign(0)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 0, 3)))
      assert.strictEqual(pipeline.handler.received(batchFrom(0, 5, 3)), 3)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 3, 2)))
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 5, 3)))
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), [0, 1, 2, 3, 4, 5, 6, 7].map((at) => `0@${at}`))
    }))

  it.effect("takes nothing twice that comes again, before or within a batch", () =>
    Effect.gen(function*() {
      const { assign, pending, pipeline } = yield* makePipeline()
      assign(0)
      for (const [from, count] of [[0, 4], [0, 4], [2, 4], [0, 10]] as const) {
        assert.isUndefined(pipeline.handler.received(batchFrom(0, from, count)))
      }
      assert.deepStrictEqual(
        (yield* pending).map(({ at }) => at),
        Array.from({ length: 10 }, (_, offset) => `0@${offset}`)
      )
    }))

  it.effect("moves past offsets that do not exist, and commits that after a while", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0, 1)
      yield* nextCommit(kafka)
      pipeline.handler.received(batchOf(0, [requestAt(0, 3)], { fetchedOffset: 0, nextOffset: 9 }))
      pipeline.handler.received(batchOf(1, [], { fetchedOffset: 0, nextOffset: 7 }))
      settle(yield* calls)
      yield* published(kafka, 1)
      assert.deepStrictEqual([...kafka.heads.values()].map(({ offset }) => offset), [9, 0])
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(kafka.heads.get(1)?.offset, 7)
      const committed = kafka.taken.length
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(kafka.taken.length, committed)
    }))

  it.effect("goes on with what an earlier owner has left in the metadata", () =>
    Effect.gen(function*() {
      const first = yield* makePipeline()
      first.assign(0)
      first.pipeline.handler.received(batchFrom(0, 0, 5))
      const calls = yield* first.pending
      for (const done of [1, 3]) {
        const call = calls[done]
        if (call !== undefined) settle(call)
      }
      yield* published(first.kafka, 2)
      const next = yield* makePipeline()
      next.kafka.heads.set(0, first.kafka.heads.get(0) ?? { offset: 0, metadata: "" })
      next.assign(0)
      next.pipeline.handler.received(batchFrom(0, 0, 7))
      assert.deepStrictEqual((yield* next.pending).map(({ at }) => at), ["0@0", "0@2", "0@4", "0@5", "0@6"])
      assert.deepStrictEqual(next.lines, [])
    }))

  it.effect("reads what was settled before once more, so as to know it when it comes again", () =>
    Effect.gen(function*() {
      const first = yield* makePipeline()
      first.assign(0)
      first.pipeline.handler.received(batchFrom(0, 0, 5))
      const calls = yield* first.pending
      for (const [at, call] of calls.entries()) if (at !== 2) settle(call)
      yield* published(first.kafka, 4)
      const head = first.kafka.heads.get(0) ?? assert.fail("nothing was committed")
      assert.strictEqual(head.offset, 2)

      const { calls: later, kafka, pipeline } = yield* makePipeline()
      const assignment = {
        epoch: 1,
        generation: { memberId: "member", generationId: 1 },
        heads: new Map([[0, head], [1, { offset: 5, metadata: "" }]])
      }
      pipeline.assigned(kafka.subscription, assignment)
      // Where nobody has committed anything of ours there is nothing to be remembered.
      assert.isUndefined(pipeline.handler.received(batchFrom(1, 5, 1)))
      assert.strictEqual((yield* later).at, "1@5")
      assert.strictEqual(pipeline.handler.received(batchFrom(0, 2, 3)), 0)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 0, 1)))
      // A rebalance in between, after which reading begins anew.
      pipeline.assigned(kafka.subscription, { ...assignment, epoch: 2 })
      assert.strictEqual(pipeline.handler.received(batchFrom(0, 2, 3)), 0)
      // The records have been deleted meanwhile.
      pipeline.handler.skipped(0, 1)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 1, 4)))
      const { task: { owner: { memory } } } = yield* later
      const known = [0, 1, 2, 3, 4].map((offset) =>
        memory.before(identityOf(readRequest(requestAt(0, offset))) ?? assert.fail("it has none"), 5)?.offset
      )
      assert.deepStrictEqual(known, [0, 1, undefined, 3, 4])
      // It goes on as ever.
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 5, 1)))
      assert.strictEqual((yield* later).at, "0@5")
    }))

  it.effect("does all again, with a warning, where the metadata is somebody else's", () =>
    Effect.gen(function*() {
      const { assign, kafka, lines, pending, pipeline } = yield* makePipeline()
      kafka.heads.set(3, { offset: 2, metadata: "a note of another program" })
      assign(3)
      pipeline.handler.received(batchFrom(3, 2, 2))
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["3@2", "3@3"])
      assert.lengthOf(lines, 1)
      assert.match(lines[0] ?? "", /^Warn .*metadata of partition 3 is not ours or damaged/)
    }))
})

/** Requests of a bit more than 1 MiB each. */
const largeRequests = (count: number) =>
  Array.from(
    { length: count },
    (_, offset) =>
      sourceRecord(0, offset, createRequest(`${offset}`, `192.0.2.${offset}`, { large: "x".repeat(1024 * 1024) }))
  )

/** Reads as kafkajs does: on from where the handler says, and not while the partition is paused. */
const makeReader = (
  kafka: ModelKafka,
  pipeline: Pipeline["Service"],
  records: ReadonlyArray<ReturnType<typeof requestAt>>,
  partition = 0
) => {
  let position = 0
  return () => {
    while (!kafka.paused.has(partition) && position < records.length) {
      const batch = records.slice(position, position + 300)
      position = pipeline.handler.received(batchOf(partition, batch)) ?? (batch.at(-1)?.offset ?? 0) + 1
    }
    return position
  }
}

/** How many outcomes each publication had. */
const publications = ({ taken }: ModelKafka): ReadonlyArray<number> =>
  taken.flatMap((each) => each._tag === "Transaction" ? [each.records.length] : [])

describe("Outcomes", () => {
  it.effect("gather for 25 ms while all calls are under way, and no longer once there are calls to spare", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ concurrency: 4 })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 20))
      yield* quiet
      for (let count = 0; count < 6; count++) {
        settle(yield* calls)
        yield* quiet
      }
      yield* TestClock.adjust("24 millis")
      assert.deepStrictEqual(publications(kafka), [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(publications(kafka), [6])
      // Ten more are queued behind the four under way.
      for (let count = 0; count < 10; count++) settle(yield* calls)
      yield* quiet
      assert.deepStrictEqual(publications(kafka), [6])
      settle(yield* calls)
      yield* quiet
      assert.deepStrictEqual(publications(kafka), [6, 11])
      settle(yield* calls)
      yield* quiet
      assert.deepStrictEqual(publications(kafka), [6, 11, 1])
    }))

  it.effect("do not gather where an address has more to do than all others together", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ concurrency: 4 })
      assign(0)
      const busy = Array.from({ length: 10 }, (_, offset) =>
        sourceRecord(0, offset, createRequest(`${offset}`, "198.51.100.1")))
      const others = Array.from({ length: 20 }, (_, index) =>
        requestAt(0, 10 + index))
      pipeline.handler.received(batchOf(0, [...busy, ...others]))
      const [first, second] = [yield* calls, yield* calls]
      assert.deepStrictEqual([first.at, second.at], ["0@0", "0@10"])
      settle(second)
      yield* quiet
      assert.deepStrictEqual(publications(kafka), [])
      settle(first)
      yield* quiet
      assert.deepStrictEqual(publications(kafka), [2])
    }))
})

describe("Back-pressure", () => {
  it.effect("stops reading at 2,000 requests of a partition, and goes on at half of that, without a loss or a repeat", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ concurrency: 4096 })
      assign(0)
      const read = makeReader(kafka, pipeline, Array.from({ length: 5000 }, (_, offset) => requestAt(0, offset)))
      assert.strictEqual(read(), 2000)
      assert.isTrue(kafka.paused.has(0))
      assert.deepInclude(pipeline.status().partitions[0], { undone: 2000, paused: true, position: 2000 })
      const seen: Array<string> = []
      for (let number = 0; number < 5000; number++) {
        const call = yield* calls
        seen.push(call.at)
        settle(call)
        yield* nextCommit(kafka)
        if (number === 998) assert.isTrue(kafka.paused.has(0))
        read()
      }
      assert.deepStrictEqual(seen.toSorted(), Array.from({ length: 5000 }, (_, offset) => `0@${offset}`).sort())
      assert.strictEqual(kafka.heads.get(0)?.offset, 5000)
      assert.isFalse(kafka.paused.has(0))
    }))

  it.effect("stops reading at 500 requests of a partition while there are 6,000 of all, and goes on once there are half as many", () =>
    Effect.gen(function*() {
      const { assign, kafka, pending, pipeline } = yield* makePipeline({ concurrency: 4096 })
      assign(0, 1, 2, 3)
      const readers = [0, 1, 2, 3].map((partition) =>
        makeReader(
          kafka,
          pipeline,
          Array.from({ length: 3000 }, (_, offset) => requestAt(partition, offset)),
          partition
        )
      )
      assert.deepStrictEqual(readers.map((read) => read()), [2000, 2000, 2000, 500])
      const open: Array<Call> = []
      const answer = Effect.fnUntraced(function*(partition: number, count: number) {
        for (let answered = 0; answered < count;) {
          open.push(...(yield* pending))
          const index = open.findIndex(({ task }) => task.record.partition === partition)
          const [call] = index === -1 ? [] : open.splice(index, 1)
          if (call === undefined) continue
          settle(call)
          answered += 1
        }
        yield* quiet
      })
      yield* answer(0, 2000)
      yield* answer(1, 1499)
      yield* TestClock.adjust("1 second")
      assert.isTrue(kafka.paused.has(3))
      yield* answer(1, 1)
      assert.isTrue(kafka.paused.has(3))
      yield* TestClock.adjust("1 second")
      assert.isFalse(kafka.paused.has(3))
      assert.isTrue(kafka.paused.has(2))
    }))

  it.effect("stops reading at 4 MiB of a partition's requests", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      const read = makeReader(kafka, pipeline, largeRequests(9))
      assert.strictEqual(read(), 4)
      assert.isTrue(kafka.paused.has(0))
      // At 3 MiB and a bit it is still paused, at 2 MiB and a bit too.
      for (const [offset, paused] of [true, true, false].entries()) {
        settle(yield* calls)
        yield* published(kafka, offset + 1)
        assert.strictEqual(kafka.paused.has(0), paused)
      }
      assert.strictEqual(read(), 7)
      for (let offset = 3; offset < 9; offset++) {
        settle(yield* calls)
        yield* published(kafka, offset + 1)
        read()
      }
      assert.strictEqual(kafka.heads.get(0)?.offset, 9)
    }))

  it.effect("stops reading where the metadata could not tell any more what is done", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ concurrency: 4096 })
      assign(0)
      const records = Array.from({ length: 300 }, (_, index) => requestAt(0, index * 100))
      const received = () => pipeline.handler.received(batchOf(0, records, { fetchedOffset: 0 }))
      assert.strictEqual(received(), 10_000)
      assert.isTrue(kafka.paused.has(0))
      const first = yield* calls
      // With one done there is room for one more; with the first done, for many.
      settle(yield* calls)
      yield* published(kafka, 1)
      assert.isFalse(kafka.paused.has(0))
      assert.strictEqual(received(), 10_100)
      assert.isTrue(kafka.paused.has(0))
      settle(first)
      yield* published(kafka, 2)
      assert.strictEqual(kafka.heads.get(0)?.offset, 200)
      assert.isFalse(kafka.paused.has(0))
    }))

  it.effect("stays paused before a great gap until few enough are undone", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ concurrency: 4096 })
      assign(0)
      const far = requestAt(0, 50_000)
      assert.strictEqual(pipeline.handler.received(batchOf(0, [...batchFrom(0, 0, 300).records, far])), 50_000)
      const first = yield* calls
      for (let undone = 299; undone >= 100; undone--) {
        assert.isTrue(kafka.paused.has(0))
        settle(yield* calls)
        yield* published(kafka, 300 - undone)
      }
      assert.isTrue(kafka.paused.has(0))
      settle(yield* calls)
      yield* published(kafka, 201)
      assert.isFalse(kafka.paused.has(0))
      assert.isUndefined(pipeline.handler.received(batchOf(0, [far])))
      settle(first)
      yield* published(kafka, 202)
      assert.strictEqual(kafka.heads.get(0)?.offset, 202)
    }))

  it.effect("stays paused over a rebalance that leaves it the partition", () =>
    Effect.gen(function*() {
      const { assign, kafka, pipeline } = yield* makePipeline()
      assign(0)
      makeReader(kafka, pipeline, Array.from({ length: 3000 }, (_, offset) => requestAt(0, offset)))()
      assert.isTrue(kafka.paused.has(0))
      assign(0)
      assert.isTrue(kafka.paused.has(0))
    }))
})

describe("A rebalance", () => {
  it.effect("waits for what is in flight, and not for what waits for another attempt", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ concurrency: 2 })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 4))
      const [failing, inFlight] = [yield* calls, yield* calls]
      failing.finish(Exit.succeed(waiting("1 hour")))
      const third = yield* calls
      const draining = yield* Effect.forkChild(pipeline.handler.drain)
      yield* quiet
      assert.isUndefined(draining.pollUnsafe())
      settle(inFlight)
      yield* nextCommit(kafka)
      yield* quiet
      assert.isUndefined(draining.pollUnsafe())
      // One that fails meanwhile waits as well.
      third.finish(Exit.succeed(waiting("1 hour")))
      yield* Fiber.join(draining)
      assert.deepStrictEqual(yield* pending, [])
      assert.deepInclude(pipeline.status(), { inFlight: 0, waiting: 2, queued: 1, unpublished: 0 })
      assert.deepStrictEqual(outcomes(kafka), ["0@1"])
    }))

  it.effect("waits for outcomes to be published and committed", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ delivery: "at-least-once" })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      const call = yield* calls
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      yield* kafka.skipTaken
      settle(call)
      const draining = yield* Effect.forkChild(pipeline.handler.drain)
      for (const step of ["Sent", "Committed"]) {
        yield* quiet
        assert.isUndefined(draining.pollUnsafe())
        Queue.offerUnsafe(gate, undefined)
        assert.strictEqual((yield* kafka.nextTaken)._tag, step)
      }
      yield* Fiber.join(draining)
    }))

  it.effect("waits for outcomes that wait for others to be published", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ delivery: "at-least-once" })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 2))
      const [first, second] = [yield* calls, yield* calls]
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      settle(first)
      yield* quiet
      settle(second)
      const draining = yield* Effect.forkChild(pipeline.handler.drain)
      for (let step = 0; step < 4; step++) {
        yield* quiet
        assert.isUndefined(draining.pollUnsafe())
        Queue.offerUnsafe(gate, undefined)
      }
      yield* Fiber.join(draining)
      assert.deepStrictEqual(outcomes(kafka), ["0@0", "0@1"])
    }))

  it.effect("does not wait for what became of a request before, nor does anything else, be there one call only", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 2))
      const again = yield* calls
      const { task } = again
      const known = { offset: -1, timestamp: 0, settlement: undefined }
      task.owner.memory.remember(task.identity ?? assert.fail("it has none"), known)
      const tells = yield* Deferred.make<(problem: string) => void>()
      const found = yield* Deferred.make<void>()
      again.finish(Exit.succeed({
        _tag: "LookingUp",
        delay: Duration.seconds(1),
        lookUp: (tell) => Effect.andThen(Deferred.succeed(tells, tell), Deferred.await(found))
      }))
      settle(yield* calls)
      yield* published(kafka, 1)
      const why = () => {
        const { partitions: [partition], waits } = pipeline.status()
        return [partition?.wait?.reason, partition?.waiting, waits.kafka, waits.address]
      }
      assert.deepStrictEqual(why(), ["it has come before, and what became of it then is being looked up", 1, 1, 0])
      const tell = yield* Deferred.await(tells)
      tell("no broker answers")
      assert.deepStrictEqual(why(), ["no broker answers", 1, 1, 0])
      assert.deepInclude(pipeline.status(), { calls: 0, inFlight: 0, waiting: 1 })
      yield* pipeline.handler.drain
      // What was found in a rebalance is told after it.
      yield* Deferred.succeed(found, undefined)
      assert.isEmpty(yield* pending)
      assign(0)
      const call = yield* calls
      assert.strictEqual(call.at, "0@0")
      settle(call)
      yield* published(kafka, 2)
      assert.deepInclude(pipeline.status(), { waiting: 0, unpublished: 0 })
    }))

  it.effect("starts nothing while it lasts, not even what has waited long enough", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 2))
      const failing = yield* calls
      yield* Effect.forkChild(pipeline.handler.drain)
      yield* quiet
      failing.finish(Exit.succeed(waiting("1 second")))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* pending, [])
      assign(0)
      assert.strictEqual((yield* calls).at, "0@0")
    }))

  it.effect("keeps a partition's state where it stays, and reads on without doing anything twice", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
      assign(0, 1)
      pipeline.handler.received(batchFrom(0, 0, 3))
      const [first, second, third] = [yield* calls, yield* calls, yield* calls]
      settle(second)
      first.finish(Exit.succeed(waiting("10 seconds")))
      third.finish(Exit.succeed(waiting("10 seconds")))
      yield* pipeline.handler.drain
      assign(0)
      // kafkajs reads again from the committed offset.
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 0, 4)))
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@3"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@0", "0@2"])
      assert.deepStrictEqual(outcomes(kafka), ["0@1"])
    }))

  it.effect("begins anew with a partition that somebody else has worked on meanwhile", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 3))
      settle(yield* calls)
      yield* nextCommit(kafka)
      yield* pending
      kafka.heads.set(0, { offset: 2, metadata: "" })
      assign(0)
      pipeline.handler.received(batchFrom(0, 2, 2))
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@3"])
      assert.deepInclude(pipeline.status().partitions, {
        partition: 0,
        head: 2,
        position: 4,
        undone: 2,
        paused: false,
        waiting: 0,
        wait: undefined
      })
    }))

  it.effect("publishes and commits nothing of partitions that are lost", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ delivery: "at-least-once" })
      assign(0, 1)
      pipeline.handler.received(batchFrom(0, 0, 4))
      pipeline.handler.received(batchFrom(1, 0, 1))
      const [waits, inFlight, settled] = [yield* calls, yield* calls, yield* calls]
      yield* calls
      const kept = yield* calls
      assert.strictEqual(kept.at, "1@0")
      waits.finish(Exit.succeed(waiting("1 second")))
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      // One outcome is on its way, the next lies behind it, and one call is under way.
      settle(settled)
      yield* quiet
      settle(kept)
      settle(inFlight)
      yield* quiet
      assert.strictEqual(pipeline.status().unpublished, 3)
      assign(1)
      for (let step = 0; step < 3; step++) Queue.offerUnsafe(gate, undefined)
      yield* quiet
      yield* TestClock.adjust("1 minute")
      // What was on its way could not be called back; after that, nothing.
      assert.deepStrictEqual(outcomes(kafka), ["0@2", "1@0"])
      assert.deepStrictEqual([...kafka.heads.values()].map(({ offset }) => offset), [0, 1])
      assert.deepStrictEqual(yield* pending, [])
      assert.deepInclude(pipeline.status(), { inFlight: 1, waiting: 0, queued: 0, unpublished: 0 })
    }))

  it.effect.each<{ readonly name: string; readonly result: AttemptResult }>([
    { name: "settled", result: created },
    { name: "to be tried again", result: waiting("1 hour") }
  ])(
    "lets an address go on whose request was lost in flight and comes back $name",
    ({ result }) =>
      Effect.gen(function*() {
        const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
        assign(0, 1)
        for (const partition of [0, 1]) {
          pipeline.handler.received(batchOf(partition, [sourceRecord(partition, 0, createRequest("a", "192.0.2.1"))]))
        }
        const lost = yield* calls
        assign(1)
        assert.deepStrictEqual(yield* pending, [])
        lost.finish(Exit.succeed(result))
        const next = yield* calls
        assert.strictEqual(next.at, "1@0")
        settle(next)
        yield* nextCommit(kafka)
        yield* TestClock.adjust("2 hours")
        assert.deepStrictEqual([yield* pending, outcomes(kafka)], [[], ["1@0"]])
      })
  )

  it.effect("lets an address go on whose request was lost when its outcome waited to be published", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0, 1)
      pipeline.handler.received(batchFrom(1, 0, 1))
      for (const partition of [0, 1]) {
        pipeline.handler.received(
          batchOf(partition, [sourceRecord(partition, partition, createRequest("a", "192.0.2.1"))], {
            fetchedOffset: partition
          })
        )
      }
      const [one, two] = [yield* calls, yield* calls]
      const [other, lost] = one.at === "1@0" ? [one, two] : [two, one]
      assert.deepStrictEqual([other.at, lost.at], ["1@0", "0@0"])
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      settle(other)
      yield* quiet
      settle(lost)
      assign(1)
      for (let step = 0; step < 3; step++) Queue.offerUnsafe(gate, undefined)
      assert.strictEqual((yield* calls).at, "1@1")
      assert.deepStrictEqual(outcomes(kafka), ["1@0"])
    }))

  it.effect("does not let the partition's former life resume its new one", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchOf(0, largeRequests(5)))
      assert.isTrue(kafka.paused.has(0))
      const [first, ...rest] = [yield* calls, yield* calls, yield* calls, yield* calls]
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = (what) => what === "Transaction" ? Queue.take(gate) : Effect.void
      settle(first)
      yield* quiet
      // These go together, once the first is committed.
      rest.forEach(settle)
      Queue.offerUnsafe(gate, undefined)
      yield* published(kafka, 1)
      yield* quiet
      kafka.heads.set(0, { offset: 0, metadata: "" })
      assign(0)
      pipeline.handler.received(batchOf(0, largeRequests(5)))
      assert.isTrue(kafka.paused.has(0))
      Queue.offerUnsafe(gate, undefined)
      yield* quiet
      assert.lengthOf(outcomes(kafka), 4)
      assert.strictEqual(pipeline.status().unpublished, 0)
      assert.isTrue(kafka.paused.has(0))
    }))

  it.effect("refuses batches, and reads no more until partitions are assigned", () =>
    Effect.gen(function*() {
      const { assign, kafka, pending, pipeline } = yield* makePipeline()
      assign(0)
      yield* pipeline.handler.drain
      assert.strictEqual(pipeline.handler.received(batchFrom(0, 0, 3)), 0)
      assert.isTrue(kafka.paused.has(0))
      assign(0)
      assert.isFalse(kafka.paused.has(0))
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 0, 3)))
      assert.lengthOf(yield* pending, 3)
      assert.strictEqual(pipeline.handler.received(batchFrom(9, 4, 3)), 4)
    }))
})

describe("A stop", () => {
  it.effect("settles what is in flight, and starts nothing more whatever is assigned", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 3))
      const call = yield* calls
      const stopping = yield* Effect.forkChild(pipeline.stop)
      yield* quiet
      assert.isUndefined(stopping.pollUnsafe())
      assign(0)
      settle(call)
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(outcomes(kafka), ["0@0"])
      assert.deepStrictEqual(kafka.heads.get(0)?.offset, 1)
      assign(0)
      assert.strictEqual(pipeline.handler.received(batchFrom(0, 1, 3)), 1)
      assert.deepStrictEqual(yield* pending, [])
    }))
})

describe("What Kafka has deleted", () => {
  it.effect("is said, and reading goes on behind it", () =>
    Effect.gen(function*() {
      const { assign, lines, pending, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 2))
      pipeline.handler.skipped(0, 10)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 10, 1)))
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@0", "0@1", "0@10"])
      assert.deepStrictEqual(lines, [
        "Error Kafka has deleted requests before they were read: offsets 2 to 9 of partition 0 are lost. Raise the retention of requests"
      ])
    }))

  it.effect("is of no interest where it was read before", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, lines, pending, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 20))
      settle(yield* calls)
      yield* nextCommit(kafka)
      yield* pending
      // After a rebalance kafkajs asks for the first that was not committed, which has been deleted with others.
      pipeline.handler.skipped(0, 10)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 10, 11)))
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@20"])
      assert.deepInclude(pipeline.status().partitions[0], { head: 1, undone: 20 })
      assert.deepStrictEqual(lines, [])
    }))

  it.effect("is read from the beginning where the partition was made anew", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, lines, pending, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 20))
      ;(yield* pending).forEach(settle)
      yield* published(kafka, 20)
      assert.strictEqual(kafka.heads.get(0)?.offset, 20)
      pipeline.handler.skipped(0, 0)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 0, 2)))
      const call = yield* calls
      assert.strictEqual(call.at, "0@0")
      settle(call)
      yield* published(kafka, 21)
      assert.strictEqual(kafka.heads.get(0)?.offset, 1)
      assert.lengthOf(lines, 1)
      assert.match(lines[0] ?? "", /^Error Partition 0 of requests/)
    }))
})

const malformed: Attempt["Service"]["make"] = () =>
  Effect.succeed({ _tag: "Settled", settlement: { _tag: "Malformed", issues: [] } })

describe("Many requests", () => {
  it.effect("that need no call are settled without the stack growing", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<AttemptResult>()
      const { assign, kafka, pipeline } = yield* makePipeline({
        concurrency: 1,
        attempt: (task) => task.record.partition === 0 ? Deferred.await(gate) : malformed(task)
      })
      // As many as partitions can have in hand together.
      const crowds = [2000, 2000, 1500, ...Array.from({ length: 17 }, () => 500)]
      assign(0, ...crowds.map((_, index) => index + 1))
      pipeline.handler.received(batchFrom(0, 0, 1))
      yield* quiet
      for (const [index, count] of crowds.entries()) pipeline.handler.received(batchFrom(index + 1, 0, count))
      assert.deepInclude(pipeline.status(), { inFlight: 1, queued: 14_000 })
      yield* Deferred.succeed(gate, created)
      while (crowds.some((count, index) => kafka.heads.get(index + 1)?.offset !== count)) yield* nextCommit(kafka)
      assert.lengthOf(outcomes(kafka), 14_001)
    }))

  it.effect("that wait are spoken for by one line in five seconds", () =>
    Effect.gen(function*() {
      let attempts = 0
      const { assign, lines, pipeline } = yield* makePipeline({
        attempt: () =>
          Effect.sync(() => {
            attempts += 1
            return waiting("200 millis", "connect ECONNREFUSED 127.0.0.1:1")
          })
      })
      assign(0)
      // Of zones of their own, whose circuits open one by one.
      pipeline.handler.received(
        batchOf(
          0,
          Array.from(
            { length: 300 },
            (_, at) => sourceRecord(0, at, createRequest(`${at}`, `10.0.${at >> 8}.${at & 255}`, {}, `zone-${at}`))
          )
        )
      )
      yield* quiet
      assert.strictEqual(pipeline.status().waiting, 300)
      for (let step = 0; step < 52; step++) yield* TestClock.adjust("200 millis")
      assert.isAbove(attempts, 300)
      const waits = lines.filter((line) => line.includes(" waits 200ms"))
      assert.lengthOf(waits, 2)
      assert.isAtMost(lines.length, 6)
      assert.strictEqual(waits[0], "Warn zone-0/10.0.0.0 waits 200ms: connect ECONNREFUSED 127.0.0.1:1")
      assert.match(
        waits[1] ?? "",
        /^Warn (?:[\d,]+ requests wait; )?zone-\d+\/10\.0\.\d+\.\d+ waits 200ms: connect ECONNREFUSED/
      )
    }))
})

const requestIn = (zoneId: string, offset: number) =>
  sourceRecord(0, offset, createRequest(`${offset}`, `10.0.0.${offset}`, {}, zoneId))

const zoneOf = ({ task }: Call) => task.request.zoneId

describe("A zone that fails", () => {
  const busy = new Unavailable({ status: 503, message: "busy" })
  /** Zone a has 8 requests and zone b has 2; all are under way. */
  const start = Effect.fnUntraced(function*(concurrency = 64) {
    const pipe = yield* makePipeline({ concurrency })
    pipe.assign(0)
    pipe.pipeline.handler.received(
      batchOf(0, Array.from({ length: 10 }, (_, offset) => requestIn(offset < 8 ? "a" : "b", offset)))
    )
    return pipe
  })

  it.effect("is left alone after five failures in a row, and tried by one request after another, ever more seldom", () =>
    Effect.gen(function*() {
      const { lines, pending, pipeline } = yield* start()
      const calls = yield* pending
      for (const call of calls.filter((each) => zoneOf(each) === "a")) {
        // The last three were sent before the circuit opened: they change nothing more.
        call.finish(Exit.succeed(failing(busy)))
      }
      yield* quiet
      const { partitions, waiting, waits, zones } = pipeline.status()
      assert.deepInclude(waits, { zone: 8, request: 0, api: 0 })
      assert.deepInclude(zones.get("a"), { since: 0, until: 1_000, failures: 5, reason: "busy", waiting: 8 })
      assert.deepInclude(partitions[0], { waiting: 8 })
      assert.deepInclude(partitions[0]?.wait, { since: 0, until: 1_000 })
      assert.strictEqual(waiting, 8)
      for (const pause of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
        yield* TestClock.adjust(Duration.millis(pause - 1))
        assert.deepStrictEqual(yield* pending, [])
        yield* TestClock.adjust("1 milli")
        const [probe, ...others] = yield* pending
        assert.isEmpty(others)
        probe?.finish(Exit.succeed(failing(busy)))
        yield* quiet
      }
      assert.strictEqual(pipeline.status().zones.get("a")?.failures, 12)
      assert.lengthOf(lines.filter((line) => line.includes("All requests of zone a wait")), 1)
    }))

  it.effect("goes on as a whole when one request gets through", () =>
    Effect.gen(function*() {
      const { kafka, pending, pipeline } = yield* start()
      for (const call of yield* pending) {
        if (zoneOf(call) === "b") settle(call)
        else call.finish(Exit.succeed(failing(busy)))
      }
      yield* TestClock.adjust("1 second")
      const [probe, ...others] = yield* pending
      assert.isEmpty(others)
      if (probe !== undefined) settle(probe)
      const rest = yield* pending
      assert.lengthOf(rest, 7)
      rest.forEach(settle)
      yield* published(kafka, 10)
      assert.deepInclude(pipeline.status(), { waiting: 0, queued: 0 })
      assert.strictEqual(pipeline.status().zones.size, 0)
    }))

  it.effect("leaves the calls to the others, however slowly it fails", () =>
    Effect.gen(function*() {
      const { pending } = yield* start(5)
      const first = yield* pending
      assert.sameMembers<string | null>(first.map(zoneOf), ["a", "b", "a", "b", "a"])
      for (const call of first) {
        if (zoneOf(call) === "b") settle(call)
        else call.finish(Exit.succeed(failing(busy)))
      }
      const second = yield* pending
      assert.deepStrictEqual<ReadonlyArray<string | null>>(second.map(zoneOf), ["a", "a", "a", "a", "a"])
      for (const call of second) call.finish(Exit.succeed(failing(busy)))
      assert.deepStrictEqual(yield* pending, [])
    }))

  it.effect("is not judged by one address that fails among others that work", () =>
    Effect.gen(function*() {
      const { pending, pipeline } = yield* start()
      const [bad, ...good] = (yield* pending).filter((call) => zoneOf(call) === "a")
      let again = bad
      for (const call of good) {
        again?.finish(Exit.succeed(failing(busy)))
        yield* quiet
        settle(call)
        yield* TestClock.adjust("200 millis")
        again = (yield* pending).at(-1)
      }
      assert.strictEqual(pipeline.status().zones.size, 0)
    }))

  it.effect("is forgotten when its partition is lost, and does not hold up who comes back", () =>
    Effect.gen(function*() {
      const { assign, kafka, pending, pipeline } = yield* start()
      for (const call of yield* pending) call.finish(Exit.succeed(failing(busy)))
      assign()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(pipeline.status().zones.size, 0)
      kafka.heads.clear()
      assign(0)
      pipeline.handler.received(batchOf(0, [requestIn("a", 0), requestIn("a", 1)]))
      assert.lengthOf(yield* pending, 2)
    }))
})

describe("Requests that can't be sent", () => {
  it.effect.each<{ readonly name: string; readonly blocked: (offset: number) => string }>([
    { name: "of one address", blocked: (offset) => createRequest(`${offset}`, "10.1.1.1") },
    {
      name: "of a zone that fails",
      blocked: (offset) => createRequest(`${offset}`, `10.1.${offset >> 8}.${offset & 255}`, {}, "bad")
    }
  ])("$name leave the way to others, however many they are", ({ blocked }) =>
    Effect.gen(function*() {
      const { assign, kafka, pending, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(
        batchOf(
          0,
          Array.from({ length: 1_010 }, (_, at) => at < 1_000 ? sourceRecord(0, at, blocked(at)) : requestAt(0, at))
        )
      )
      let calls = yield* pending
      while (outcomes(kafka).length < 10) {
        for (const call of calls) {
          if (call.task.record.offset >= 1_000) settle(call)
          else if (call.task.request.zoneId === "bad") {
            call.finish(Exit.succeed(failing(new Unavailable({ status: 503, message: "busy" }), "1 hour")))
          }
        }
        calls = yield* pending
      }
      assert.sameMembers(outcomes(kafka), Array.from({ length: 10 }, (_, at) => `0@${1_000 + at}`))
    }))
})

describe("An API that fails all zones", () => {
  const start = Effect.fnUntraced(function*() {
    const pipe = yield* makePipeline()
    pipe.assign(0)
    pipe.pipeline.handler.received(
      batchOf(
        0,
        Array.from(
          { length: 10 },
          (_, at) => sourceRecord(0, at, createRequest(`${at}`, `10.0.0.${at}`, {}, `zone-${at}`))
        )
      )
    )
    return pipe
  })

  it.effect.each<{
    readonly name: string
    readonly reported: "api" | "credential" | "quota"
    readonly reason: ApiErrorReason
    readonly pauses: ReadonlyArray<number>
  }>([
    {
      name: "a wrong credential",
      reported: "credential",
      reason: new BadCredential({ code: 10000, message: "Authentication error" }),
      pauses: [10_000, 10_000, 10_000]
    },
    {
      name: "a quota that is used up",
      reported: "quota",
      reason: new RateLimited({ message: "slow down", retryAfter: Duration.seconds(10) }),
      pauses: [10_000, 10_000, 10_000]
    },
    {
      name: "nobody who listens",
      reported: "api",
      reason: new Unreachable({ cause: "ECONNREFUSED", sent: false }),
      pauses: [1_000, 2_000, 4_000, 8_000]
    }
  ])(
    "by $name is tried by one request now and then, and all go on when it works",
    ({ pauses, reason, reported }) =>
      Effect.gen(function*() {
        const { kafka, pending, pipeline } = yield* start()
        for (const call of yield* pending) call.finish(Exit.succeed(failing(reason, "10 seconds")))
        yield* quiet
        assert.strictEqual(pipeline.status().apiPause?.until, pauses[0])
        assert.strictEqual(pipeline.status().apiPauseReason, reported)
        assert.strictEqual(pipeline.status().waits[reported], pipeline.status().waiting)
        assert.isAbove(pipeline.status().waiting, 0)
        assert.strictEqual(pipeline.status().zones.size, 0)
        // Each waits by itself, too, from its own failure on.
        for (const pause of pauses) {
          yield* TestClock.adjust(Duration.millis(pause))
          const probes = yield* pending
          assert.isAtMost(probes.length, 1)
          probes[0]?.finish(Exit.succeed(failing(reason, "10 seconds")))
          yield* quiet
        }
        // What needs no call is not held up.
        pipeline.handler.received(batchOf(0, [sourceRecord(0, 10, "no request")]))
        const local = yield* pending
        assert.deepStrictEqual(local.map(({ at }) => at), ["0@10"])
        local.forEach(settle)

        yield* TestClock.adjust("1 minute")
        const [probe, ...others] = yield* pending
        assert.isEmpty(others)
        if (probe !== undefined) settle(probe)
        const rest = yield* pending
        assert.lengthOf(rest, 9)
        rest.forEach(settle)
        yield* published(kafka, 11)
        assert.isUndefined(pipeline.status().apiPause)
      })
  )

  it.effect.each([-3_600_000, 3_600_000])(
    "is called again when it said, though the time of day is set by %i ms meanwhile",
    (millis) =>
      Effect.gen(function*() {
        const time = yield* settableTime
        const { pending, pipeline } = yield* Effect.provideService(start(), Clock.Clock, time.clock)
        const busy = new RateLimited({ message: "slow down", retryAfter: Duration.seconds(10) })
        for (const call of yield* pending) call.finish(Exit.succeed(failing(busy, "10 seconds")))
        yield* quiet
        time.set(millis)
        assert.deepInclude(pipeline.status().apiPause, { since: millis, until: millis + 10_000 })
        assert.deepInclude(pipeline.status().partitions[0]?.wait, { since: millis, until: millis + 10_000 })
        yield* TestClock.adjust("9 seconds")
        assert.lengthOf(yield* pending, 0)
        yield* TestClock.adjust("1 second")
        assert.lengthOf(yield* pending, 1)
      })
  )
})

describe("A quota", () => {
  it.effect("holds calls back, and not what needs none, and says when the next one goes", () =>
    Effect.gen(function*() {
      const { assign, kafka, pending, pipeline } = yield* makePipeline({ calls: 1_200 })
      assign(0, 1, 2, 3)
      pipeline.handler.received(batchFrom(0, 0, 5))
      pipeline.handler.received(batchOf(1, [sourceRecord(1, 0, "not JSON")]))
      assert.deepStrictEqual((yield* pending).map(({ at }) => at).toSorted(), ["0@0", "1@0"])
      const { quota, queued, waits } = pipeline.status()
      assert.strictEqual(queued, 4)
      assert.strictEqual(waits.quota, 4)
      assert.deepInclude(quota, { limit: 1_200, left: 0 })
      assert.approximately(quota?.nextCallAt ?? Number.NaN, 278, 1)
      yield* TestClock.adjust("277 millis")
      assert.isEmpty(yield* pending)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@1"])
      // What answers tell counts more than what is published.
      kafka.quota.observe({ ratelimit: "\"default\";r=2;t=60", "ratelimit-policy": "\"default\";q=2;w=60" })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@2", "0@3"])
      yield* TestClock.adjust("58 seconds")
      assert.isEmpty(yield* pending)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@4"])
    }))

  it.effect("is this member's by its part of the partitions", () =>
    Effect.gen(function*() {
      const { assign, pending, pipeline } = yield* makePipeline({ calls: 1_200 })
      assign(2)
      pipeline.handler.received(batchFrom(2, 0, 2))
      assert.lengthOf(yield* pending, 1)
      yield* TestClock.adjust("1111 millis")
      assert.isEmpty(yield* pending)
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(yield* pending, 1)
    }))
})

describe("A fault", () => {
  it.effect("in an attempt ends the pipeline", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      ;(yield* calls).finish(Exit.die("a fault of ours"))
      assert.deepStrictEqual(yield* Effect.exit(pipeline.failure), Exit.die("a fault of ours"))
      assert.deepStrictEqual(outcomes(kafka), [])
    }))

  it.effect("in publishing ends the pipeline", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      const call = yield* calls
      kafka.hindrance = () => Effect.die("a fault of ours")
      settle(call)
      assert.deepStrictEqual(yield* Effect.exit(pipeline.failure), Exit.die("a fault of ours"))
      assert.strictEqual(kafka.heads.get(0)?.offset, 0)
    }))

  it.effect("in a commit ends the pipeline", () =>
    Effect.gen(function*() {
      const { assign, kafka, pipeline } = yield* makePipeline()
      kafka.hindrance = () => Effect.die("a fault of ours")
      assign(0)
      pipeline.handler.received(batchOf(0, [], { fetchedOffset: 0, nextOffset: 7 }))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Effect.exit(pipeline.failure), Exit.die("a fault of ours"))
    }))
})

describe("An outage of Kafka", () => {
  it.effect("keeps outcomes until they are published", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, lines, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 2))
      const [first, second] = [yield* calls, yield* calls]
      let refusals = 3
      kafka.hindrance = (what) => refusals-- > 0 ? Effect.fail(unreachable(`write (${what})`)) : Effect.void
      settle(first)
      yield* quiet
      settle(second)
      assert.strictEqual(
        pipeline.status().publishingProblem,
        "Could not write (Transaction): no broker answers"
      )
      yield* TestClock.adjust("1500 millis")
      yield* published(kafka, 2)
      assert.isUndefined(pipeline.status().publishingProblem)
      // Tried again as it was: what has been settled meanwhile comes after it.
      assert.deepStrictEqual(outcomes(kafka), ["0@0", "0@1"])
      assert.strictEqual(kafka.heads.get(0)?.offset, 2)
      assert.deepStrictEqual(lines, [
        "Warn Could not write (Transaction): no broker answers. Outcomes wait; trying again"
      ])
    }))

  it.effect("makes an outcome no older than its request, but as new as it is where Kafka refuses that", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 2))
      const [first, second] = [yield* calls, yield* calls]
      settle(first)
      yield* published(kafka, 1)
      let refusals = 1
      kafka.hindrance = (what) => what === "Transaction" && refusals-- > 0 ? Effect.fail(timeRefused) : Effect.void
      settle(second)
      yield* quiet
      yield* TestClock.adjust("500 millis")
      yield* published(kafka, 2)
      assert.deepStrictEqual(
        kafka.taken.flatMap((each) =>
          each._tag === "Transaction" ? each.records.map(({ record }) => record.timestamp) : []
        ),
        [requestAt(0, 0).timestamp, undefined]
      )
    }))

  it.effect.each([true, false])(
    "that leaves it unknown whether progress was committed makes it join again, and do nothing twice (committed: %s)",
    (hasCommitted) =>
      Effect.gen(function*() {
        const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
        assign(0)
        pipeline.handler.received(batchFrom(0, 0, 2))
        const [first, second] = [yield* calls, yield* calls]
        kafka.hindrance = (what) => what === "Committed" ? kafka.losesAnswer(hasCommitted) : Effect.void
        pipeline.handler.received(batchFrom(0, 2, 2))
        assert.deepStrictEqual(yield* pending, [])
        assert.strictEqual(kafka.rejoins(), 1)
        // Nothing of that generation can be committed any more, and nobody waits for it.
        settle(first)
        yield* quiet
        assert.isEmpty(outcomes(kafka))
        assert.deepInclude(pipeline.status(), {
          unpublished: 1,
          publishingProblem: "Could not commit offsets: no broker answers, and the group is being joined again"
        })
        const draining = yield* Effect.forkChild(pipeline.handler.drain)
        yield* quiet
        assert.isUndefined(draining.pollUnsafe())
        settle(second)
        yield* Fiber.join(draining)
        kafka.hindrance = () => Effect.void
        assign(0)
        assert.isUndefined(pipeline.status().publishingProblem)
        pipeline.handler.received(batchOf(0, batchFrom(0, 0, 5).records))
        const rest = [yield* calls, yield* calls, yield* calls]
        assert.deepStrictEqual(rest.map(({ at, task }) => [at, task.inDoubt]), [
          ["0@2", false],
          ["0@3", false],
          ["0@4", false]
        ])
        rest.forEach(settle)
        yield* published(kafka, 5)
        assert.deepStrictEqual(outcomes(kafka), ["0@0", "0@1", "0@2", "0@3", "0@4"])
        assert.isEmpty(yield* pending)
      })
  )
})

const transactions = (kafka: ModelKafka) => kafka.taken.flatMap((taken) => taken._tag === "Transaction" ? [taken] : [])

describe("Exactly once", () => {
  it.effect("publishes an outcome and its progress together, by the membership that the work was taken on under", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0, 1)
      pipeline.handler.received(batchFrom(0, 0, 2))
      pipeline.handler.received(batchFrom(1, 0, 1))
      const [first] = [yield* calls, yield* calls, yield* calls]
      settle(first)
      yield* published(kafka, 1)
      const [transaction, ...more] = transactions(kafka)
      assert.isEmpty(more)
      assert.deepStrictEqual(transaction?.generation, { memberId: "member", generationId: 1 })
      assert.lengthOf(transaction?.records ?? [], 1)
      assert.deepStrictEqual(transaction?.offsets.map(({ offset, partition }) => [partition, offset]), [[0, 1]])
      assert.strictEqual(ownerOf(transaction?.offsets[0]?.metadata ?? ""), "transactional-id")
    }))

  it.effect("sends nothing before a commit has succeeded that reserves it", () =>
    Effect.gen(function*() {
      const { assign, kafka, pending, pipeline } = yield* makePipeline()
      const gate = yield* Queue.unbounded<void>()
      assign(0)
      yield* nextCommit(kafka)
      kafka.hindrance = () => Queue.take(gate)
      pipeline.handler.received(batchFrom(0, 0, 3))
      assert.deepStrictEqual(yield* pending, [])
      // Received when the commit was on its way.
      pipeline.handler.received(batchFrom(0, 3, 3))
      Queue.offerUnsafe(gate, undefined)
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@0", "0@1", "0@2"])
      Queue.offerUnsafe(gate, undefined)
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@3", "0@4", "0@5"])
    }))

  it.effect("reserves and sends what is received while outcomes are being written", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      const first = yield* calls
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = (what) => what === "Transaction" ? Queue.take(gate) : Effect.void
      settle(first)
      yield* quiet
      pipeline.handler.received(batchFrom(0, 1, 2))
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@1", "0@2"])
      assert.isEmpty(outcomes(kafka))
      // The transaction's progress is what it is when its outcomes have been written.
      Queue.offerUnsafe(gate, undefined)
      yield* published(kafka, 1)
      const later = yield* makePipeline()
      later.kafka.heads.set(0, kafka.heads.get(0) ?? assert.fail("nothing was committed"))
      later.assign(0)
      later.pipeline.handler.received(batchFrom(0, 0, 3))
      assert.deepStrictEqual(
        (yield* later.pending).map(({ at, task }) => [at, task.inDoubt]),
        [["0@1", true], ["0@2", true]]
      )
    }))

  it.effect("commits for the first time of a partition by itself, before any outcome", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      const first = yield* calls
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = (what) => what === "Offsets" ? Effect.void : Queue.take(gate)
      settle(first)
      yield* quiet
      pipeline.handler.received(batchFrom(0, 1, 1))
      yield* quiet
      // Its outcome is written, and its progress waits for the commit under way, which does not know of partition 1.
      Queue.offerUnsafe(gate, undefined)
      yield* quiet
      assign(0, 1)
      for (let step = 0; step < 3; step++) Queue.offerUnsafe(gate, undefined)
      settle(yield* calls)
      yield* published(kafka, 2)
      assert.isTrue(kafka.taken.some((each) => each._tag === "Committed" && each.offsets.some(isOfPartition1)))
      for (const [index, taken] of kafka.taken.entries()) {
        if (taken._tag !== "Transaction") continue
        for (const { partition } of taken.offsets) {
          const earlier = kafka.taken.slice(0, index).flatMap((each) => each._tag === "Committed" ? each.offsets : [])
          assert.isTrue(earlier.some((each) => each.partition === partition))
        }
      }
    }))

  it.effect("never has two commits of progress under way", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ concurrency: 4096 })
      let underWay = 0
      let most = 0
      let writing = false
      let beside = 0
      kafka.hindrance = (what) =>
        Effect.gen(function*() {
          if (what === "Transaction") {
            writing = true
            yield* quiet
            writing = false
            return
          }
          if (writing) beside += 1
          underWay += 1
          most = Math.max(most, underWay)
          yield* quiet
          underWay -= 1
        })
      assign(0, 1, 2)
      for (const partition of [0, 1, 2]) pipeline.handler.received(batchFrom(partition, 0, 200))
      for (let count = 0; count < 600; count++) {
        settle(yield* calls)
        if (count % 50 === 0) yield* TestClock.adjust("1 second")
      }
      yield* published(kafka, 600)
      assert.strictEqual(most, 1)
      assert.isAbove(beside, 0)
      assert.strictEqual(new Set(outcomes(kafka)).size, 600)
      assert.lengthOf(outcomes(kafka), 600)
    }))

  it.effect("publishes nothing more once it is unknown whether a commit has succeeded, until it has joined again", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = (what) => what === "Transaction" ? Queue.take(gate) : Effect.void
      settle(yield* calls)
      yield* quiet
      kafka.hindrance = (what) => what === "Committed" ? Effect.fail(unreachable("commit offsets")) : Effect.void
      pipeline.handler.received(batchFrom(0, 1, 1))
      yield* quiet
      assert.strictEqual(kafka.rejoins(), 1)
      Queue.offerUnsafe(gate, undefined)
      yield* quiet
      assert.isEmpty(transactions(kafka))
      yield* pipeline.handler.drain
      kafka.hindrance = () => Effect.void
      assign(0)
      settle(yield* calls)
      yield* published(kafka, 2)
      assert.deepStrictEqual(outcomes(kafka).toSorted(), ["0@0", "0@1"])
      assert.isEmpty(yield* pending)
    }))

  it.effect("drops all that it had, and publishes nothing, where the group has moved on", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
      assign(0, 1)
      pipeline.handler.received(batchFrom(0, 0, 3))
      const [first, second, third] = [yield* calls, yield* calls, yield* calls]
      kafka.hindrance = () => Effect.fail(stale)
      settle(first)
      assert.deepStrictEqual(yield* pending, [])
      assert.deepStrictEqual([...kafka.paused].toSorted(), [0, 1])
      assert.deepInclude(pipeline.status(), { inFlight: 2, queued: 0, partitions: [] })
      kafka.hindrance = () => Effect.void
      settle(second)
      third.finish(Exit.succeed(waiting("1 second")))
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(pipeline.status(), { inFlight: 0, waiting: 0, unpublished: 0 })
      assert.deepStrictEqual([outcomes(kafka), transactions(kafka)], [[], []])
      assert.strictEqual(kafka.rejoins(), 0)
      yield* pipeline.handler.drain
      assign(0, 1)
      pipeline.handler.received(batchFrom(0, 0, 3))
      for (let count = 0; count < 3; count++) {
        const call = yield* calls
        assert.isTrue(call.task.inDoubt)
        settle(call)
      }
      yield* published(kafka, 3)
      assert.lengthOf(outcomes(kafka), 3)
    }))

  it.effect("publishes under the new membership what was refused with one that was renewed meanwhile", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 2))
      const [first, second] = [yield* calls, yield* calls]
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Effect.andThen(Queue.take(gate), Effect.fail(stale))
      settle(first)
      yield* quiet
      settle(second)
      assign(0)
      kafka.hindrance = () => Effect.void
      Queue.offerUnsafe(gate, undefined)
      yield* published(kafka, 2)
      assert.deepStrictEqual(outcomes(kafka), ["0@0", "0@1"])
      assert.deepStrictEqual(transactions(kafka).map(({ generation }) => generation.generationId), [2])
    }))

  it.effect("waits in a drain for a commit without outcomes, too", () =>
    Effect.gen(function*() {
      const { assign, kafka, pipeline } = yield* makePipeline()
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      assign(0)
      yield* quiet
      const draining = yield* Effect.forkChild(pipeline.handler.drain)
      yield* quiet
      assert.isUndefined(draining.pollUnsafe())
      Queue.offerUnsafe(gate, undefined)
      yield* Fiber.join(draining)
    }))

  it.effect("leaves nothing in doubt that it has not sent, when it gives up its partitions in order", () =>
    Effect.gen(function*() {
      const first = yield* makePipeline({ concurrency: 2 })
      first.assign(0)
      first.pipeline.handler.received(batchFrom(0, 0, 6))
      const [failing, settling] = [yield* first.calls, yield* first.calls]
      const draining = yield* Effect.forkChild(first.pipeline.handler.drain)
      yield* quiet
      failing.finish(Exit.succeed(waiting("1 hour")))
      settle(settling)
      yield* Fiber.join(draining)
      const { assign, kafka, pending, pipeline } = yield* makePipeline()
      kafka.heads.set(0, first.kafka.heads.get(0) ?? assert.fail("nothing was committed"))
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 6))
      assert.deepStrictEqual(
        (yield* pending).map(({ at, task }) => [at, task.inDoubt]),
        [0, 2, 3, 4, 5].map((offset) => [`0@${offset}`, offset === 0])
      )
    }))

  it.effect("reserves anew what it has taken back, before it goes on with a partition that has stayed", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 4))
      const call = yield* calls
      const draining = yield* Effect.forkChild(pipeline.handler.drain)
      yield* quiet
      settle(call)
      yield* Fiber.join(draining)
      assert.strictEqual(pipeline.status().queued, 3)
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      assign(0)
      assert.deepStrictEqual(yield* pending, [])
      kafka.hindrance = () => Effect.void
      Queue.offerUnsafe(gate, undefined)
      for (const offset of [1, 2, 3]) {
        const next = yield* calls
        assert.strictEqual(next.at, `0@${offset}`)
        settle(next)
      }
      yield* published(kafka, 4)
      assert.deepStrictEqual(outcomes(kafka), ["0@0", "0@1", "0@2", "0@3"])
    }))

  it.effect("sends nothing more once its session may be over, until it has heard of the group again", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 4))
      const first = yield* calls
      let silence = 0
      kafka.silence = () => silence
      silence = 44_999
      settle(first)
      const second = yield* calls
      silence = 45_000
      // As after a stop of the process: somebody else may have done all that it still has.
      settle(second)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* pending, [])
      silence = 0
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* calls).at, "0@2")
    }))

  it.effect("takes a request for sent that is received again while it is still in flight from a former assignment", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      const former = yield* calls
      assert.isFalse(former.task.inDoubt)
      // Away, and back again, while nobody waits for it any more.
      const committed = kafka.heads.get(0)
      assign()
      assign(0)
      assert.deepStrictEqual(kafka.heads.get(0), committed)
      pipeline.handler.received(batchFrom(0, 0, 1))
      assert.deepStrictEqual(yield* pending, [])
      settle(former)
      const again = yield* calls
      assert.strictEqual(again.at, "0@0")
      assert.isTrue(again.task.inDoubt)
      assert.isAtMost(again.task.undone.attemptedSince ?? Number.NaN, API_EPOCH)
      settle(again)
      yield* published(kafka, 1)
      assert.deepStrictEqual(outcomes(kafka), ["0@0"])
    }))

  it.effect("sends nothing before all is there again that an owner before may have sent", () =>
    Effect.gen(function*() {
      const first = yield* makePipeline()
      first.assign(0)
      first.pipeline.handler.received(batchFrom(0, 0, 6))
      yield* first.pending
      const { assign, kafka, pending, pipeline } = yield* makePipeline()
      kafka.heads.set(0, first.kafka.heads.get(0) ?? assert.fail("nothing was committed"))
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 5))
      assert.deepStrictEqual(yield* pending, [])
      pipeline.handler.received(batchFrom(0, 5, 3))
      const calls = yield* pending
      assert.deepStrictEqual(
        calls.map(({ at, task }) => [at, task.inDoubt]),
        [0, 1, 2, 3, 4, 5, 6, 7].map((offset) => [`0@${offset}`, offset < 6])
      )
    }))

  it.effect("takes in all that an owner before may have sent, whatever its own limits are", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      const progress = new PartitionProgress({ offset: 0, metadata: "" })
      for (let offset = 0; offset < 2_500; offset++) {
        const undone = progress.receive(offset)
        if (undone === undefined) return assert.fail("it was done before")
        progress.settled(progress.snapshot(API_EPOCH))
        progress.send(undone)
      }
      kafka.heads.set(0, progress.snapshot(API_EPOCH))
      assign(0)
      const read = makeReader(kafka, pipeline, Array.from({ length: 3_000 }, (_, offset) => requestAt(0, offset)))
      assert.strictEqual(read(), 2_500)
      assert.strictEqual((yield* calls).at, "0@0")
      assert.isTrue(kafka.paused.has(0))
    }))
})
