import { assert, describe, it } from "@effect/vitest"
import { RecentOutcomes, rememberedText } from "./RecentOutcomes.ts"

const offsets = (recent: RecentOutcomes) => [...recent.latest()].map(({ offset }) => offset)

const fill = (recent: RecentOutcomes, ...all: ReadonlyArray<number>) => {
  for (const offset of all) Object.assign(recent.next() ?? {}, { offset })
}

describe("RecentOutcomes", () => {
  it("remembers the last, from the latest on, and uses the same slots again", () => {
    const recent = new RecentOutcomes(3)
    assert.deepStrictEqual([offsets(recent), recent.size, recent.added], [[], 0, 0])
    fill(recent, 1, 2)
    assert.deepStrictEqual([offsets(recent), recent.size, recent.added], [[2, 1], 2, 2])
    const slots = new Set(recent.latest())
    fill(recent, 3, 4, 5, 6, 7)
    assert.deepStrictEqual([offsets(recent), recent.size, recent.added], [[7, 6, 5], 3, 7])
    assert.isTrue(slots.isSubsetOf(new Set(recent.latest())))
  })

  it("keeps no text that is longer than an id should be", () => {
    assert.strictEqual(rememberedText("x".repeat(256)), "x".repeat(256))
    assert.isNull(rememberedText("x".repeat(257)))
    assert.isNull(rememberedText(null))
  })
})
