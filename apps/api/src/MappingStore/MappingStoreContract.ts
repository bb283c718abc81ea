import { assert, describe, it } from "@effect/vitest"
import { canonicalize, type OriginIp } from "@origin-regions/domain/OriginIp"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, type Layer } from "effect"
import { MappingStore, type MappingStoreError, type StoredMapping, ZONE_LIMIT } from "../MappingStore.ts"

const zone = ZoneId.make("zone")
const otherZone = ZoneId.make("other_zone")

const ip = (text: string): OriginIp => {
  const originIp = canonicalize(text)
  assert.isDefined(originIp)
  return originIp
}

const mapping = (originIp: string, changes: Partial<StoredMapping> = {}): StoredMapping => ({
  zoneId: zone,
  originIp: ip(originIp),
  vendor: Vendor.make("aws"),
  region: "us-east-1",
  modifiedAt: 1_764_000_000_123,
  ...changes
})

const numbered = (index: number) => mapping(`10.0.${index >> 8}.${index & 255}`)

const fill = Effect.gen(function*() {
  const store = yield* MappingStore
  for (let index = 0; index < ZONE_LIMIT; index++) {
    assert.strictEqual(yield* store.create(numbered(index)), "created")
  }
  return store
})

/** What every store must do. `layer` gives an empty one each time it is built. */
export const mappingStoreContract = (name: string, layer: Layer.Layer<MappingStore, MappingStoreError>) =>
  describe(`${name} as a MappingStore`, () => {
    it.effect("keeps a mapping as it was given", () =>
      Effect.gen(function*() {
        const store = yield* MappingStore
        const kept = mapping("2001:db8::1", { vendor: Vendor.make("gcp"), region: "us-central1" })
        assert.isUndefined(yield* store.get(zone, kept.originIp))
        assert.strictEqual(yield* store.create(kept), "created")
        assert.deepStrictEqual(yield* store.get(zone, kept.originIp), kept)
        assert.isUndefined(yield* store.get(otherZone, kept.originIp))
      }).pipe(Effect.provide(layer)))

    it.effect("creates an address once in a zone, and leaves the first one as it was", () =>
      Effect.gen(function*() {
        const store = yield* MappingStore
        const first = mapping("192.0.2.1")
        assert.strictEqual(yield* store.create(first), "created")
        assert.strictEqual(yield* store.create(mapping("192.0.2.1", { region: "us-west-2", modifiedAt: 9 })), "exists")
        assert.deepStrictEqual(yield* store.get(zone, first.originIp), first)
        assert.strictEqual(yield* store.create(mapping("192.0.2.1", { zoneId: otherZone })), "created")
      }).pipe(Effect.provide(layer)))

    it.effect("lets exactly one of many creates win", () =>
      Effect.gen(function*() {
        const store = yield* MappingStore
        const results = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, index) => index),
          (modifiedAt) => store.create(mapping("192.0.2.1", { modifiedAt })),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(results.filter((result) => result === "created"), 1)
        assert.lengthOf(results.filter((result) => result === "exists"), 99)
      }).pipe(Effect.provide(layer)))

    it.effect("upserts whether there is a mapping or not", () =>
      Effect.gen(function*() {
        const store = yield* MappingStore
        const second = mapping("192.0.2.1", { vendor: Vendor.make("azure"), region: "westeurope", modifiedAt: 2 })
        assert.strictEqual(yield* store.upsert(mapping("192.0.2.1", { modifiedAt: 1 })), "stored")
        assert.strictEqual(yield* store.upsert(second), "stored")
        assert.deepStrictEqual(yield* store.list(zone), [second])
      }).pipe(Effect.provide(layer)))

    it.effect("deletes once, and gives what was there", () =>
      Effect.gen(function*() {
        const store = yield* MappingStore
        const deleted = mapping("192.0.2.1")
        const kept = mapping("192.0.2.2")
        yield* store.create(deleted)
        yield* store.create(kept)
        assert.deepStrictEqual(yield* store.delete(zone, deleted.originIp), deleted)
        assert.isUndefined(yield* store.delete(zone, deleted.originIp))
        assert.isUndefined(yield* store.delete(otherZone, kept.originIp))
        assert.deepStrictEqual(yield* store.list(zone), [kept])
      }).pipe(Effect.provide(layer)))

    it.effect("lists a zone by the text of the address, in one order everywhere", () =>
      Effect.gen(function*() {
        const store = yield* MappingStore
        const ordered = ["10.0.0.1", "192.0.2.10", "192.0.2.2", "2001:db8::1", "::1", "a::1"]
        for (const originIp of ordered.toReversed()) yield* store.create(mapping(originIp))
        yield* store.create(mapping("198.51.100.1", { zoneId: otherZone }))
        assert.deepStrictEqual<ReadonlyArray<string>>(
          (yield* store.list(zone)).map(({ originIp }) => originIp),
          ordered
        )
        assert.deepStrictEqual(yield* store.list(ZoneId.make("empty")), [])
      }).pipe(Effect.provide(layer)))

    it.effect("is full at the limit, for new addresses only", () =>
      Effect.gen(function*() {
        const store = yield* fill
        const beyond = mapping("192.0.2.1")
        assert.strictEqual(yield* store.create(beyond), "full")
        assert.strictEqual(yield* store.upsert(beyond), "full")
        assert.isUndefined(yield* store.get(zone, beyond.originIp))
        assert.strictEqual(yield* store.create(numbered(7)), "exists")
        assert.strictEqual(yield* store.upsert({ ...numbered(7), region: "us-west-2" }), "stored")
        assert.strictEqual((yield* store.get(zone, numbered(7).originIp))?.region, "us-west-2")
        assert.strictEqual(yield* store.create({ ...beyond, zoneId: otherZone }), "created")
        yield* store.delete(zone, numbered(7).originIp)
        assert.strictEqual(yield* store.create(beyond), "created")
        assert.strictEqual(yield* store.upsert(mapping("192.0.2.2")), "full")
        assert.lengthOf(yield* store.list(zone), ZONE_LIMIT)
      }).pipe(Effect.provide(layer)))
  })
