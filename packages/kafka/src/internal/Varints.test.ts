import { assert, describe, it } from "@effect/vitest"
import { forSeeds } from "@origin-regions/testkit/SeededChoices"
import { pushVarint, readVarints, unzigzag, zigzag } from "./Varints.ts"

const encode = (...values: ReadonlyArray<number>): Uint8Array => {
  const bytes: Array<number> = []
  for (const value of values) pushVarint(bytes, value)
  return Uint8Array.from(bytes)
}

describe("Varints", () => {
  it("take seven bits a byte", () => {
    const rows = [[0, 1], [127, 1], [128, 2], [16_383, 2], [16_384, 3], [2 ** 32, 5], [
      Number.MAX_SAFE_INTEGER,
      8
    ]] as const
    for (const [value, length] of rows) assert.strictEqual(encode(value).length, length, String(value))
    assert.deepStrictEqual([...encode(300)], [0xac, 0x02])
  })

  it("come back as they were, with the bytes behind them", () => {
    forSeeds(200, (choices) => {
      const values = Array.from({ length: choices.below(20) }, () => choices.below(2 ** choices.below(54)))
      const bytes = Uint8Array.from([...encode(...values), 1, 2, 3])
      assert.deepStrictEqual(readVarints(bytes, values.length), { values, rest: Uint8Array.from([1, 2, 3]) })
    })
  })

  it("are as many as there are, and none where the last is cut off or too large", () => {
    assert.deepStrictEqual(readVarints(encode(1, 2), 5), { values: [1, 2], rest: new Uint8Array() })
    for (
      const bytes of [[0x80], [1, 0xff, 0xff], Array.from({ length: 20 }, () => 0xff), [
        ...Array.from({ length: 8 }, () => 0xff),
        1
      ]]
    ) {
      assert.isUndefined(readVarints(Uint8Array.from(bytes), 5))
    }
  })

  it("in zigzag are small near zero, on either side of it", () => {
    assert.deepStrictEqual([0, -1, 1, -2, 2].map(zigzag), [0, 1, 2, 3, 4])
    for (const value of [0, 1, -1, 2 ** 40, -(2 ** 40) - 1, 2 ** 52 - 1, -(2 ** 52)]) {
      assert.strictEqual(unzigzag(zigzag(value)), value)
    }
  })
})
