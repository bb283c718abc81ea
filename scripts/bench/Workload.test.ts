import { assert, describe, it } from "@effect/vitest"
import { type BenchRequest, drawRequests, keyLimit, recordOf } from "./Workload.ts"

const countsOf = (requests: ReadonlyArray<BenchRequest>): ReadonlyArray<number> => {
  const counts = new Map<number, number>()
  for (const { address, turn } of requests) {
    assert.strictEqual(turn, counts.get(address) ?? 0)
    counts.set(address, turn + 1)
  }
  return [...counts.values()].toSorted((one, other) => other - one)
}

describe("drawRequests", () => {
  it("draws the same each time", () => {
    assert.deepStrictEqual(drawRequests("skewed", 100, 50), drawRequests("skewed", 100, 50))
  })

  it("gives a few addresses most requests where they are skewed, and each its own where they are distinct", () => {
    const [even = 0] = countsOf(drawRequests("uniform", 6_000, 1_000))
    const [most = 0] = countsOf(drawRequests("skewed", 6_000, 1_000))
    assert.isBelow(even, 30)
    assert.isAbove(most, 100)
    assert.strictEqual(countsOf(drawRequests("distinct", 6_000, 1_000)).length, 6_000)
  })
})

describe("keyLimit", () => {
  it("is set by the address with the most requests", () => {
    const requests = [0, 0, 0, 1].map((address, number): BenchRequest => ({ number, address, turn: address || number }))
    // Three calls of 50 ms one after the other, and four requests are through.
    assert.approximately(keyLimit(requests, 50), 4 / 0.15, 1e-9)
  })
})

describe("recordOf", () => {
  it("puts the turn at the end of the region", () => {
    const { value } = recordOf({ number: 7, address: 258, turn: 3 })
    const { data, id } = JSON.parse(new TextDecoder().decode(value ?? undefined))
    assert.deepStrictEqual([id, data.ip, data.region], ["7", "10.0.1.2", "region-3"])
  })
})
