import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { ApiClock } from "./ApiClock.ts"

const date = (milliseconds: number): string => new Date(milliseconds).toUTCString()

describe("ApiClock", () => {
  it.effect("is behind this machine's clock before the first answer, whatever a header that is no date says", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 hour")
      const clock = new ApiClock(yield* Clock.Clock)
      clock.observe(undefined)
      clock.observe("soon")
      assert.strictEqual(clock.reached(), 3_600_000 - 5_000)
    }))

  it.effect("can tell what the API's clock had not reached when it answered", () =>
    Effect.gen(function*() {
      const clock = new ApiClock(yield* Clock.Clock)
      assert.isAbove(clock.beyond(), 4_999)
      for (const api of [1_000_000, 1_000_999, 1_001_000]) {
        clock.observe(date(api))
        assert.isAbove(clock.beyond(), api + 999)
        assert.isAtMost(clock.beyond(), api + 2_000)
      }
    }))

  it.effect("has passed every change that it saw", () =>
    Effect.gen(function*() {
      const clock = new ApiClock(yield* Clock.Clock)
      clock.observe(date(1_000_000))
      clock.sawChange("1970-01-01T00:16:40.123Z")
      assert.strictEqual(clock.reached(), 1_000_124)
      clock.sawChange(null)
      clock.sawChange("1970-01-01T00:16:40.050Z")
      assert.strictEqual(clock.reached(), 1_000_124)
    }))

  it.effect("never runs ahead of the API's clock, and comes within a second of it", () =>
    Effect.gen(function*() {
      const ahead = 5_000_350
      const clock = new ApiClock(yield* Clock.Clock)
      for (let step = 0; step < 40; step++) {
        yield* TestClock.adjust(Duration.millis(130))
        const api = (yield* Clock.currentTimeMillis) + ahead
        clock.observe(date(api))
        assert.isAtMost(clock.reached(), api)
      }
      yield* TestClock.adjust(Duration.millis(130))
      assert.isAbove(clock.reached(), (yield* Clock.currentTimeMillis) + ahead - 200)
    }))

  it.effect("is not moved where this machine's clock is set back", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(3_600_000)
      const clock = new ApiClock(yield* Clock.Clock)
      clock.observe(date(1_000_000_000))
      yield* TestClock.setTime(0)
      assert.strictEqual(clock.reached(), 1_000_000_000)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(clock.reached(), 1_000_001_000)
    }))

  it.effect("follows a clock that was set back, once the window has passed", () =>
    Effect.gen(function*() {
      const clock = new ApiClock(yield* Clock.Clock)
      clock.observe(date(1_000_000_000))
      for (let minute = 0; minute < 3; minute++) {
        yield* TestClock.adjust("1 minute")
        clock.observe(date(500_000_000 + (yield* Clock.currentTimeMillis)))
      }
      assert.isAtMost(clock.reached(), 500_000_000 + (yield* Clock.currentTimeMillis))
    }))
})
