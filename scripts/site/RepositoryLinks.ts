import * as NodePath from "node:path"

/** As much of a token of markdown-it as is changed here. */
export interface LinkToken {
  readonly type: string
  tag: string
  attrGet(name: string): string | null
  attrs: Array<[string, string]> | null
}

/**
 * Links to what is in the repository and not on the site, such as a source or a manifest, become a text that says where it is. `isElsewhere` is asked about
 * paths from the root; `page` is where the links are.
 */
export const withoutRepositoryLinks = (
  tokens: ReadonlyArray<LinkToken>,
  page: string,
  isElsewhere: (path: string) => boolean
): void => {
  let changed = false
  for (const token of tokens) {
    if (token.type === "link_open") {
      const target = token.attrGet("href") ?? ""
      const [file = ""] = target.split("#")
      const path = NodePath.join(NodePath.dirname(page), file)
      changed = file !== "" && !/^([a-z]+:|\/)/.test(target) && isElsewhere(path)
      if (!changed) continue
      token.tag = "span"
      token.attrs = [["class", "in-repository"], ["title", `${path}, in the repository`]]
    } else if (token.type === "link_close" && changed) {
      token.tag = "span"
      changed = false
    }
  }
}
