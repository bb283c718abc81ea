import { assert, describe, it } from "@effect/vitest"
import { ApiError, Unavailable } from "@origin-regions/api-client/ApiError"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import { Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Option, Queue } from "effect"
import { TestClock } from "effect/testing"
import { Attempt, type AttemptResult } from "./Attempt.ts"
import { layerAtLeastOnce } from "./Delivery/AtLeastOnce.ts"
import {
  batchFrom,
  batchOf,
  createRequest,
  makeModelKafka,
  type ModelKafka,
  requestAt,
  REQUESTS,
  sourceRecord,
  unreachable
} from "./fixtures/ModelKafka.ts"
import { Pipeline } from "./Pipeline.ts"
import type { Task } from "./Task.ts"

/** An attempt under way, that comes to what the test says. */
interface Call {
  readonly task: Task
  readonly at: string
  readonly finish: (result: Exit.Exit<AttemptResult>) => void
}

const created: AttemptResult = {
  _tag: "Settled",
  settlement: { _tag: "Succeeded", result: "created", mapping: null, recovered: false }
}

const waiting = (delay: Duration.Input, message = "the API is down"): AttemptResult => ({
  _tag: "Waiting",
  delay: Duration.fromInputUnsafe(delay),
  error: new ApiError({ reason: new Unavailable({ status: 503, message }) })
})

const settle = (call: Call) => call.finish(Exit.succeed(created))

/** The pipeline with its real delivery, on a model of Kafka, and with attempts that the test decides. */
const makePipeline = Effect.fnUntraced(function*(
  options: { readonly concurrency?: number; readonly attempt?: Attempt["Service"]["make"] } = {}
) {
  const kafka = yield* makeModelKafka
  const calls = yield* Queue.unbounded<Call>()
  const lines: Array<string> = []
  const attempt = (task: Task) =>
    Effect.callback<AttemptResult>((resume) => {
      const { offset, partition } = task.record
      Queue.offerUnsafe(calls, { task, at: `${partition}@${offset}`, finish: resume })
    })
  const context = yield* Layer.build(
    Pipeline.layer({ requestsTopic: REQUESTS, concurrency: options.concurrency ?? 64 }).pipe(
      Layer.provide([
        Layer.succeed(Attempt, { make: options.attempt ?? attempt }),
        layerAtLeastOnce({ groupId: "group", outcomesTopic: "outcomes", deadLettersTopic: "dead-letters" }).pipe(
          Layer.provide(kafka.layer)
        )
      ]),
      Layer.provide(Logger.layer([Logger.make(({ logLevel, message }) => {
        if (logLevel !== "Debug" && logLevel !== "Info") lines.push(`${logLevel} ${message}`)
      })]))
    )
  )
  const pipeline = Context.get(context, Pipeline)
  let epoch = 0
  return {
    pipeline,
    kafka,
    lines,
    calls: Queue.take(calls),
    /** What is under way now and was not taken from `calls`. */
    pending: Effect.map(Queue.clear(calls), (pending) => [...pending]),
    /** The group has handed out these partitions. */
    assign: (...partitions: ReadonlyArray<number>) => {
      epoch += 1
      kafka.paused.clear()
      pipeline.assigned(kafka.subscription, {
        epoch,
        heads: new Map(
          partitions.map((partition) => [partition, kafka.heads.get(partition) ?? { offset: 0, metadata: "" }])
        )
      })
    }
  }
})

/** Lets everything run that can: nothing here waits for anything but other fibers. */
const quiet = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, { discard: true })

const outcomes = (kafka: ModelKafka) =>
  kafka.taken.flatMap((taken) => {
    if (taken._tag !== "Sent" || taken.topic !== "outcomes" || taken.record.value === null) return []
    const { data } = Option.getOrThrow(readOutcome(taken.record.value))
    return [`${data.request.partition}@${data.request.offset}`]
  })

const nextCommit = (kafka: ModelKafka) =>
  Effect.repeat(kafka.nextTaken, { until: (taken) => taken._tag === "Committed" })

/** Waits until so many outcomes have been published, and what they make possible is committed. */
const published = (kafka: ModelKafka, count: number) =>
  Effect.repeat(nextCommit(kafka), { until: () => outcomes(kafka).length >= count })

