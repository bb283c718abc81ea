import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { TestClock } from "effect/testing"
import { type FaultPlan, readFaultPlan } from "./FaultPlan.ts"
import { Faults } from "./Faults.ts"

const planOf = (plan: unknown): FaultPlan => {
  const read = readFaultPlan(JSON.stringify(plan))
  return Result.isSuccess(read) ? read.success : assert.fail(read.failure)
}

const test = (name: string, run: (faults: Faults["Service"]) => Effect.Effect<void>) =>
  it.effect(name, () => Effect.provide(Faults.use(run), Faults.layerNoDeps))

const request = { method: "POST", zone: "zone" }
const reset = { type: "reset", when: "after" } as const

/** What as many requests, one after the other, meet. */
const fates = ({ fatesOf }: Faults["Service"], count: number) =>
  Effect.forEach(Array.from({ length: count }, () => request), fatesOf)

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

describe("Faults", () => {
  test("does nothing without a plan, and nothing after it was taken away", (faults) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* fates(faults, 2), [[], []])
      yield* faults.set(planOf({ seed: 1, rules: [{ fault: reset }] }))
      assert.deepStrictEqual(yield* fates(faults, 2), [[reset], [reset]])
      yield* faults.set(undefined)
      assert.deepStrictEqual(yield* fates(faults, 2), [[], []])
      assert.isUndefined(yield* faults.plan)
    }))

  test("hits the part of the requests that it should, the same ones with the same seed", (faults) =>
    Effect.gen(function*() {
      const run = Effect.fnUntraced(function*(seed: number) {
        yield* faults.set(planOf({ seed, rules: [{ probability: 0.3, fault: reset }] }))
        return (yield* fates(faults, 1000)).map((met) => met.length)
      })
      const first = yield* run(7)
      assert.deepStrictEqual(yield* run(7), first)
      assert.notDeepEqual(yield* run(8), first)
      // Five standard deviations of a binomial distribution.
      assert.closeTo(first.filter((met) => met === 1).length, 300, 73)
    }))

  test("lets each rule draw for itself, whatever others have drawn", (faults) =>
    Effect.gen(function*() {
      const rule = { methods: ["POST"], probability: 0.5, fault: reset }
      const other = { methods: ["DELETE"], probability: 0.5, fault: reset }
      yield* faults.set(planOf({ seed: 7, rules: [rule, other] }))
      const alone = (yield* fates(faults, 100)).map((met) => met.length)
      yield* faults.set(planOf({ seed: 7, rules: [rule, other] }))
      const mixed = yield* Effect.forEach(alone, () =>
        Effect.andThen(
          faults.fatesOf({ method: "DELETE", zone: "zone" }),
          Effect.map(faults.fatesOf(request), (met) => met.length)
        ))
      assert.deepStrictEqual(mixed, alone)
    }))

  test("happens as often as it may, and only to the methods and the zone that it names", (faults) =>
    Effect.gen(function*() {
      yield* faults.set(planOf({
        seed: 1,
        rules: [{ methods: ["POST", "PUT"], zone: "zone", times: 2, fault: reset }]
      }))
      for (const [method, zone] of [["GET", "zone"], ["POST", "other"], ["POST", undefined]] as const) {
        assert.deepStrictEqual(yield* faults.fatesOf({ method, zone }), [])
      }
      assert.deepStrictEqual(yield* fates(faults, 3), [[reset], [reset], []])
    }))

  test("draws times from the distribution that is asked for", (faults) =>
    Effect.gen(function*() {
      const millis = Effect.fnUntraced(function*(distribution: unknown) {
        yield* faults.set(planOf({ seed: 3, rules: [{ fault: { type: "delay", millis: distribution } }] }))
        return (yield* fates(faults, 2000)).map(([fate]) => fate?.type === "delay" ? fate.millis : NaN)
      })
      assert.deepStrictEqual(new Set(yield* millis(20)), new Set([20]))
      const even = yield* millis({ minimum: 10, maximum: 30 })
      assert.isTrue(even.every((value) => value >= 10 && value < 30))
      assert.closeTo(mean(even), 20, 1)
      const exponential = yield* millis({ mean: 20, maximum: 1000 })
      assert.closeTo(mean(exponential), 20, 2.5)
      assert.isTrue((yield* millis({ mean: 20, maximum: 25 })).every((value) => value <= 25))
    }))

  test("throttles everybody during a storm, and nobody after it", (faults) =>
    Effect.gen(function*() {
      const storm = { type: "throttle", retry_after: 3, storm_millis: 1000 }
      yield* faults.set(planOf({ seed: 1, rules: [{ times: 1, fault: storm }] }))
      const throttled = { type: "throttle", retryAfter: 3 }
      assert.deepStrictEqual<unknown>(yield* fates(faults, 3), [[throttled], [throttled], [throttled]])
      yield* TestClock.adjust(999)
      assert.deepStrictEqual<unknown>(yield* fates(faults, 1), [[throttled]])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* fates(faults, 1), [[]])
    }))
})

describe("readFaultPlan", () => {
  it.each<[string, unknown, RegExp]>([
    ["no JSON", undefined, /./u],
    ["no seed", { rules: [] }, /^seed: /u],
    ["an unknown field", { seed: 1, rules: [], speed: 2 }, /^speed: /u],
    ["an unknown fault", { seed: 1, rules: [{ fault: { type: "flood" } }] }, /rules\.0\.fault/u],
    [
      "a probability above 1",
      { seed: 1, rules: [{ probability: 2, fault: reset }] },
      /^rules\.0\.probability: .*between 0 and 1/u
    ],
    ["an impossible zone", { seed: 1, rules: [{ zone: "a.b", fault: reset }] }, /^rules\.0\.zone: /u],
    [
      "a status that is no fault",
      { seed: 1, rules: [{ fault: { type: "error", status: 400, when: "before" } }] },
      /status/u
    ],
    [
      "a code that is no fault",
      { seed: 1, rules: [{ fault: { type: "error", status: 500, code: 1145, when: "before" } }] },
      /code/u
    ],
    ["too many rules", { seed: 1, rules: Array.from({ length: 33 }, () => ({ fault: reset })) }, /^rules: /u]
  ])("says what is wrong with %s", (_, plan, sentence) => {
    const read = readFaultPlan(plan === undefined ? "{" : JSON.stringify(plan))
    assert.match(Result.isFailure(read) ? read.failure : "it was read", sentence)
  })
})
