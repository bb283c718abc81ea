import { assert, describe, it } from "@effect/vitest"
import { existsSync } from "node:fs"
import * as NodePath from "node:path"
import { root } from "../Command.ts"
import type { MarkdownPage } from "./MarkdownPage.ts"
import { readPages } from "./MarkdownPages.ts"

const pages = readPages()

/** What is wrong with where a link leads; nothing is asked of other hosts. */
const problemOf = (page: MarkdownPage, target: string): string | undefined => {
  if (/^[a-z]+:/.test(target)) return undefined
  const [file = "", anchor] = target.split("#")
  const path = file === "" ? page.path : NodePath.join(NodePath.dirname(page.path), decodeURI(file))
  if (path.startsWith("..")) return "leads out of the repository"
  if (!existsSync(NodePath.join(root, path))) return "is not there"
  if (anchor === undefined) return undefined
  const linked = pages.get(path)
  if (linked === undefined) return "has no headings"
  return linked.anchors.has(anchor) ? undefined : `has no heading for #${anchor}`
}

describe("Links of the documents", () => {
  it.each([...pages.values()])("$path leads only to what is there", (page) => {
    const problems = page.links.flatMap(({ line, target }) => {
      const problem = problemOf(page, target)
      return problem === undefined ? [] : [`${page.path}:${line}: ${target} ${problem}`]
    })
    assert.deepStrictEqual(problems, [])
  })
})
