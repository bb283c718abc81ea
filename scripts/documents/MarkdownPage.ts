/** A fenced block of a page. */
export interface Snippet {
  /** The line of its first fence, from 1. */
  readonly line: number
  /** `sh`, `json`, …; empty where the fence names none. */
  readonly language: string
  readonly text: string
  /** What the comments right before it say, by their first word: `<!-- run: until "ready" -->` is `run` with `until "ready"`. */
  readonly marks: ReadonlyMap<string, string>
}

interface Link {
  readonly line: number
  /** As it is written, `#anchor` included. */
  readonly target: string
}

export interface MarkdownPage {
  /** From the root, such as `docs/events.md`. */
  readonly path: string
  readonly title: string
  readonly snippets: ReadonlyArray<Snippet>
  readonly links: ReadonlyArray<Link>
  /** What `#…` can name. */
  readonly anchors: ReadonlySet<string>
}

/** The anchor of a heading's text: as GitHub makes it, on the site too. */
export const anchorOf = (heading: string): string =>
  heading.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, "").replaceAll(" ", "-")

const FENCE = /^ *(`{3,})([^`]*)$/
const MARK = /^<!-- ([\w ]+?): (.+) -->$/
const HEADING = /^(#{1,6}) (.+?) *#*$/
const LINK = /\[(?:[^\][]|\[[^\]]*\])*\]\(<?([^\s)>]+)>?(?: "[^"]*")?\)/g
const REFERENCE = /^\[[^\]]+\]: +<?([^\s>]+)>?/

/** What a heading's Markdown shows. */
const shown = (heading: string): string => heading.replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "")

/** Reads what is checked of a page. A fence that is never closed is an error. */
export const readPage = (path: string, text: string): MarkdownPage => {
  const snippets: Array<Snippet> = []
  const links: Array<Link> = []
  const anchors = new Set<string>()
  let title = path
  let marks = new Map<string, string>()
  let open: { line: number; fence: string; language: string; lines: Array<string> } | undefined
  for (const [index, row] of text.split("\n").entries()) {
    const line = index + 1
    const [, fence, info = ""] = FENCE.exec(row) ?? []
    if (open !== undefined) {
      if (fence === open.fence && info === "") {
        snippets.push({ line: open.line, language: open.language, text: open.lines.join("\n"), marks })
        open = undefined
        marks = new Map()
      } else open.lines.push(row)
      continue
    }
    if (fence !== undefined) {
      open = { line, fence, language: info.trim().split(" ")[0] ?? "", lines: [] }
      continue
    }
    const [, name = "", value = ""] = MARK.exec(row) ?? []
    if (name !== "") marks.set(name, value)
    else if (row.trim() !== "") marks = new Map()
    const [, level = "", heading] = HEADING.exec(row) ?? []
    if (heading !== undefined) {
      if (level === "#" && title === path) title = shown(heading)
      const anchor = anchorOf(shown(heading))
      let unique = anchor
      for (let number = 1; anchors.has(unique); number++) unique = `${anchor}-${number}`
      anchors.add(unique)
    }
    for (const [, target = ""] of row.replaceAll(/`[^`]*`/g, "").matchAll(LINK)) links.push({ line, target })
    const [, target] = REFERENCE.exec(row) ?? []
    if (target !== undefined) links.push({ line, target })
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: the block is never closed`)
  return { path, title, snippets, links, anchors }
}
