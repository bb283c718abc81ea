import { assert, describe, it } from "@effect/vitest"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Result, Schema } from "effect"
import { mayChangeBy, readAllowRules } from "./AllowRules.ts"

const zone = Schema.decodeUnknownSync(ZoneId)

const rules = (...allow: ReadonlyArray<{ readonly source: string; readonly zones: ReadonlyArray<string> }>) => {
  const mayChange = mayChangeBy(Result.getOrThrow(readAllowRules(JSON.stringify({ allow }))))
  return (source: string, zoneId: string) => mayChange(source, zone(zoneId))
}

const problemOf = (json: string) => {
  const read = readAllowRules(json)
  return Result.isFailure(read) ? read.failure : "no problem"
}

describe("Allow rules", () => {
  it("let a source change the zones that they name for it, and no others", () => {
    const may = rules({ source: "/shop", zones: ["shop", "shop-2"] }, { source: "/blog", zones: ["blog"] })
    assert.deepStrictEqual(
      [may("/shop", "shop"), may("/shop", "shop-2"), may("/blog", "blog")],
      [true, true, true]
    )
    for (const [source, zoneId] of [["/shop", "blog"], ["/blog", "shop"], ["/shop", "sho"], ["/shop", "shop-20"]]) {
      assert.isFalse(may(source ?? "", zoneId ?? ""), `${source} ${zoneId}`)
    }
  })

  it("let nobody do anything whom they do not name", () => {
    const may = rules({ source: "/shop", zones: ["*"] })
    for (
      const source of ["/other", "", "/", "/sho", "/shop/", "/shop2", "/SHOP", " /shop", "__proto__", "constructor"]
    ) {
      assert.isFalse(may(source, "shop"), source)
    }
  })

  it("with a * take every text that begins so", () => {
    const may = rules({ source: "/teams/shop/*", zones: ["shop-*", "common"] })
    assert.isTrue(may("/teams/shop/", "shop-"))
    assert.isTrue(may("/teams/shop/ci/7", "shop-eu"))
    assert.isTrue(may("/teams/shop/ci", "common"))
    assert.isFalse(may("/teams/shop", "shop-eu"))
    assert.isFalse(may("/teams/shopkeeper", "shop-eu"))
    assert.isFalse(may("x/teams/shop/", "shop-eu"))
    assert.isFalse(may("/teams/shop/ci", "shop"))
    assert.isFalse(may("/teams/shop/ci", "common-2"))
  })

  it("with a * alone take everybody, or everything", () => {
    const may = rules({ source: "*", zones: ["sandbox"] }, { source: "/root", zones: ["*"] })
    assert.deepStrictEqual(
      [may("/anybody", "sandbox"), may("/anybody", "shop"), may("/root", "shop"), may("/root", "sandbox")],
      [true, false, true, true]
    )
  })

  it("add up: a source may do what any rule allows that takes it", () => {
    const may = rules(
      { source: "/shop", zones: ["one"] },
      { source: "/shop", zones: ["two"] },
      { source: "/sh*", zones: ["three"] },
      { source: "/s*", zones: ["four"] }
    )
    assert.deepStrictEqual(
      ["one", "two", "three", "four", "five"].map((zoneId) => may("/shop", zoneId)),
      [true, true, true, true, false]
    )
    assert.isFalse(may("/she", "one"))
  })

  it.each([
    ["", "it is not JSON"],
    ["{\"allow\": [", "it is not JSON"],
    ["[]", "Expected object"],
    ["{}", "allow: Missing key"],
    [
      "{\"allow\":[]}",
      "allow: must have at least one rule: without ALLOW_RULES_FILE every source may change every zone"
    ],
    ["{\"allow\":[{\"source\":\"/a*b\",\"zones\":[\"*\"]}]}", "allow.0.source: must have a * at its end only"],
    ["{\"allow\":[{\"source\":\"/a\",\"zones\":[]}]}", "allow.0.zones: must have at least one zone, or *"],
    ["{\"allow\":[{\"source\":\"/a\",\"zones\":\"*\"}]}", "allow.0.zones: Expected array"],
    ["{\"allow\":[{\"source\":\"/a\\nb\",\"zones\":[\"*\"]}]}", "allow.0.source: must not have control characters"],
    ...["a/b", "", "a*b", "**", "z".repeat(33)].map((bad) => [
      JSON.stringify({ allow: [{ source: "/a", zones: ["good", bad] }] }),
      "allow.0.zones.1: must be a zone's identifier, or the beginning of one with a * at its end"
    ]),
    [
      "{\"allow\":[{\"source\":\"/a\",\"zone\":[\"*\"]}]}",
      "allow.0.zone: Expected no excess property; allow.0.zones: Missing key"
    ],
    ["{\"allow\":[{\"source\":\"/a\",\"zones\":[\"*\"]}],\"deny\":[]}", "deny: Expected no excess property"]
  ])("that are wrong say where, and what is to be there: %s", (json = "", problem) => {
    assert.strictEqual(problemOf(json), problem)
  })
})
