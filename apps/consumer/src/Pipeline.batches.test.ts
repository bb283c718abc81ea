import { assert, describe, it } from "@effect/vitest"
import { ApiError, RateLimited, Unavailable } from "@origin-regions/api-client/ApiError"
import { type Operation, requestTypes } from "@origin-regions/domain/Operation"
import { Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { BatchedResult } from "./Attempt.ts"
import { API_EPOCH, batchOf, sourceRecord } from "./fixtures/ModelKafka.ts"
import { type Call, makePipeline, outcomes, quiet, settle } from "./fixtures/ModelPipeline.ts"

const goesAlone: BatchedResult = { _tag: "GoesAlone" }

const upserted: BatchedResult = {
  _tag: "Settled",
  settlement: { _tag: "Succeeded", result: "upserted", mapping: null, recovered: false }
}

const refused: BatchedResult = {
  _tag: "Settled",
  settlement: { _tag: "Rejected", code: 1157, message: "No such region." }
}

interface Asked {
  readonly ip?: string
  readonly operation?: Operation
  readonly zoneId?: string
}

/** Requests of partition 0, from offset 0 on, each of an address of its own if nothing else is said. */
const requests = (asked: ReadonlyArray<Asked>, from = 0) =>
  batchOf(
    0,
    asked.map(({ ip, operation = "upsert", zoneId = "zone" }, index) =>
      sourceRecord(
        0,
        from + index,
        JSON.stringify({
          specversion: "1.0",
          id: `${from + index}`,
          source: "/test",
          type: requestTypes[operation],
          data: { zone_id: zoneId, ip: ip ?? `10.0.${index >> 8}.${index & 255}`, vendor: "aws", region: "us-east-1" }
        })
      )
    )
  )

const create = (ip: string): Asked => ({ ip, operation: "create" })

const many = (count: number, rest: Asked = {}) => requests(Array.from({ length: count }, () => rest))

const sizes = (calls: ReadonlyArray<Call>) => calls.map(({ tasks }) => tasks.length)

const finish = (call: Call, ...results: ReadonlyArray<BatchedResult>) => {
  for (const task of call.tasks) task.attempts += 1
  call.finishTogether(results)
}

describe("Batches", () => {
  it.effect("are not made where there are free calls for all", () =>
    Effect.gen(function*() {
      const { assign, pending, pipeline } = yield* makePipeline({ concurrency: 8 })
      assign(0)
      pipeline.handler.received(many(8))
      assert.deepStrictEqual(sizes(yield* pending), Array.from({ length: 8 }, () => 1))
    }))

  it.effect("share out what is ready among the calls that are free", () =>
    Effect.gen(function*() {
      const { assign, pending, pipeline } = yield* makePipeline({ concurrency: 8 })
      assign(0)
      pipeline.handler.received(many(100))
      const calls = yield* pending
      assert.deepStrictEqual(sizes(calls), [13, 13, 13, 13, 12, 12, 12, 12])
      assert.deepInclude(pipeline.status(), { calls: 8, inFlight: 100, queued: 0 })
    }))

  it.effect("have as many items as they may, where calls are counted", () =>
    Effect.gen(function*() {
      const { assign, kafka, pending, pipeline } = yield* makePipeline({ concurrency: 8, batchSize: 50 })
      kafka.quota.own(1)
      kafka.quota.observe({ ratelimit: "\"default\";r=1000;t=300" })
      assign(0)
      pipeline.handler.received(many(120))
      const calls = yield* pending
      assert.deepStrictEqual(sizes(calls), [50, 50])
      calls.forEach(settle)
      assert.deepStrictEqual(sizes(yield* pending), [20])
    }))

  it.effect("gather behind a call to their zone where calls are counted, and go when it is over, or when there are enough", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ batchSize: 4 })
      kafka.quota.own(1)
      kafka.quota.observe({ ratelimit: "\"default\";r=1000;t=300" })
      assign(0)
      pipeline.handler.received(requests([{ ip: "10.1.0.1" }]))
      assert.strictEqual((yield* calls).at, "0@0")
      pipeline.handler.received(requests([{ ip: "10.1.0.2" }, { ip: "10.2.0.1", zoneId: "other" }], 1))
      assert.strictEqual((yield* calls).at, "0@2")
      pipeline.handler.received(requests([{ ip: "10.1.0.3" }, { ip: "10.1.0.4" }], 3))
      assert.deepStrictEqual(yield* pending, [])
      pipeline.handler.received(requests([{ ip: "10.1.0.5" }, { ip: "10.1.0.6" }], 5))
      assert.strictEqual((yield* calls).at, "0@1 0@3 0@4 0@5")
      pipeline.handler.received(requests([{ ip: "10.1.0.7" }], 7))
      assert.deepStrictEqual(yield* pending, [])
      // Neither call has an answer.
      yield* TestClock.adjust("1 second")
      const last = yield* calls
      assert.strictEqual(last.at, "0@6 0@7")
      pipeline.handler.received(requests([{ ip: "10.1.0.8" }], 8))
      assert.deepStrictEqual(yield* pending, [])
      settle(last)
      assert.deepStrictEqual(yield* pending, [])
    }))

  it.effect("go when the calls to their zone are over", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline()
      kafka.quota.own(1)
      kafka.quota.observe({ ratelimit: "\"default\";r=1000;t=300" })
      assign(0)
      for (let turn = 0; turn < 3; turn++) {
        pipeline.handler.received(requests([{ ip: `10.1.${turn}.1` }], turn * 4))
        const first = yield* calls
        pipeline.handler.received(requests(
          Array.from({ length: 3 }, (_, index) => ({ ip: `10.1.${turn}.${index + 2}` })),
          turn * 4 + 1
        ))
        assert.deepStrictEqual(yield* pending, [])
        settle(first)
        const batch = yield* calls
        assert.lengthOf(batch.tasks, 3)
        settle(batch)
      }
    }))

  it.effect("are of one zone and one operation, and have no creates where these can't go together", () =>
    Effect.gen(function*() {
      const { assign, pending, pipeline } = yield* makePipeline({ concurrency: 5 })
      assign(0)
      const kinds: ReadonlyArray<Asked> = [
        { operation: "create" },
        { operation: "upsert" },
        { operation: "delete" },
        { operation: "upsert", zoneId: "other" }
      ]
      pipeline.handler.received(requests(Array.from({ length: 100 }, (_, index) => kinds[index % 4] ?? {})))
      const calls = yield* pending
      assert.lengthOf(calls, 5)
      assert.isAbove(Math.max(...sizes(calls)), 10)
      for (const { tasks } of calls) {
        const kind = new Set(tasks.map(({ request: { operation, zoneId } }) => `${operation} ${zoneId}`))
        assert.strictEqual(kind.size, 1)
        if (tasks[0]?.request.operation === "create") assert.lengthOf(tasks, 1)
      }
    }))

  it.effect("have creates where these can go together, also those that may have been sent before", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 1, batchesCreates: true })
      assign(0)
      pipeline.handler.received(
        requests([{ operation: "create" }, { operation: "create" }, { operation: "upsert" }, { operation: "create" }])
      )
      const batch = yield* calls
      assert.strictEqual(batch.at, "0@0 0@1 0@3")
      const error = new ApiError({ reason: new Unavailable({ status: 503, message: "busy" }) })
      const waiting: BatchedResult = { _tag: "Waiting", delay: Duration.seconds(2), error }
      batch.task.inDoubt = true
      finish(batch, waiting, waiting, waiting)
      settle(yield* calls)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual((yield* pending).map(({ at }) => at), ["0@0 0@1 0@3"])
    }))

  it.effect("have one request of an address at a time, in their order", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(requests([{ ip: "10.1.0.1" }, { ip: "10.1.0.1" }, { ip: "10.1.0.2" }]))
      const first = yield* calls
      assert.strictEqual(first.at, "0@0 0@2")
      settle(first)
      const next = yield* calls
      assert.strictEqual(next.at, "0@1")
      assert.deepStrictEqual(outcomes(kafka), ["0@0", "0@2"])
      assert.deepStrictEqual(yield* pending, [])
    }))

  it.effect("give each request its own result; one that fails goes alone, and holds up nobody", () =>
    Effect.gen(function*() {
      const { assign, calls, kafka, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(requests([{}, { ip: "10.1.0.2" }, {}, { ip: "10.1.0.2" }]))
      const batch = yield* calls
      assert.strictEqual(batch.at, "0@0 0@1 0@2")
      finish(batch, upserted, goesAlone, upserted)
      const alone = yield* calls
      assert.strictEqual(alone.at, "0@1")
      assert.strictEqual(pipeline.status().zones.size, 0)
      finish(alone, refused)
      const last = yield* calls
      assert.strictEqual(last.at, "0@3")
      settle(last)
      yield* quiet
      assert.sameMembers(outcomes(kafka), ["0@0", "0@1", "0@2", "0@3"])
    }))

  it.effect("wait together, and go together again", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(many(10))
      const batch = yield* calls
      const error = new ApiError({ reason: new Unavailable({ status: 503, message: "busy" }) })
      const delay = Duration.seconds(2)
      finish(batch, ...batch.tasks.map((): BatchedResult => ({ _tag: "Waiting", delay, error })))
      assert.deepInclude(pipeline.status(), { calls: 0, inFlight: 0, waiting: 10 })
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(yield* pending, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(sizes(yield* pending), [10])
    }))

  it.effect("count as one call for the zone's circuit", () =>
    Effect.gen(function*() {
      const { assign, calls, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(many(20))
      const error = new ApiError({ reason: new Unavailable({ status: 503, message: "busy" }) })
      const waiting: BatchedResult = { _tag: "Waiting", delay: Duration.millis(10), error }
      for (let failure = 1; failure <= 5; failure++) {
        assert.strictEqual(pipeline.status().zones.size, 0)
        const batch = yield* calls
        finish(batch, ...batch.tasks.map(() => waiting))
        yield* TestClock.adjust("10 millis")
      }
      assert.deepStrictEqual([...pipeline.status().zones.keys()], ["zone"])
      yield* TestClock.adjust("1 second")
      const probe = yield* calls
      assert.lengthOf(probe.tasks, 1)
      settle(probe)
      assert.lengthOf((yield* calls).tasks, 19)
    }))

  it.effect("are no failure of the zone's where some were answered", () =>
    Effect.gen(function*() {
      const { assign, calls, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      const error = new ApiError({ reason: new Unavailable({ status: 503, message: "busy" }) })
      for (let batch = 0; batch < 6; batch++) {
        pipeline.handler.received(requests([{ ip: `10.1.0.${batch}` }, { ip: `10.1.1.${batch}` }], batch * 2))
        finish(yield* calls, { _tag: "Waiting", delay: Duration.hours(1), error }, upserted)
      }
      assert.deepInclude(pipeline.status(), { waiting: 6, zones: new Map() })
    }))

  it.effect("stop all calls by one refusal for their number", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 2 })
      assign(0)
      pipeline.handler.received(many(300))
      const [first] = [yield* calls, yield* calls]
      const error = new ApiError({ reason: new RateLimited({ message: "slow down" }) })
      finish(
        first,
        ...first.tasks.map((): BatchedResult => ({ _tag: "Waiting", delay: Duration.seconds(60), error }))
      )
      assert.isDefined(pipeline.status().apiPause)
      assert.deepStrictEqual(yield* pending, [])
    }))

  it.effect("stop all calls by one refusal for their number, though some of them were answered", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(many(4))
      const error = new ApiError({ reason: new RateLimited({ message: "slow down" }) })
      finish(yield* calls, upserted, { _tag: "Waiting", delay: Duration.seconds(60), error })
      assert.isDefined(pipeline.status().apiPause)
      assert.deepStrictEqual(yield* pending, [])
    }))

  it.effect("leave nothing behind when they are not asked for", () =>
    Effect.gen(function*() {
      const { assign, pending, pipeline } = yield* makePipeline({ concurrency: 2, batchSize: 1 })
      assign(0)
      pipeline.handler.received(many(100))
      assert.deepStrictEqual(sizes(yield* pending), [1, 1])
    }))
})

