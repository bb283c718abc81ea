import { assert, describe } from "@effect/vitest"
import { canonicalize, type OriginIp } from "@origin-regions/domain/OriginIp"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect } from "effect"
import {
  type Author,
  type Change,
  MappingStore,
  type MappingStoreError,
  type StoredMapping,
  ZONE_LIMIT
} from "../MappingStore.ts"

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

const author: Author = { tokenId: "0a1b2c", requestId: "request-1", generation: 1, operation: "test" }

/** Writes in the zone of the first change's mapping. */
const write = (...changes: ReadonlyArray<Change>) =>
  Effect.flatMap(MappingStore, (store) => store.write({ zoneId: zoneOf(changes), changes, author, at: 5 }))

const zoneOf = ([first]: ReadonlyArray<Change>): ZoneId =>
  first === undefined || first.type === "delete" ? zone : first.mapping.zoneId

const create = (kept: StoredMapping) => write({ type: "create", mapping: kept })
const upsert = (kept: StoredMapping) => write({ type: "upsert", mapping: kept })
const remove = (originIp: OriginIp) => write({ type: "delete", originIp })

const get = (zoneId: ZoneId, originIp: OriginIp) => MappingStore.use((store) => store.get(zoneId, originIp))
const list = (zoneId: ZoneId) => MappingStore.use((store) => store.list(zoneId))
const audit = (query: { zoneId?: ZoneId; after?: number; limit?: number } = {}) =>
  MappingStore.use((store) => store.audit({ after: 0, limit: 1000, ...query }))

const absent = [undefined]

/** Up to the limit, a hundred at a time. */
const fill = Effect.gen(function*() {
  for (let index = 0; index < ZONE_LIMIT; index += 100) {
    const changes = Array.from({ length: 100 }, (_, offset): Change => ({
      type: "create",
      mapping: numbered(index + offset)
    }))
    assert.deepStrictEqual(yield* write(...changes), changes.map(() => undefined))
  }
})

