import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { fits, readQuery } from "./RequestQuery.ts"

const read = (parameters: string) => Result.merge(readQuery(new URLSearchParams(parameters)))

describe("readQuery", () => {
  it.each([
    ["zone_id=shop&ip=2001:DB8:0:0::1", { zoneId: "shop", originIp: "2001:db8::1" }],
    ["zone_id=shop", { zoneId: "shop" }],
    ["ip=192.0.2.1&id=", { originIp: "192.0.2.1" }],
    ["id=req-1", { id: "req-1" }],
    ["text=shop/2001:DB8::1", { zoneId: "shop", originIp: "2001:db8::1" }],
    ["text= 192.0.2.1 ", { originIp: "192.0.2.1" }],
    ["text=shop", { name: "shop" }],
    ["text=shop/nowhere", { name: "shop/nowhere" }],
    ["text=a/b/192.0.2.1", { name: "a/b/192.0.2.1" }]
  ])("reads %s", (parameters, query) => {
    assert.deepStrictEqual<unknown>(read(parameters), query)
  })

  it.each([
    ["", /^nothing is asked for: expected zone_id, ip or id/],
    ["zone_id=", /^nothing is asked for/],
    ["zone_id=a%20b", /^zone_id is none: expected 1 to 32/],
    ["ip=300.0.0.1", /^ip is none: expected an IPv4 or IPv6 address$/],
    ["text=a&id=b", /^text goes alone/],
    ["zone=a", /^zone is unknown: expected zone_id/]
  ])("says what is wrong with %s", (parameters, problem) => {
    assert.match(String(read(parameters)), problem)
  })
})

describe("fits", () => {
  const identity = { zoneId: "shop", originIp: "192.0.2.1", id: "req-1" }

  it.each([
    "zone_id=shop",
    "ip=192.0.2.1",
    "id=req-1",
    "text=shop",
    "text=req-1",
    "zone_id=shop&ip=192.0.2.1&id=req-1"
  ])(
    "finds by %s",
    (parameters) => {
      assert.isTrue(fits(Result.getOrThrow(readQuery(new URLSearchParams(parameters))), identity))
    }
  )

  it.each(["zone_id=other", "ip=192.0.2.2", "id=req-2", "text=req", "zone_id=shop&ip=192.0.2.2"])(
    "does not by %s",
    (parameters) => {
      assert.isFalse(fits(Result.getOrThrow(readQuery(new URLSearchParams(parameters))), identity))
    }
  )
})
