import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { batchOf, createRequest, sourceRecord, unreachable } from "./fixtures/ModelKafka.ts"
import { makePipeline, quiet, settle } from "./fixtures/ModelPipeline.ts"
import { settableTime } from "./fixtures/SettableTime.ts"

const countsOf = (counts: ReadonlyArray<number>) => counts.reduce((sum, count) => sum + count, 0)

const noon = Date.UTC(2026, 10, 24, 12)

/** A request that was written at that time, and one that can't be read. */
const requests = (timestamp: number) =>
  batchOf(0, [
    sourceRecord(0, 0, createRequest("one", "192.0.2.1"), { timestamp }),
    sourceRecord(0, 1, "{", { timestamp: -1 }),
    sourceRecord(0, 2, createRequest("x".repeat(10_000), "nowhere"), { timestamp })
  ])

describe.each(["exactly-once", "at-least-once"] as const)("OutcomeHistory with delivery %s", (delivery) => {
  it.effect("has what was published, and nothing before", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(noon)
      const { assign, calls, history, kafka, pipeline } = yield* makePipeline({ delivery })
      kafka.hindrance = (what) =>
        what === "Sent" || what === "Transaction" ? Effect.fail(unreachable("publish")) : Effect.void
      assign(0)
      pipeline.handler.received(requests(noon - 400))
      settle(yield* calls)
      settle(yield* calls)
      settle(yield* calls)
      yield* quiet
      assert.deepStrictEqual([history.count(), [...history.latest()]], [0, []])
      kafka.hindrance = () => Effect.void
      yield* TestClock.adjust("2 seconds")
      yield* quiet
      assert.strictEqual(history.count(), 3)
      const ofOffset = (offset: number) => [...history.latest()].find((outcome) => outcome.offset === offset)
      assert.deepInclude(ofOffset(0), {
        code: "created",
        kind: "succeeded",
        zoneId: "zone",
        originIp: "192.0.2.1",
        id: "one",
        source: "/test",
        operation: "create",
        partition: 0,
        offset: 0,
        attempts: 1,
        recovered: false
      })
      assert.isAtLeast(ofOffset(0)?.millis ?? 0, 400)
      assert.deepInclude(ofOffset(1), { id: null, millis: undefined })
      // Of a length that nobody should have to keep.
      assert.deepInclude(ofOffset(2), { id: null, originIp: null, zoneId: "zone" })
    }))
})

describe("OutcomeHistory", () => {
  it.effect("counts whole seconds, and tells points of five as they are complete", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(noon)
      const { assign, calls, history, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(requests(noon - 1_000))
      settle(yield* calls)
      settle(yield* calls)
      settle(yield* calls)
      yield* quiet
      assert.deepStrictEqual([countsOf(history.last(10).counts), history.pointsAfter(-1)], [0, []])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(countsOf(history.last(10).counts), 3)
      assert.closeTo(history.last(10).p50 ?? 0, 1_000, 130)
      yield* TestClock.adjust("4 seconds")
      const [point, ...others] = history.pointsAfter(-1)
      assert.lengthOf(others, 0)
      assert.strictEqual(countsOf(point?.counts ?? []), 3)
      assert.closeTo(point?.time ?? 0, noon, 1_000)
      assert.deepStrictEqual(history.pointsAfter(point?.number ?? 0), [])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(history.pointsAfter(point?.number ?? 0).map(({ p50 }) => p50), [undefined, undefined])
      assert.strictEqual(countsOf(history.last(10).counts), 0)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(history.pointsAfter(-1), 179)
    }))

  it.effect("counts on where the time of day is set", () =>
    Effect.gen(function*() {
      const time = yield* settableTime
      yield* Effect.gen(function*() {
        yield* TestClock.setTime(noon)
        const { assign, calls, history, pipeline } = yield* makePipeline()
        assign(0)
        time.set(-3_600_000)
        pipeline.handler.received(requests(noon))
        settle(yield* calls)
        settle(yield* calls)
        settle(yield* calls)
        yield* quiet
        yield* TestClock.adjust("5 seconds")
        assert.lengthOf(history.pointsAfter(-1), 1)
        assert.closeTo(history.pointsAfter(-1)[0]?.time ?? 0, noon - 3_600_000, 1_000)
        // What was written in the future took no time.
        assert.strictEqual(history.last(5).p99, 0)
      }).pipe(Effect.provideService(Clock.Clock, time.clock))
    }))
})
