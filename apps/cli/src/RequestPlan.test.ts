import { assert, describe, it } from "@effect/vitest"
import type { Mapping } from "@origin-regions/domain/Mapping"
import type { Operation } from "@origin-regions/domain/Operation"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect } from "effect"
import { RequestPlan } from "./RequestPlan.ts"
import { requestText, requestTextRecord } from "./RequestText.ts"
import type { RefusedZone, ZonePicture } from "./ZonePicture.ts"

const NOW = Date.UTC(2026, 10, 28)
const ZONE = ZoneId.make("zone")

const there = (...addresses: ReadonlyArray<string>): ZonePicture["mappings"] =>
  new Map(addresses.map((address): [OriginIp, Mapping] => {
    const origin_ip = OriginIp.make(address)
    return [origin_ip, { zone_id: ZONE, origin_ip, vendor: "aws", region: "us-east-1", modified_on: null }]
  }))

const regions = {
  obtained_codes: false,
  vendors: { aws: ["us-east-1", "eu-west-1"].map((name) => ({ name, upper_tier_colos: [] })) }
}

const request = (
  operation: Operation,
  ip: string,
  more: { readonly region?: string; readonly vendor?: string; readonly expires?: string; readonly zone?: string } = {}
) =>
  requestTextRecord(requestText({
    operation,
    id: "id",
    source: "/s",
    time: "2026-11-28T12:00:00Z",
    zone: more.zone ?? ZONE,
    ip,
    vendor: operation === "delete" ? undefined : more.vendor ?? "aws",
    region: operation === "delete" ? undefined : more.region ?? "us-east-1",
    expires: more.expires
  }))

const planned = (
  picture: ZonePicture | RefusedZone,
  ...requests: ReadonlyArray<ReturnType<typeof request>>
) => {
  let reads = 0
  const plan = new RequestPlan(() =>
    Effect.sync(() => {
      reads += 1
      return picture
    })
  )
  return Effect.map(
    Effect.forEach(requests, (each) => plan.plan(each, NOW)),
    (found) => ({
      reads,
      found,
      effects: found.map(({ code, effect }) => code === null ? effect : `${effect} ${code}`)
    })
  )
}

describe("A plan of requests", () => {
  it.effect("takes each as the ones before it leave the zone, which is read once", () =>
    Effect.gen(function*() {
      const { effects, found, reads } = yield* planned(
        { mappings: there("192.0.2.1", "2001:db8::1"), regions },
        request("create", "192.0.2.1"),
        request("upsert", "2001:DB8:0::1"),
        request("upsert", "192.0.2.1", { region: "eu-west-1" }),
        request("create", "192.0.2.2"),
        request("create", "192.0.2.2", { region: "eu-west-1" }),
        request("delete", "192.0.2.2"),
        request("delete", "192.0.2.2"),
        request("upsert", "192.0.2.2")
      )
      assert.deepStrictEqual(effects, [
        "conflict 1145",
        "unchanged",
        "update",
        "create",
        "conflict 1145",
        "delete",
        "unchanged",
        "create"
      ])
      assert.strictEqual(reads, 1)
      assert.deepInclude(found[0], { reason: "it has this very mapping", address: "zone/192.0.2.1" })
      assert.deepInclude(found[4], { reason: "it is aws us-east-1" })
      assert.deepInclude(found[2], {
        before: { vendor: "aws", region: "us-east-1" },
        after: { vendor: "aws", region: "eu-west-1" }
      })
    }))

  it.effect("knows what would be refused without the API, and asks it nothing for that", () =>
    Effect.gen(function*() {
      const { effects, reads } = yield* planned(
        { mappings: new Map(), regions },
        requestTextRecord("no JSON"),
        request("create", "192.0.2.256"),
        request("create", "192.0.2.1", { vendor: "AWS" }),
        request("create", "192.0.2.1", { expires: "2026-11-27T12:00:00Z" })
      )
      assert.deepStrictEqual(effects, ["invalid malformed_request", "invalid 1146", "invalid 1157", "refused expired"])
      assert.strictEqual(reads, 0)
    }))

  it.effect("knows regions that there are not, zones that are refused, and when a zone is full", () =>
    Effect.gen(function*() {
      const nowhere = request("upsert", "192.0.2.1", { region: "us-nowhere-9" })
      const known = yield* planned({ mappings: there("192.0.2.1"), regions }, nowhere, request("upsert", "192.0.2.1"))
      assert.deepStrictEqual(known.effects, ["invalid 1157", "unchanged"])
      const untold = yield* planned({ mappings: there("192.0.2.1"), regions: undefined }, nowhere)
      assert.deepStrictEqual(untold.effects, ["update"])
      const refused = yield* planned({ code: 7003, message: "no such zone" }, nowhere, request("delete", "::1"))
      assert.deepStrictEqual(refused.effects, ["refused 7003", "refused 7003"])

      const addresses = Array.from({ length: 3_500 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
      const full = yield* planned(
        { mappings: there(...addresses), regions },
        request("create", "::1"),
        request("upsert", addresses[0] ?? "", { region: "eu-west-1" }),
        request("delete", addresses[1] ?? ""),
        request("create", "::1"),
        request("create", "::2")
      )
      assert.deepStrictEqual(full.effects, ["refused 1164", "update", "delete", "create", "refused 1164"])
    }))
})
