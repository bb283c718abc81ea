import { assert, describe, it } from "@effect/vitest"
import { type Choices, forSeeds } from "@origin-regions/testkit/SeededChoices"
import { addRun, BITMAP_SPAN, decodeRuns, type DoneRun, encodeRuns } from "./DoneRuns.ts"

const HEAD = 1_000_000

/** Runs in their order, none of them touching. */
const someRuns = (choices: Choices): ReadonlyArray<DoneRun> => {
  const runs: Array<DoneRun> = []
  const spread = choices.pick([1, 2, 50, 2 ** 40]) ?? 1
  let at = HEAD
  for (let count = choices.below(choices.pick([2, 100, 2_000]) ?? 1); count > 0; count--) {
    const start = at + 1 + choices.below(spread)
    at = start + 1 + choices.below(choices.chance(0.5) ? 1 : spread)
    if (at < Number.MAX_SAFE_INTEGER / 2) runs.push({ start, end: at })
  }
  return runs
}

describe("DoneRuns", () => {
  it("grow where they touch, and not by nothing", () => {
    const runs: Array<DoneRun> = []
    for (const [start, end] of [[3, 5], [5, 5], [5, 8], [9, 9], [10, 11]] as const) addRun(runs, start, end)
    assert.deepStrictEqual(runs, [{ start: 3, end: 8 }, { start: 10, end: 11 }])
  })

  it("come back as they were, in either form", () => {
    const forms = new Set<number | undefined>()
    forSeeds(400, (choices) => {
      const runs = someRuns(choices)
      const bytes = encodeRuns(HEAD, runs)
      forms.add(bytes[0])
      assert.deepStrictEqual(decodeRuns(HEAD, bytes), runs)
    })
    assert.deepStrictEqual(forms, new Set([0, 1]))
  })

  it("take a bit for each offset at most, where they reach no further than that, and a last run of any length", () => {
    const runs = Array.from({ length: BITMAP_SPAN / 2 }, (_, index) => ({
      start: HEAD + index * 2 + 1,
      end: HEAD + index * 2 + 2
    }))
    const last = { start: HEAD + BITMAP_SPAN, end: 2 ** 52 }
    const bytes = encodeRuns(HEAD, [...runs.slice(0, -1), last])
    assert.isAtMost(bytes.length, BITMAP_SPAN / 8 + 1 + 2 + 8)
    assert.deepStrictEqual(decodeRuns(HEAD, bytes)?.at(-1), last)
  })

  it("are none where the bytes are not theirs, and never a fault", () => {
    for (const bytes of [[], [2], [0, 1], [0, 0x80], [1], [1, 9, 1, 255], [1, 0xff, 0xff, 0xff, 0xff, 0x7f, 1]]) {
      assert.isUndefined(decodeRuns(HEAD, bytes))
    }
    forSeeds(2_000, (choices) => {
      const bytes = Array.from({ length: choices.below(30) }, () => choices.below(choices.chance(0.5) ? 3 : 256))
      for (const { end, start } of decodeRuns(HEAD, bytes) ?? []) assert.isTrue(start >= HEAD && end > start)
    })
  })
})