describe("A create behind a batch", () => {
  const upsertThenCreate = requests([{ ip: "10.1.0.1" }, { ip: "10.1.0.2" }, { ip: "10.1.0.1", operation: "create" }])

  it.effect("is sent once it counts as sent after what the batch has changed, and no sooner", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(upsertThenCreate)
      settle(yield* calls)
      assert.deepStrictEqual(yield* pending, [])
      const [wait] = pipeline.status().partitions
      assert.strictEqual(pipeline.status().waits.address, 1)
      assert.match(wait?.wait?.reason ?? "", /has just been changed/)
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(yield* pending, [])
      yield* TestClock.adjust("2 seconds")
      const [create] = yield* pending
      assert.strictEqual(create?.at, "0@2")
      assert.isAtLeast(create?.task.undone.attemptedSince ?? 0, API_EPOCH + 2_000)
    }))

  it.effect("of creates is held up alike, and no other one in its own batch", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 1, batchesCreates: true })
      assign(0)
      pipeline.handler.received(requests([create("10.1.0.1"), create("10.1.0.2"), create("10.1.0.3")]))
      const first = yield* calls
      const existing: BatchedResult = {
        _tag: "Settled",
        settlement: { _tag: "Rejected", code: 1145, message: "It is there." }
      }
      finish(first, upserted, upserted, existing)
      yield* quiet
      pipeline.handler.received(
        requests([create("10.1.0.1"), create("10.1.0.2"), create("10.1.0.3"), create("10.1.0.4")], 3)
      )
      const next = yield* calls
      assert.strictEqual(next.at, "0@5 0@6")
      settle(next)
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(yield* pending, [])
      yield* TestClock.adjust("2 seconds")
      const [last] = yield* pending
      assert.strictEqual(last?.at, "0@3 0@4")
      for (const { undone } of last?.tasks ?? []) assert.isAtLeast(undone.attemptedSince ?? 0, API_EPOCH + 2_000)
    }))

  it.effect("of another address goes at once", () =>
    Effect.gen(function*() {
      const { assign, calls, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(
        requests([{ ip: "10.1.0.1" }, { ip: "10.1.0.2" }, { ip: "10.1.0.3", operation: "create" }])
      )
      settle(yield* calls)
      assert.strictEqual((yield* calls).at, "0@2")
    }))

  it.effect("behind one upsert alone goes at once", () =>
    Effect.gen(function*() {
      const { assign, calls, pipeline } = yield* makePipeline({ concurrency: 1 })
      assign(0)
      pipeline.handler.received(requests([{ ip: "10.1.0.1" }, { ip: "10.1.0.1", operation: "create" }]))
      settle(yield* calls)
      assert.strictEqual((yield* calls).at, "0@1")
    }))

  it.effect("is not taken for the maker of what the batch has made, by who has the partition after a crash", () =>
    Effect.gen(function*() {
      const before = yield* makePipeline({ concurrency: 1 })
      before.assign(0)
      before.pipeline.handler.received(upsertThenCreate)
      settle(yield* before.calls)
      assert.deepStrictEqual(yield* before.pending, [])
      const { assign, kafka, pending, pipeline } = yield* makePipeline()
      const head = before.kafka.heads.get(0) ?? assert.fail("nothing was committed")
      assert.strictEqual(head.offset, 2)
      kafka.heads.set(0, head)
      assign(0)
      pipeline.handler.received(requests([{ ip: "10.1.0.1", operation: "create" }], 2))
      assert.deepStrictEqual(yield* pending, [])
      yield* TestClock.adjust("4 seconds")
      const [create] = yield* pending
      assert.strictEqual(create?.at, "0@2")
      assert.isTrue(create?.task.inDoubt)
      assert.isAtLeast(create?.task.undone.attemptedSince ?? 0, API_EPOCH + 2_000)
      create?.finish(Exit.succeed({ _tag: "Settled", settlement: { _tag: "Failed", name: "expired", message: "" } }))
    }))

  it.effect("is sent no sooner by who has the partition next, whatever address it is of", () =>
    Effect.gen(function*() {
      const before = yield* makePipeline({ concurrency: 1 })
      before.assign(0)
      before.pipeline.handler.received(many(2))
      settle(yield* before.calls)
      yield* Fiber.join(yield* Effect.forkChild(before.pipeline.handler.drain))
      const { assign, kafka, pending, pipeline } = yield* makePipeline()
      kafka.heads.set(0, before.kafka.heads.get(0) ?? assert.fail("nothing was committed"))
      assign(0)
      pipeline.handler.received(requests([{ operation: "create" }], 2))
      assert.deepStrictEqual(yield* pending, [])
      yield* TestClock.adjust("4 seconds")
      const [create] = yield* pending
      assert.strictEqual(create?.at, "0@2")
      assert.isAtLeast(create?.task.undone.attemptedSince ?? 0, API_EPOCH + 2_000)
      create?.finish(Exit.succeed({ _tag: "Settled", settlement: { _tag: "Failed", name: "expired", message: "" } }))
    }))
})
