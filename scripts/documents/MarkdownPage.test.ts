import { assert, describe, it } from "@effect/vitest"
import { readPage } from "./MarkdownPage.ts"

const fence = "```"

describe("readPage", () => {
  const page = readPage(
    "docs/page.md",
    [
      "# A `page` of ours",
      "",
      "See [one](other.md#there), [`code`](../apps), and `[no](link.md)`.",
      "",
      "<!-- file: a.ts -->",
      "<!-- not run: it needs a cluster -->",
      "",
      `${fence}ts title`,
      "# no heading, [no](link.md)",
      fence,
      "",
      `${fence}sh`,
      "true",
      fence,
      "## When it waits, or: why?",
      "## Twice",
      "## Twice"
    ].join("\n")
  )

  it("has the blocks, with what the comments right before them say", () => {
    assert.deepStrictEqual(page.snippets, [
      {
        line: 8,
        language: "ts",
        text: "# no heading, [no](link.md)",
        marks: new Map([["file", "a.ts"], ["not run", "it needs a cluster"]])
      },
      { line: 12, language: "sh", text: "true", marks: new Map() }
    ])
  })

  it("has the links outside of code, and the anchors as GitHub makes them", () => {
    assert.deepStrictEqual(page.links, [{ line: 3, target: "other.md#there" }, { line: 3, target: "../apps" }])
    assert.deepStrictEqual([...page.anchors], ["a-page-of-ours", "when-it-waits-or-why", "twice", "twice-1"])
    assert.strictEqual(page.title, "A page of ours")
  })

  it("refuses a block without an end", () => {
    assert.throws(
      () => readPage("docs/page.md", `text\n${fence}sh\ntrue\n`),
      "docs/page.md:2: the block is never closed"
    )
  })
})