describe("Pipeline", () => {
  it.effect("publishes each outcome, and only then commits its offset", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      assert.isUndefined(pipeline.handler.received(batchFrom(0, 0, 3)))
      const [first, second] = [yield* calls, yield* calls]
      settle(second)
      const sent = yield* kafka.nextTaken
      assert.deepInclude(sent, { _tag: "Sent", topic: "outcomes" })
      assert.deepInclude(yield* kafka.nextTaken, { _tag: "Committed", epoch: 1 })
      assert.strictEqual(kafka.heads.get(0)?.offset, 0)
      settle(first)
      yield* nextCommit(kafka)
      assert.deepStrictEqual(kafka.heads.get(0), { offset: 2, metadata: "" })
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

  it.effect("works on one request of an address at a time, and on the next when the outcome is committed", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
      assign(0, 1)
      const spellings = ["2001:db8::1", "2001:DB8:0::1", "2001:db8:0:0:0:0:0:1"]
      pipeline.handler.received(
        batchOf(0, spellings.slice(0, 2).map((ip, at) => sourceRecord(0, at, createRequest(`${at}`, ip))))
      )
      pipeline.handler.received(batchOf(1, [sourceRecord(1, 0, createRequest("2", spellings[2] ?? ""))]))
      const first = yield* calls
      assert.deepStrictEqual([first.at, yield* pending], ["0@0", []])
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = (what) => what === "Committed" ? Queue.take(gate) : Effect.void
      settle(first)
      assert.deepInclude(yield* kafka.nextTaken, { _tag: "Sent" })
      yield* quiet
      assert.deepStrictEqual(yield* pending, [])
      Queue.offerUnsafe(gate, undefined)
      const second = yield* calls
      assert.strictEqual(second.at, "0@1")
      settle(second)
      Queue.offerUnsafe(gate, undefined)
      assert.strictEqual((yield* calls).at, "1@0")
      assert.deepStrictEqual(outcomes(kafka), ["0@0", "0@1"])
    }))

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
      pipeline.handler.received(batchOf(0, [requestAt(0, 3)], { fetchedOffset: 0, nextOffset: 9 }))
      pipeline.handler.received(batchOf(1, [], { fetchedOffset: 0, nextOffset: 7 }))
      settle(yield* calls)
      yield* nextCommit(kafka)
      assert.deepStrictEqual(kafka.heads, new Map([[0, { offset: 9, metadata: "" }]]))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(kafka.heads.get(1), { offset: 7, metadata: "" })
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
  records: ReadonlyArray<ReturnType<typeof requestAt>>
) => {
  let position = 0
  return () => {
    while (!kafka.paused.has(0) && position < records.length) {
      const batch = records.slice(position, position + 300)
      position = pipeline.handler.received(batchOf(0, batch)) ?? (batch.at(-1)?.offset ?? 0) + 1
    }
    return position
  }
}