/** What every store must do. `test` makes a test of an effect, with an empty store for each. */
export const mappingStoreContract = (
  name: string,
  test: (name: string, run: () => Effect.Effect<void, MappingStoreError, MappingStore>) => void
) =>
  describe(`${name} as a MappingStore`, () => {
    test("keeps a mapping as it was given", () =>
      Effect.gen(function*() {
        const kept = mapping("2001:db8::1", { vendor: Vendor.make("gcp"), region: "us-central1" })
        assert.isUndefined(yield* get(zone, kept.originIp))
        yield* MappingStore.use(({ check }) => check)
        assert.deepStrictEqual(yield* create(kept), absent)
        assert.deepStrictEqual(yield* get(zone, kept.originIp), kept)
        assert.isUndefined(yield* get(otherZone, kept.originIp))
      }))

    test("creates an address once in a zone, and leaves the first one as it was", () =>
      Effect.gen(function*() {
        const first = mapping("192.0.2.1")
        assert.deepStrictEqual(yield* create(first), absent)
        assert.deepStrictEqual(yield* create(mapping("192.0.2.1", { region: "us-west-2", modifiedAt: 9 })), [first])
        assert.deepStrictEqual(yield* get(zone, first.originIp), first)
        assert.deepStrictEqual(yield* create(mapping("192.0.2.1", { zoneId: otherZone })), absent)
      }))

    test("lets exactly one of many creates win", () =>
      Effect.gen(function*() {
        const results = yield* Effect.forEach(
          Array.from({ length: 1000 }, (_, index) => index),
          (modifiedAt) => create(mapping("192.0.2.1", { modifiedAt })),
          { concurrency: "unbounded" }
        )
        const [kept] = yield* list(zone)
        assert.lengthOf(results.filter((result) => result[0] === undefined), 1)
        for (const [before] of results as ReadonlyArray<ReadonlyArray<StoredMapping | undefined>>) {
          if (before !== undefined) assert.deepStrictEqual(before, kept)
        }
      }))

    test("upserts whether there is a mapping or not", () =>
      Effect.gen(function*() {
        const first = mapping("192.0.2.1", { modifiedAt: 1 })
        const second = mapping("192.0.2.1", { vendor: Vendor.make("azure"), region: "westeurope", modifiedAt: 2 })
        assert.deepStrictEqual(yield* upsert(first), absent)
        assert.deepStrictEqual(yield* upsert(second), [first])
        assert.deepStrictEqual(yield* list(zone), [second])
      }))

    test("deletes once, and gives what was there", () =>
      Effect.gen(function*() {
        const deleted = mapping("192.0.2.1")
        const kept = mapping("192.0.2.2")
        yield* write({ type: "create", mapping: deleted }, { type: "create", mapping: kept })
        assert.deepStrictEqual(yield* remove(deleted.originIp), [deleted])
        assert.deepStrictEqual(yield* remove(deleted.originIp), absent)
        assert.deepStrictEqual(yield* list(zone), [kept])
      }))

    test("does several changes in their order, of one address too", () =>
      Effect.gen(function*() {
        const [first, second] = [mapping("192.0.2.1"), mapping("192.0.2.1", { region: "us-west-2" })]
        const other = mapping("192.0.2.2")
        assert.deepStrictEqual(
          yield* write(
            { type: "upsert", mapping: first },
            { type: "upsert", mapping: other },
            { type: "upsert", mapping: second },
            { type: "create", mapping: first }
          ),
          [undefined, undefined, first, second]
        )
        assert.deepStrictEqual(yield* list(zone), [second, other])
        assert.deepStrictEqual(
          yield* write(
            { type: "delete", originIp: first.originIp },
            { type: "delete", originIp: first.originIp },
            { type: "delete", originIp: other.originIp }
          ),
          [second, undefined, other]
        )
        assert.deepStrictEqual(yield* list(zone), [])
      }))

    test("lists a zone by the text of the address, in one order everywhere, whole or by the page", () =>
      Effect.gen(function*() {
        const ordered = ["10.0.0.1", "192.0.2.10", "192.0.2.2", "2001:db8::1", "::1", "a::1"]
        for (const originIp of ordered.toReversed()) yield* create(mapping(originIp))
        yield* create(mapping("198.51.100.1", { zoneId: otherZone }))
        const all = yield* list(zone)
        assert.deepStrictEqual<ReadonlyArray<string>>(all.map(({ originIp }) => originIp), ordered)
        assert.deepStrictEqual(yield* list(ZoneId.make("empty")), [])
        const page = (offset: number, limit: number) => MappingStore.use((store) => store.page(zone, { offset, limit }))
        assert.deepStrictEqual(yield* page(0, 4), { mappings: all.slice(0, 4), total: 6 })
        assert.deepStrictEqual(yield* page(4, 4), { mappings: all.slice(4), total: 6 })
        assert.deepStrictEqual(yield* page(6, 4), { mappings: [], total: 6 })
        assert.deepStrictEqual(
          yield* MappingStore.use((store) => store.page(ZoneId.make("empty"), { offset: 0, limit: 20 })),
          { mappings: [], total: 0 }
        )
      }))

    test("is full at the limit, for new addresses only", () =>
      Effect.gen(function*() {
        yield* fill
        const beyond = mapping("192.0.2.1")
        assert.strictEqual(yield* create(beyond), "full")
        assert.strictEqual(yield* upsert(beyond), "full")
        assert.isUndefined(yield* get(zone, beyond.originIp))
        assert.deepStrictEqual(yield* create(numbered(7)), [numbered(7)])
        assert.deepStrictEqual(yield* upsert({ ...numbered(7), region: "us-west-2" }), [numbered(7)])
        assert.strictEqual((yield* get(zone, numbered(7).originIp))?.region, "us-west-2")
        assert.deepStrictEqual(yield* create({ ...beyond, zoneId: otherZone }), absent)
        yield* remove(numbered(7).originIp)
        assert.deepStrictEqual(yield* create(beyond), absent)
        assert.strictEqual(yield* upsert(mapping("192.0.2.2")), "full")
        assert.lengthOf(yield* list(zone), ZONE_LIMIT)
      }))

    test("does all changes of a write or none, where there is no room for all", () =>
      Effect.gen(function*() {
        yield* fill
        yield* remove(numbered(0).originIp)
        const before = yield* list(zone)
        const logged = yield* audit({ limit: 10_000 })
        assert.strictEqual(
          yield* write(
            { type: "upsert", mapping: { ...numbered(1), region: "us-west-2" } },
            { type: "upsert", mapping: mapping("192.0.2.1") },
            { type: "upsert", mapping: mapping("192.0.2.2") }
          ),
          "full"
        )
        assert.deepStrictEqual(yield* list(zone), before)
        assert.deepStrictEqual(yield* audit({ limit: 10_000 }), logged)
      }))

    test("fills a zone exactly, whoever asks at the same time", () =>
      Effect.gen(function*() {
        yield* fill
        for (let index = 0; index < 10; index++) yield* remove(numbered(index).originIp)
        const results = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, index) => mapping(`192.0.2.${index}`)),
          create,
          { concurrency: "unbounded" }
        )
        assert.lengthOf(results.filter((result) => result === "full"), 30)
        assert.lengthOf(yield* list(zone), ZONE_LIMIT)
      }))

    test("logs what was done, in its order, and nothing else", () =>
      Effect.gen(function*() {
        const first = mapping("192.0.2.1")
        const second = mapping("192.0.2.1", { vendor: Vendor.make("gcp"), region: "us-central1", modifiedAt: 2 })
        const elsewhere = mapping("2001:db8::1", { zoneId: otherZone })
        yield* create(first)
        yield* create(second)
        yield* write({ type: "upsert", mapping: second }, { type: "delete", originIp: second.originIp })
        yield* remove(second.originIp)
        yield* create(elsewhere)
        const entries = yield* audit()
        const line = { ...author, at: 5, zoneId: zone, originIp: first.originIp }
        const sequences = entries.map(({ sequence }) => sequence)
        const expected = [
          { ...line, before: undefined, after: first },
          { ...line, before: first, after: second },
          { ...line, before: second, after: undefined },
          { ...line, zoneId: otherZone, originIp: elsewhere.originIp, before: undefined, after: elsewhere }
        ]
        assert.deepStrictEqual(
          entries,
          expected.map((entry, index) => ({ ...entry, sequence: sequences[index] ?? NaN }))
        )
        assert.deepStrictEqual(sequences, [...new Set(sequences)].toSorted((a, b) => a - b))
        assert.isAtLeast(sequences[0] ?? 0, 1)
        assert.deepStrictEqual(yield* audit({ zoneId: otherZone }), entries.slice(3))
        assert.deepStrictEqual(yield* audit({ after: sequences[0] ?? 0, limit: 2 }), entries.slice(1, 3))
        assert.deepStrictEqual(yield* audit({ after: sequences[3] ?? 0 }), [])
      }))
  })
