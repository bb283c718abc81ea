import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Random, Ref } from "effect"
import { TestClock } from "effect/testing"
import {
  AlreadyExists,
  ApiError,
  type ApiErrorReason,
  BadCredential,
  InvalidResponse,
  NotFound,
  RateLimited,
  Rejected,
  Unavailable,
  Unreachable
} from "./ApiError.ts"
import { delayBefore, retryTransient } from "./RetryPolicy.ts"

const down = new Unavailable({ status: 503, message: "down" })
const limited = (retryAfter: Duration.Input) =>
  new RateLimited({ code: 971, message: "wait", retryAfter: Duration.fromInputUnsafe(retryAfter) })

const millis = (attempts: number, reason: ApiErrorReason, random: number) => {
  const delay = delayBefore(attempts, reason, random)
  return delay === undefined ? undefined : Duration.toMillis(delay)
}

describe("delayBefore", () => {
  it("doubles from 200 ms up to 30 s", () => {
    assert.deepStrictEqual([1, 2, 3, 7, 8, 9, 100, 10_000].map((attempts) => millis(attempts, down, 1)), [
      200,
      400,
      800,
      12_800,
      25_600,
      30_000,
      30_000,
      30_000
    ])
  })

  it("jitters over the whole range", () => {
    assert.strictEqual(millis(3, down, 0), 0)
    assert.strictEqual(millis(3, down, 0.25), 200)
  })

  it("waits for Retry-After in full, then the jittered part, so that blocked calls don't return together", () => {
    assert.strictEqual(millis(1, limited("7 seconds"), 0), 7_000)
    assert.strictEqual(millis(1, limited("7 seconds"), 0.5), 7_100)
    assert.strictEqual(
      millis(2, new Unavailable({ status: 503, message: "down", retryAfter: Duration.seconds(2) }), 0.5),
      2_200
    )
  })

  it("waits for no Retry-After longer than five minutes", () => {
    assert.strictEqual(millis(1, limited("1 hour"), 0), 300_000)
    assert.strictEqual(millis(1, limited("Infinity"), 0), 300_000)
  })

  it("tells who needs another attempt", () => {
    const again: ReadonlyArray<ApiErrorReason> = [
      down,
      limited("1 second"),
      new Unreachable({ cause: "refused", sent: false }),
      new InvalidResponse({ status: 200, problem: "an empty body" })
    ]
    const never: ReadonlyArray<ApiErrorReason> = [
      new AlreadyExists({ code: 1145, message: "" }),
      new NotFound({ code: 1142, message: "" }),
      new Rejected({ code: 1157, name: "unsupported_region", message: "", status: 400 }),
      new BadCredential({ code: 10000, message: "" })
    ]
    for (const reason of again) assert.isDefined(delayBefore(1, reason, 0.5), reason._tag)
    for (const reason of never) assert.isUndefined(delayBefore(1, reason, 0.5), reason._tag)
  })
})

const failing = (reasons: ReadonlyArray<ApiErrorReason>) =>
  Effect.gen(function*() {
    const times = yield* Ref.make<ReadonlyArray<number>>([])
    const call = Effect.gen(function*() {
      const attempt = (yield* Ref.get(times)).length
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* Ref.update(times, (times) => [...times, now])
      const reason = reasons[attempt]
      return reason === undefined ? attempt + 1 : yield* new ApiError({ reason })
    })
    return { call, times }
  })

describe("retryTransient", () => {
  it.effect("waits between attempts as delayBefore says, by Effect's randomness", () =>
    Effect.gen(function*() {
      const reasons = [down, limited("7 seconds"), limited("1 hour"), down]
      const randoms = yield* Random.withSeed(Effect.all(reasons.map(() => Random.next)), "seed")
      const { call, times } = yield* failing(reasons)
      const fiber = yield* call.pipe(retryTransient(10), Random.withSeed("seed"), Effect.forkChild)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* Fiber.join(fiber), 5)
      const at = yield* Ref.get(times)
      reasons.forEach((reason, index) => {
        const wait = (at[index + 1] ?? 0) - (at[index] ?? 0)
        assert.approximately(wait, millis(index + 1, reason, randoms[index] ?? 0) ?? 0, 1, `wait ${index + 1}`)
      })
    }))

  it.effect("gives up after so many retries, with the last error", () =>
    Effect.gen(function*() {
      const { call, times } = yield* failing(Array.from({ length: 10 }, () => down))
      const fiber = yield* call.pipe(retryTransient(3), Effect.flip, Effect.forkChild)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* Fiber.join(fiber)).reason, down)
      assert.lengthOf(yield* Ref.get(times), 4)
    }))

  it.effect("doesn't repeat what can't succeed", () =>
    Effect.gen(function*() {
      const rejected = new Rejected({ code: 1157, name: "unsupported_region", message: "no", status: 400 })
      const { call, times } = yield* failing([rejected])
      assert.strictEqual((yield* Effect.flip(retryTransient(3)(call))).reason, rejected)
      assert.lengthOf(yield* Ref.get(times), 1)
    }))
})