describe("Back-pressure", () => {
  it.effect("stops reading at 2,000 requests of a partition, and goes on at half of that, without a loss or a repeat", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
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
      assert.deepStrictEqual(kafka.heads.get(0), { offset: 5000, metadata: "" })
      assert.isFalse(kafka.paused.has(0))
    }))

  it.effect("stops reading at 4 MiB of a partition's requests", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      const read = makeReader(kafka, pipeline, largeRequests(9))
      assert.strictEqual(read(), 4)
      assert.isTrue(kafka.paused.has(0))
      // At 3 MiB and a bit it is still paused, at 2 MiB and a bit too.
      for (const paused of [true, true, false]) {
        settle(yield* calls)
        yield* nextCommit(kafka)
        assert.strictEqual(kafka.paused.has(0), paused)
      }
      assert.strictEqual(read(), 7)
      for (let offset = 3; offset < 9; offset++) {
        settle(yield* calls)
        yield* nextCommit(kafka)
        read()
      }
      assert.deepStrictEqual(kafka.heads.get(0), { offset: 9, metadata: "" })
    }))

  it.effect("stops reading where the metadata could not tell any more what is done", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      const records = Array.from({ length: 300 }, (_, index) => requestAt(0, index * 100))
      const received = () => pipeline.handler.received(batchOf(0, records, { fetchedOffset: 0 }))
      assert.strictEqual(received(), 20_000)
      assert.isTrue(kafka.paused.has(0))
      const first = yield* calls
      // With one done there is room for one more; with the first done, for many.
      settle(yield* calls)
      yield* nextCommit(kafka)
      assert.isFalse(kafka.paused.has(0))
      assert.strictEqual(received(), 20_100)
      assert.isTrue(kafka.paused.has(0))
      settle(first)
      yield* nextCommit(kafka)
      assert.strictEqual(kafka.heads.get(0)?.offset, 200)
      assert.isFalse(kafka.paused.has(0))
    }))

  it.effect("stays paused before a great gap until few enough are undone", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      const far = requestAt(0, 50_000)
      assert.strictEqual(pipeline.handler.received(batchOf(0, [...batchFrom(0, 0, 300).records, far])), 50_000)
      const first = yield* calls
      for (let undone = 299; undone >= 200; undone--) {
        assert.isTrue(kafka.paused.has(0))
        settle(yield* calls)
        yield* nextCommit(kafka)
      }
      assert.isTrue(kafka.paused.has(0))
      settle(yield* calls)
      yield* nextCommit(kafka)
      assert.isFalse(kafka.paused.has(0))
      assert.isUndefined(pipeline.handler.received(batchOf(0, [far])))
      settle(first)
      yield* nextCommit(kafka)
      assert.strictEqual(kafka.heads.get(0)?.offset, 102)
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
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      pipeline.handler.received(batchFrom(0, 0, 1))
      settle(yield* calls)
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
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      assign(0)
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      pipeline.handler.received(batchFrom(0, 0, 2))
      const [first, second] = [yield* calls, yield* calls]
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
      assert.strictEqual((yield* calls).at, "0@1")
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
        paused: false
      })
    }))

  it.effect("publishes and commits nothing of partitions that are lost", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
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
      yield* nextCommit(kafka)
      yield* TestClock.adjust("1 minute")
      // What was on its way could not be called back; after that, nothing.
      assert.deepStrictEqual(outcomes(kafka), ["0@2", "1@0"])
      assert.deepStrictEqual([...kafka.heads.keys()], [1])
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
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      const [other, lost] = [yield* calls, yield* calls]
      assert.deepStrictEqual([other.at, lost.at], ["1@0", "0@0"])
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
      const gate = yield* Queue.unbounded<void>()
      kafka.hindrance = () => Queue.take(gate)
      settle(yield* calls)
      yield* quiet
      // These go together, once the first is committed.
      for (let count = 0; count < 3; count++) settle(yield* calls)
      Queue.offerUnsafe(gate, undefined)
      Queue.offerUnsafe(gate, undefined)
      yield* nextCommit(kafka)
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
      yield* nextCommit(kafka)
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
      assign(0, 1, 2, 3, 4, 5)
      pipeline.handler.received(batchFrom(0, 0, 1))
      const crowded = [1, 2, 3, 4, 5]
      for (const partition of crowded) pipeline.handler.received(batchFrom(partition, 0, 2000))
      assert.deepInclude(pipeline.status(), { inFlight: 1, queued: 10_000 })
      yield* Deferred.succeed(gate, created)
      while (crowded.some((partition) => kafka.heads.get(partition)?.offset !== 2000)) yield* nextCommit(kafka)
      assert.lengthOf(kafka.taken.filter((taken) => taken._tag === "Sent" && taken.topic === "outcomes"), 10_001)
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
      pipeline.handler.received(batchFrom(0, 0, 300))
      assert.strictEqual(pipeline.status().waiting, 300)
      for (let step = 0; step < 52; step++) yield* TestClock.adjust("200 millis")
      assert.isAbove(attempts, 15_000)
      assert.lengthOf(lines, 3)
      assert.strictEqual(lines[0], "Warn zone/10.0.0.0 waits 200ms: connect ECONNREFUSED 127.0.0.1:1")
      assert.match(lines[1] ?? "", /^Warn 300 requests wait; zone\/10\.0\.\d+\.\d+ waits 200ms: connect ECONNREFUSED/)
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
      assert.deepStrictEqual(kafka.taken, [])
    }))

  it.effect("in publishing ends the pipeline", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline()
      kafka.hindrance = () => Effect.die("a fault of ours")
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      settle(yield* calls)
      assert.deepStrictEqual(yield* Effect.exit(pipeline.failure), Exit.die("a fault of ours"))
      assert.deepStrictEqual(kafka.heads, new Map())
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
      let refusals = 3
      kafka.hindrance = (what) => refusals-- > 0 ? Effect.fail(unreachable(`write (${what})`)) : Effect.void
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 1))
      settle(yield* calls)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(outcomes(kafka), ["0@0"])
      assert.deepStrictEqual(kafka.heads.get(0), { offset: 1, metadata: "" })
      assert.lengthOf(lines, 3)
      assert.match(lines[0] ?? "", /^Warn Could not write \(Sent\): no broker answers\. Outcomes wait; trying again$/)
    }))
})
