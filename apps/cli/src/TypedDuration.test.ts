import { assert, describe, it } from "@effect/vitest"
import { typedDuration } from "./TypedDuration.ts"

describe("typedDuration", () => {
  it.each<readonly [string, number]>([
    ["90s", 90_000],
    ["30m", 1_800_000],
    ["30 min", 1_800_000],
    ["1h", 3_600_000],
    ["2d", 172_800_000],
    ["2 hours", 7_200_000],
    ["1 minute", 60_000]
  ])("takes %s", (text, millis) => {
    assert.strictEqual(typedDuration(text), millis)
  })

  it.each(["", "h", "1", "1y", "-1h", "-2 hours", "Infinity", "yesterday"])("does not take \"%s\"", (text) => {
    assert.isUndefined(typedDuration(text))
  })
})
