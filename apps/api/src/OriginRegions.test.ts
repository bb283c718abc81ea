import { assert, describe, it } from "@effect/vitest"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { Author } from "./MappingStore.ts"
import * as Sqlite from "./MappingStore/Sqlite.ts"
import { type MappingDraft, OriginRegions, type OriginRegionsError } from "./OriginRegions.ts"

const zone = ZoneId.make("zone")
const author: Author = { tokenId: "0a1b2c", requestId: "request-1", generation: 1, operation: "test" }
const placed = { vendor: "aws", region: "us-east-1" }

const inMemory = OriginRegions.layerNoDeps.pipe(Layer.provide(Sqlite.layer(":memory:")), Layer.fresh)

const test = (name: string, run: (regions: OriginRegions["Service"]) => Effect.Effect<void, OriginRegionsError>) =>
  it.effect(name, () => OriginRegions.use(run).pipe(Effect.provide(inMemory)))

const reasonOf = <A>(effect: Effect.Effect<A, OriginRegionsError>) =>
  effect.pipe(Effect.flip, Effect.map(({ reason }) => reason._tag), Effect.orElseSucceed(() => "done"))

describe("OriginRegions", () => {
  test("creates a mapping under the canonical address, at the time of the clock", (regions) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_764_000_000_123)
      const mapping = yield* regions.create(zone, { ...placed, ip: "2001:DB8:0:0:0:0:0:1" }, author)
      assert.deepStrictEqual<unknown>(mapping, {
        zoneId: zone,
        originIp: "2001:db8::1",
        vendor: "aws",
        region: "us-east-1",
        modifiedAt: 1_764_000_000_123
      })
      assert.deepStrictEqual(yield* regions.get(zone, "2001:db8::0001"), mapping)
      assert.deepStrictEqual(yield* regions.list(zone), [mapping])
    }))

  test("refuses to create an address twice, however it is spelled", (regions) =>
    Effect.gen(function*() {
      yield* regions.create(zone, { ...placed, ip: "::ffff:192.0.2.1" }, author)
      assert.strictEqual(
        yield* reasonOf(regions.create(zone, { ...placed, ip: "::FFFF:C000:0201" }, author)),
        "AlreadyExists"
      )
      assert.strictEqual(yield* reasonOf(regions.create(zone, { ...placed, ip: "192.0.2.1" }, author)), "done")
      assert.strictEqual(
        yield* reasonOf(regions.create(ZoneId.make("other"), { ...placed, ip: "::ffff:192.0.2.1" }, author)),
        "done"
      )
    }))

  test("upserts, and dates the mapping anew", (regions) =>
    Effect.gen(function*() {
      yield* regions.upsert(zone, { ...placed, ip: "192.0.2.1" }, author)
      yield* TestClock.adjust("1 second")
      const replaced = yield* regions.upsert(zone, { ip: "192.0.2.1", vendor: "oci", region: "eu-frankfurt-1" }, author)
      assert.strictEqual(replaced.modifiedAt, 1000)
      assert.deepStrictEqual(yield* regions.list(zone), [replaced])
    }))

  test("deletes by any spelling, and then there is nothing", (regions) =>
    Effect.gen(function*() {
      const created = yield* regions.create(zone, { ...placed, ip: "2001:db8::1" }, author)
      assert.deepStrictEqual(yield* regions.delete(zone, "2001:0db8::1", author), created)
      assert.strictEqual(yield* reasonOf(regions.delete(zone, "2001:db8::1", author)), "NotFound")
      assert.strictEqual(yield* reasonOf(regions.get(zone, "2001:db8::1")), "NotFound")
    }))

  const invalidIps = [
    undefined,
    null,
    7,
    {},
    ["192.0.2.1"],
    "",
    " 192.0.2.1",
    "192.0.2.1/32",
    "010.0.0.1",
    "fe80::1%eth0"
  ]
  test("looks at the address first", (regions) =>
    Effect.gen(function*() {
      for (const ip of invalidIps) {
        const draft: MappingDraft = { ip, vendor: "nobody", region: undefined }
        assert.strictEqual(yield* reasonOf(regions.create(zone, draft, author)), "InvalidIp", String(ip))
        assert.strictEqual(yield* reasonOf(regions.upsert(zone, draft, author)), "InvalidIp", String(ip))
      }
      assert.strictEqual(yield* reasonOf(regions.get(zone, "192.0.2")), "InvalidIp")
      assert.strictEqual(yield* reasonOf(regions.delete(zone, "192.0.2", author)), "InvalidIp")
    }))

  const unsupported = [
    {},
    { vendor: "aws" },
    { region: "us-east-1" },
    { vendor: "AWS", region: "us-east-1" },
    { vendor: "aws", region: "US-EAST-1" },
    { vendor: "aws", region: "westeurope" },
    { vendor: "__proto__", region: "toString" },
    { vendor: "aws", region: ["us-east-1"] },
    { vendor: ["aws"], region: "us-east-1" }
  ]
  test("then at the vendor and the region, before what is stored", (regions) =>
    Effect.gen(function*() {
      yield* regions.create(zone, { ...placed, ip: "192.0.2.1" }, author)
      for (const { region, vendor } of unsupported) {
        const draft: MappingDraft = { ip: "192.0.2.1", vendor, region }
        assert.strictEqual(
          yield* reasonOf(regions.create(zone, draft, author)),
          "UnsupportedRegion",
          JSON.stringify(draft)
        )
        assert.strictEqual(
          yield* reasonOf(regions.upsert(zone, draft, author)),
          "UnsupportedRegion",
          JSON.stringify(draft)
        )
      }
    }))

  test("takes every region that it says it supports", (regions) =>
    Effect.gen(function*() {
      const counts = Object.entries(regions.supportedRegions.vendors).map(([vendor, list]) => [vendor, list.length])
      assert.deepStrictEqual(counts, [["aws", 34], ["azure", 58], ["gcp", 43], ["oci", 46]])
      for (const [vendor, list] of Object.entries(regions.supportedRegions.vendors)) {
        for (const { name } of list) {
          assert.strictEqual(
            (yield* regions.upsert(zone, { ip: "192.0.2.1", vendor, region: name }, author)).region,
            name
          )
        }
      }
    }))

  test("gives the data centres that are published, and says that the others are missing", ({ supportedRegions }) =>
    Effect.sync(() => {
      const colos = Object.entries(supportedRegions.vendors).flatMap(([vendor, regions]) =>
        regions.filter(({ upper_tier_colos }) => upper_tier_colos.length > 0).map((region) => ({ vendor, ...region }))
      )
      assert.isFalse(supportedRegions.obtained_codes)
      assert.deepStrictEqual(colos, [
        { vendor: "aws", name: "us-east-1", upper_tier_colos: ["IAD", "EWR"] },
        { vendor: "aws", name: "us-west-2", upper_tier_colos: ["SEA"] },
        { vendor: "gcp", name: "us-central1", upper_tier_colos: ["ORD"] }
      ])
    }))
})
