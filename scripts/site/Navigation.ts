import type { MarkdownPage } from "../documents/MarkdownPage.ts"

/** The pages in the order in which a reader needs them. Those that are not there are left out, and those of `docs` that are not named here come last. */
const groups = [
  { text: "Use", pages: ["get-started", "emit", "events", "guarantees"] },
  { text: "Run", pages: ["deploy", "settings", "security", "operations", "steer", "cli", "console", "scaling"] },
  { text: "Watch", pages: ["waiting", "metrics", "alerts", "logs", "traces"] },
  { text: "Know how", pages: ["architecture", "api-compatibility", "benchmarks"] }
]

/** Those that have a place here, and are still to be written: others may link to them already. */
export const missingPages = (pages: ReadonlyMap<string, MarkdownPage>): ReadonlyArray<string> =>
  groups.flatMap(({ pages: names }) => names.filter((name) => !pages.has(`docs/${name}.md`)))

export interface NavigationItem {
  readonly text: string
  readonly link?: string
  readonly collapsed?: boolean
  readonly items?: Array<NavigationItem>
}

/** Whether a page is part of the site. */
export const isOnSite = (path: string): boolean =>
  path === "README.md" || path === "CONTRIBUTING.md" || path.startsWith("docs/")

const DECISIONS = "docs/decisions/"

const item = ({ path, title }: MarkdownPage): NavigationItem => ({ text: title, link: `/${path.replace(/\.md$/, "")}` })

/** What stands beside each page. */
export const sidebar = (pages: ReadonlyMap<string, MarkdownPage>): Array<NavigationItem> => {
  const named = new Set(groups.flatMap(({ pages }) => pages.map((name) => `docs/${name}.md`)))
  const others = [...pages.values()].filter(({ path }) => /^docs\/[^/]+\.md$/.test(path) && !named.has(path))
  const decisions = [...pages.values()].filter(({ path }) => /^docs\/decisions\/\d/.test(path))
  const contributing = pages.get("CONTRIBUTING.md")
  return [
    { text: "What it is", link: "/" },
    ...groups.map(({ pages: names, text }) => ({
      text,
      items: names.flatMap((name) => {
        const page = pages.get(`docs/${name}.md`)
        return page === undefined ? [] : [item(page)]
      })
    })),
    ...(others.length === 0 ? [] : [{ text: "More", items: others.map(item) }]),
    { text: "Decisions", link: `/${DECISIONS}`, collapsed: true, items: decisions.map(item) },
    ...(contributing === undefined ? [] : [item(contributing)])
  ]
}

/** What stands above each page. */
export const topNavigation: Array<{ readonly text: string; readonly link: string }> = [
  { text: "Get started", link: "/docs/get-started" },
  { text: "Outcomes", link: "/docs/events#outcomes" },
  { text: "Settings", link: "/docs/settings" },
  { text: "Alerts", link: "/docs/alerts" }
]
