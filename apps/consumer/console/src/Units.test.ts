import { assert, describe, it } from "@effect/vitest"
import { clockTime, duration, durationText, moment, plural, rate } from "./Units.ts"

describe("Units", () => {
  it.each([
    [0.2, ["<1", "ms"]],
    [44.6, ["45", "ms"]],
    [1_000, ["1", "s"]],
    [1_449, ["1.4", "s"]],
    [12_345, ["12", "s"]],
    [300_000, ["5", "min"]],
    [5_400_000, ["90", "min"]],
    [86_400_000, ["24", "h"]]
  ])("tells %d ms in the unit that suits it", (millis, text) => {
    assert.deepStrictEqual([...duration(millis)], text)
  })

  it.each([[0, "0"], [0.01, "<0.1"], [0.26, "0.3"], [9.97, "10"], [1234.5, "1,235"]])(
    "tells a rate of %d",
    (number, text) => {
      assert.strictEqual(rate(number), text)
    }
  )

  it("tells times in UTC, with the date where it is another", () => {
    const noon = Date.UTC(2026, 10, 24, 12)
    assert.deepStrictEqual([clockTime(noon), moment(noon, noon), moment(noon, noon + 86_400_000)], [
      "12:00:00",
      "12:00:00",
      "2026-11-24 12:00:00"
    ])
  })

  it("counts things, and marks what is not known", () => {
    assert.deepStrictEqual([plural(1, "zone"), plural(1_200, "zone"), durationText(null)], [
      "1 zone",
      "1,200 zones",
      "–"
    ])
  })
})
