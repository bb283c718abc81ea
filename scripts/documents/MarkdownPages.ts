import { globSync, readFileSync } from "node:fs"
import * as NodePath from "node:path"
import { root } from "../Command.ts"
import { type MarkdownPage, readPage } from "./MarkdownPage.ts"

/** Where Markdown is for people. Changesets become part of a changelog, where they link to nothing. */
const places = ["*.md", "docs/**/*.md", "deploy/**/*.md", "{apps,packages}/*/*.md"]

/** Every page, by its path from the root. */
export const readPages = (): ReadonlyMap<string, MarkdownPage> =>
  new Map(
    globSync(places, { cwd: root }).sort().map((path) => [
      path,
      readPage(path, readFileSync(NodePath.join(root, path), "utf8"))
    ])
  )
