import { assert, describe, it } from "@effect/vitest"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { identityOf, RequestMemory } from "./RequestMemory.ts"

const request = { specversion: "1.0", id: "1", source: "/test", type: "dev.origin-regions.mapping.create.v1" }
const data = { zone_id: "zone", ip: "2001:db8::1", vendor: "aws", region: "us-east-1" }

const identify = (event: object, given: object = data) =>
  identityOf(readRequest({ value: new TextEncoder().encode(JSON.stringify({ ...event, data: given })), headers: [] }))

const settledAt = (offset: number) => ({ offset, timestamp: 0, settlement: undefined })

describe("What makes two requests the same", () => {
  it("is their source, id and what they ask for, however that is spelled", () => {
    const identity = identify(request)
    assert.isString(identity)
    assert.strictEqual(identify({ ...request, time: "2026-11-28T00:00:00Z" }), identity)
    assert.strictEqual(
      identify(request, { note: "again", ...data, ip: "2001:DB8:0::1" }),
      identity
    )
    const others = [
      identify({ ...request, id: "2" }),
      identify({ ...request, source: "/other" }),
      identify({ ...request, type: "dev.origin-regions.mapping.upsert.v1" }),
      identify(request, { ...data, zone_id: "other" }),
      identify(request, { ...data, ip: "2001:db8::2" }),
      identify(request, { ...data, vendor: "gcp" }),
      identify(request, { ...data, region: "us-west-1" })
    ]
    assert.strictEqual(new Set([identity, ...others]).size, 1 + others.length)
  })

  it("is nothing for what is decided by reading alone", () => {
    assert.isUndefined(identify(request, { ...data, ip: "nowhere" }))
    assert.isUndefined(identify(request, { ...data, vendor: "none" }))
    assert.isUndefined(identify({ ...request, id: undefined }))
  })
})

describe("RequestMemory", () => {
  it("knows what came before an offset, and nothing that came later", () => {
    const memory = new RequestMemory(10)
    memory.remember("one", settledAt(5))
    assert.deepStrictEqual(memory.before("one", 6), settledAt(5))
    assert.isUndefined(memory.before("one", 5))
    assert.isUndefined(memory.before("other", 6))
    memory.forget("one")
    assert.isUndefined(memory.before("one", 6))
  })

  it("keeps the last of them, and one that has come again as the last", () => {
    const memory = new RequestMemory(3)
    for (const [offset, identity] of ["a", "b", "c", "a", "d"].entries()) memory.remember(identity, settledAt(offset))
    assert.deepStrictEqual(
      ["a", "b", "c", "d"].map((identity) => memory.before(identity, 10)?.offset),
      [3, undefined, 2, 4]
    )
    memory.size = 1
    memory.remember("e", settledAt(5))
    assert.isUndefined(memory.before("d", 10))
    assert.strictEqual(memory.before("e", 10)?.offset, 5)
  })
})
