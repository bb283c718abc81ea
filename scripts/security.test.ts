import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./Command.ts"

const document = readFileSync(join(root, "docs/security.md"), "utf8")

const lines = document.split("\n").filter((line) => line.startsWith("- `"))

/** The test that a line names. */
const named = lines.map((line) => {
  const [, path = "", title = ""] = /^- `([^`]+\.test\.ts)`: "([^"]+)"$/.exec(line) ?? []
  return { line, path, title }
})

/** Whether a file has a test of that title, however it is called. */
const hasTest = (source: string, title: string): boolean => {
  const calls = source.split(/\bit\.|\bit\(/).slice(1)
  return calls.some((call) => ["\"", "`"].some((quote) => call.slice(0, 2000).includes(quote + title + quote)))
}

describe("The threat model, docs/security.md,", () => {
  it("names a test for every defence", () => {
    assert.isAtLeast(named.length, 40)
    for (const section of document.split(/^##+ /m).slice(1)) {
      const [heading = ""] = section.split("\n")
      const isIntroduction = heading === "Who may do what" || heading === "A hostile emitter"
      assert.isTrue(isIntroduction || section.includes("\n- `"), heading)
    }
  })

  it.each(named)("names a test that exists: $line", ({ line, path, title }) => {
    assert.notStrictEqual(path, "", line)
    assert.isTrue(existsSync(join(root, path)), `there is no ${path}`)
    assert.isTrue(hasTest(readFileSync(join(root, path), "utf8"), title), `${path} has no test "${title}"`)
  })
})
