import { assert, describe, it } from "@effect/vitest"
import { type LinkToken, withoutRepositoryLinks } from "./RepositoryLinks.ts"

const link = (href: string): ReadonlyArray<LinkToken> => {
  const open: LinkToken = {
    type: "link_open",
    tag: "a",
    attrs: [["href", href]],
    attrGet: () => href
  }
  return [open, { type: "text", tag: "", attrs: null, attrGet: () => null }, {
    ...open,
    type: "link_close",
    attrs: null
  }]
}

const changed = (href: string) => {
  const tokens = link(href)
  withoutRepositoryLinks(tokens, "docs/alerts.md", (path) => path.startsWith("deploy/"))
  return tokens.map(({ attrs, tag }) => [tag, ...attrs ?? []])
}

describe("Links on the site", () => {
  it.each(["waiting.md", "waiting.md#the-quota", "#here", "https://keda.sh", "/docs/waiting"])("keeps %s", (href) => {
    assert.deepStrictEqual(changed(href), [["a", ["href", href]], [""], ["a"]])
  })

  it("says of what is not on it where it is", () => {
    assert.deepStrictEqual(changed("../deploy/prometheus/rules/origin-regions.yml"), [
      ["span", ["class", "in-repository"], ["title", "deploy/prometheus/rules/origin-regions.yml, in the repository"]],
      [""],
      ["span"]
    ])
  })
})
