import { assert, describe, it } from "@effect/vitest"
import { lagOf } from "./Lag.ts"

describe("lagOf", () => {
  it("sums what is behind the committed offsets", () => {
    const committed = new Map([[0, { offset: 7 }], [1, { offset: 5 }]])
    assert.strictEqual(lagOf({ beginning: new Map([[0, 0], [1, 0]]), end: new Map([[0, 10], [1, 5]]), committed }), 3)
  })

  it("counts from the first record that is there where nothing was committed", () => {
    const committed = new Map<number, { readonly offset: number }>()
    assert.strictEqual(lagOf({ beginning: new Map([[0, 4]]), end: new Map([[0, 10], [1, 2]]), committed }), 8)
    assert.strictEqual(lagOf({ beginning: new Map([[0, 10]]), end: new Map([[0, 10]]), committed }), 0)
  })

  it("is none where a topic was made anew below an old commit", () => {
    assert.strictEqual(
      lagOf({ beginning: new Map([[0, 0]]), end: new Map([[0, 1]]), committed: new Map([[0, { offset: 9 }]]) }),
      0
    )
  })
})
