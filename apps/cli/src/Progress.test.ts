import { assert, describe, it } from "@effect/vitest"
import { progressLine } from "./Progress.ts"

const bar = (done: number, all: number) => progressLine({ doing: "Sending", done, all })

describe("progressLine", () => {
  it("has a bar where the end is known", () => {
    assert.strictEqual(progressLine({ doing: "Checking", done: 12_345, all: undefined }), "Checking 12,345")
    assert.strictEqual(bar(0, 2_000), `Sending ${"─".repeat(30)} 0 of 2,000`)
    assert.strictEqual(bar(1_000, 2_000), `Sending ${"━".repeat(15)}${"─".repeat(15)} 1,000 of 2,000`)
    assert.strictEqual(bar(2_000, 2_000), `Sending ${"━".repeat(30)} 2,000 of 2,000`)
  })
})
