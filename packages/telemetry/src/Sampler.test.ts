import { assert, describe, it } from "@effect/vitest"
import { isSampled, samplerOf } from "./Sampler.ts"

const random = "8448eb211c80319c"
const idOf = (end: string) => `0af7651916cd43dd${end}`
const parentOf = (isSampled: boolean) => ({ traceId: idOf(random), spanId: random, isSampled, traceState: undefined })

describe("A sampler", () => {
  it.each(
    [
      // With a recorded parent, with one that is not, with none.
      ["always_on", true, true, true],
      ["always_off", false, false, false],
      ["traceidratio", false, false, false],
      ["parentbased_always_on", true, false, true],
      ["parentbased_always_off", true, false, false],
      ["parentbased_traceidratio", true, false, false]
    ] as const
  )("decides as OpenTelemetry says: %s", (name, recorded, unrecorded, none) => {
    const sampler = samplerOf(name, 0)
    assert.deepStrictEqual(
      [parentOf(true), parentOf(false), undefined].map((parent) => isSampled(sampler, parent, idOf(random))),
      [recorded, unrecorded, none]
    )
  })

  it("takes a share of the traces, and with a smaller one some of the same", () => {
    const ids = Array.from({ length: 256 }, (_, index) => idOf(`848${index.toString(16).padStart(2, "0")}b211c80319c`))
    const taken = (ratio: number) => ids.filter((id) => isSampled(samplerOf("traceidratio", ratio), undefined, id))
    assert.deepStrictEqual([0, 0.25, 0.5, 1].map((ratio) => taken(ratio).length), [0, 64, 128, 256])
    assert.includeMembers(taken(0.5), taken(0.25))
  })
})
