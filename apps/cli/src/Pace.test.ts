import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { paced } from "./Pace.ts"

/** How many of a hundred went until when. The first sending takes a while. */
const sentWith = (rate: number | undefined, seconds: number, takes = 0) =>
  Effect.gen(function*() {
    const sends: Array<readonly [number, number]> = []
    const start = yield* Clock.currentTimeMillis
    const items = Stream.range(1, 100)
    const fiber = yield* paced(items, rate, (some) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        sends.push([now - start, some.length])
        return sends.length === 1 ? Effect.sleep(takes) : Effect.void
      })).pipe(
        Effect.forkChild({ startImmediately: true })
      )
    yield* TestClock.adjust(`${seconds} seconds`)
    yield* Fiber.interrupt(fiber)
    return sends
  })

describe("paced", () => {
  it.effect("sends everything at once where no rate is given", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* sentWith(undefined, 0), [[0, 100]])
    }))

  it.effect("keeps to the rate, in steps that are short", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* sentWith(20, 1),
        Array.from({ length: 11 }, (_, step) => [step * 100, 2])
      )
      assert.deepStrictEqual(yield* sentWith(1, 2), [[0, 1], [1000, 1], [2000, 1]])
    }))

  it.effect("doesn't catch up what a slow sending has cost", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* sentWith(20, 0.7, 450), [[0, 2], [450, 2], [550, 2], [650, 2]])
    }))
})
