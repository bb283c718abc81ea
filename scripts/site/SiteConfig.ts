/** The site: the same files that are read in the repository, at the same paths, and nothing from elsewhere. */
import { copyFileSync, existsSync, globSync } from "node:fs"
import * as NodePath from "node:path"
import { defineConfig } from "vitepress"
import { root } from "../Command.ts"
import { anchorOf } from "../documents/MarkdownPage.ts"
import { readPages } from "../documents/MarkdownPages.ts"
import { isOnSite, missingPages, sidebar, topNavigation } from "./Navigation.ts"
import { withoutRepositoryLinks } from "./RepositoryLinks.ts"

const pages = new Map([...readPages()].filter(([path]) => isOnSite(path)))
const contracts = globSync("docs/*.json", { cwd: root })

/** In the repository, and not on the site; a folder is its README. What is nowhere is left to be found dead. */
const isElsewhere = (path: string): boolean =>
  existsSync(NodePath.join(root, path)) && !pages.has(path) && !pages.has(NodePath.join(path, "README.md")) &&
  !contracts.includes(path)

export const siteConfig = defineConfig({
  title: "origin-regions",
  description:
    "Tell Cloudflare which cloud region hosts an origin server, by firing an event; be told for certain what came of it.",
  lang: "en",
  srcDir: root,
  srcExclude: [...readPages().keys()].filter((path) => !pages.has(path)).concat(["scripts/**", ".*/**"]),
  rewrites: { "README.md": "index.md", "docs/decisions/README.md": "docs/decisions/index.md" },
  outDir: "./.vitepress/dist",
  cacheDir: "./.vitepress/cache",
  ignoreDeadLinks: missingPages(pages).map((name) => new RegExp(`/${name}$`)),
  markdown: {
    anchor: { slugify: anchorOf },
    theme: { light: "github-light-high-contrast", dark: "github-dark" },
    languageAlias: { jsonl: "json" },
    config: (md) => {
      md.core.ruler.after("inline", "repository-links", ({ env, tokens }) => {
        const page = env.relativePath === "index.md" ? "README.md" : env.relativePath
        for (const token of tokens) {
          withoutRepositoryLinks(token.children ?? [], page, isElsewhere)
          // Pictures in HTML: what begins with neither a dot nor a slash would be taken for the name of a package.
          if (token.type === "html_block") {
            token.content = token.content.replaceAll(/\b(src|srcset)="(?![./]|[a-z]+:)/g, "$1=\"./")
          }
        }
      })
    }
  },
  themeConfig: {
    nav: topNavigation,
    sidebar: sidebar(pages),
    outline: [2, 3],
    search: { provider: "local" },
    footer: { message: "Apache-2.0" }
  },
  buildEnd: ({ outDir }) => {
    for (const path of contracts) copyFileSync(NodePath.join(root, path), NodePath.join(outDir, path))
  }
})
