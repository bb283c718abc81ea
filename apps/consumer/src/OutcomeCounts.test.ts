import { assert, describe, it } from "@effect/vitest"
import { OutcomeCounts, WINDOW_SECONDS } from "./OutcomeCounts.ts"

const codes = ["created", "1145", "other"]

describe("OutcomeCounts", () => {
  it("counts by code, and what has no code of its own as the last", () => {
    const counts = new OutcomeCounts(codes)
    for (const code of ["created", "1145", "created", "1999"]) counts.add(7, code, undefined)
    counts.add(8, "created", undefined)
    assert.deepStrictEqual(counts.span(7, 8).counts, [2, 1, 1])
    assert.deepStrictEqual(counts.span(7, 9).counts, [3, 1, 1])
    assert.deepStrictEqual(counts.span(9, 20).counts, [0, 0, 0])
  })

  it("forgets what is older than its window", () => {
    const counts = new OutcomeCounts(codes)
    counts.add(3, "created", 10)
    counts.add(3 + WINDOW_SECONDS, "1145", 20)
    assert.deepStrictEqual(counts.span(3, 4), { counts: [0, 0, 0], p50: undefined, p99: undefined })
    assert.deepStrictEqual(counts.span(0, 4 + WINDOW_SECONDS).counts, [0, 1, 0])
  })

  it("tells times within 13 percent, from a millisecond to a day", () => {
    for (let millis = 1.5; millis < 86_400_000; millis *= 1.7) {
      const counts = new OutcomeCounts(codes)
      counts.add(0, "created", millis)
      assert.closeTo((counts.span(0, 1).p50 ?? 0) / millis, 1, 0.13)
    }
  })

  it("tells what half of them took at most, and all but one of a hundred", () => {
    const counts = new OutcomeCounts(codes)
    for (let millis = 1; millis <= 1_000; millis++) counts.add(millis % 5, "created", millis)
    counts.add(2, "created", undefined)
    const { p50, p99 } = counts.span(0, 5)
    assert.closeTo((p50 ?? 0) / 500, 1, 0.13)
    assert.closeTo((p99 ?? 0) / 990, 1, 0.13)
  })

  it("tells no times where none are known, and those below a millisecond as none at all", () => {
    const counts = new OutcomeCounts(codes)
    counts.add(0, "created", undefined)
    assert.deepStrictEqual(counts.span(0, 1), { counts: [1, 0, 0], p50: undefined, p99: undefined })
    counts.add(0, "created", 0)
    assert.strictEqual(counts.span(0, 1).p99, 0)
    counts.add(0, "created", 1e12)
    assert.isAbove(counts.span(0, 1).p99 ?? 0, 86_400_000)
  })
})
