import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as NodePath from "node:path"
import { root } from "../Command.ts"
import { mutate, mutations } from "./Mutations.ts"

describe("Mutations", () => {
  for (const [protection, mutation] of Object.entries(mutations)) {
    it(`can still switch off the ${protection}`, () => {
      const source = readFileSync(NodePath.join(root, mutation.file), "utf8")
      const mutated = mutate(source, mutation)
      assert.notInclude(mutated, mutation.text)
      assert.include(mutated, mutation.replacement)
    })
  }

  it("refuse a text that is not there exactly once", () => {
    const mutation = { file: "A.ts", text: "one", replacement: "two" }
    assert.throws(() => mutate("none here", { ...mutation, text: "another" }), "A.ts has this 0 times")
    assert.throws(() => mutate("one and one", mutation), "A.ts has this 2 times")
  })
})
