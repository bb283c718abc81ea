import { assert, describe, it } from "@effect/vitest"
import { type CpuProfile, flameGraph } from "./FlameGraph.ts"

const node = (id: number, functionName: string, url: string, ...children: ReadonlyArray<number>) => ({
  id,
  callFrame: { functionName, url, lineNumber: 0 },
  children
})

/** Three seconds of one function, of which it is in another one for two, each half of the time by way of another line; and four of idling. */
const profile: CpuProfile = {
  nodes: [
    node(1, "(root)", "", 2, 3, 6),
    node(2, "(idle)", ""),
    node(3, "outer<T>", "file:///r/apps/consumer/src/A.ts", 4, 5),
    node(4, "inner", "file:///r/node_modules/undici/lib/b.js"),
    node(5, "inner", "file:///r/node_modules/undici/lib/b.js"),
    node(6, "(garbage collector)", "")
  ],
  samples: [2, 3, 4, 5, 6],
  timeDeltas: [4_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000]
}

const framesOf = (svg: string) =>
  [...svg.matchAll(/<title>(.*?)<\/title><rect x="([\d.]+)".*? width="([\d.]+)".*? fill="(.*?)"/g)].map((match) =>
    match.slice(1)
  )

describe("a flame graph", () => {
  it("is as wide as the time that each took with what it calls, and leaves out where nothing was done", () => {
    assert.deepStrictEqual(framesOf(flameGraph(profile, "a & b")), [
      ["all: 100.0%", "0.0", "1200.0", "#eeeeee"],
      ["outer&lt;T&gt;: 75.0%", "0.0", "900.0", "#fdae6b"],
      ["inner: 50.0%", "0.0", "600.0", "#9ecae1"],
      ["(garbage collector): 25.0%", "900.0", "300.0", "#fb6a4a"]
    ])
    assert.include(flameGraph(profile, "a & b"), "a &amp; b: 4.0 s of one thread")
  })

  it("can be on another one's scale", () => {
    assert.deepStrictEqual(framesOf(flameGraph(profile, "", 8_000_000))[0], ["all: 100.0%", "0.0", "600.0", "#eeeeee"])
  })
})
