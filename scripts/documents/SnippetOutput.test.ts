import { assert, describe, it } from "@effect/vitest"
import { isShownAs } from "./SnippetOutput.ts"

describe("isShownAs", () => {
  it.each([
    ["what is the same", "one\ntwo", "one\ntwo\n", true],
    ["another text", "one\ntwo", "one\nthree", false],
    ["more than is shown", "one", "one\ntwo", false],
    ["less than is shown", "one\ntwo", "one", false],
    ["anything within a line", "sent … to …", "sent 17 to 127.0.0.1:9092", true],
    ["no more than that line", "sent …", "sent 17\nand more", false],
    ["any lines", "…\nlast", "one\ntwo\nlast", true],
    ["no lines at all", "…\nlast", "last", true],
    ["a first line that is indented", "…\n   last", "   last", true],
    ["not without the last one", "…\nlast", "one\ntwo", false],
    [
      "other ids, times and columns",
      "a1a1a1a1-0000-5000-8000-000000000000  at 2026-11-24T12:00:00.123Z",
      [
        "b2b2b2b2-1111-5000-8000-000000000000     at 2027-01-01T00:00:00Z"
      ].join(""),
      true
    ],
    ["signs that mean something in patterns", "1.0 (a|b)", "1x0 (a|b)", false]
  ])("takes or refuses %s", (_, shown, actual, expected) => {
    assert.strictEqual(isShownAs(shown, actual), expected)
  })
})
