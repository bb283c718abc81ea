import { canonicalize, type OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { MappingStore, MappingStoreError, type StoredMapping } from "./MappingStore.ts"
import { placementOf, type SupportedRegions, supportedRegions } from "./SupportedRegions.ts"

/** The address is missing, not a string, or not exactly an IPv4 or IPv6 address. */
export class InvalidIp extends Schema.TaggedClass<InvalidIp>()("InvalidIp", {}) {}

/** The vendor, or the region for that vendor, is missing or does not exist. */
export class UnsupportedRegion extends Schema.TaggedClass<UnsupportedRegion>()("UnsupportedRegion", {}) {}

/** The address has a mapping already. */
export class AlreadyExists extends Schema.TaggedClass<AlreadyExists>()("AlreadyExists", {}) {}

/** The address has no mapping. */
export class NotFound extends Schema.TaggedClass<NotFound>()("NotFound", {}) {}

/** The zone is full, and the address would be a new one. */
export class LimitReached extends Schema.TaggedClass<LimitReached>()("LimitReached", {}) {}

/** The store failed; a write may have been done all the same. */
export class StoreFailed extends Schema.TaggedClass<StoreFailed>()("StoreFailed", { error: MappingStoreError }) {}

export class OriginRegionsError extends Schema.TaggedError<OriginRegionsError>()("OriginRegionsError", {
  reason: Schema.Union([InvalidIp, UnsupportedRegion, AlreadyExists, NotFound, LimitReached, StoreFailed])
}) {
  override get message() {
    return this.reason._tag === "StoreFailed" ? this.reason.error.message : this.reason._tag
  }
}

/** A mapping as a request asks for it, not yet looked at. */
export interface MappingDraft {
  readonly ip: unknown
  readonly vendor: unknown
  readonly region: unknown
}

/**
 * The rules of the API, the same for each of its generations. A request is checked in this order: address, vendor and region, what is stored.
 * Addresses come in any spelling and are kept in canonical form; the time of a change is the clock's.
 */
export class OriginRegions extends Context.Service<OriginRegions, {
  /** Fails where the address has a mapping. */
  create(zoneId: ZoneId, draft: MappingDraft): Effect.Effect<StoredMapping, OriginRegionsError>
  /** Creates or replaces. */
  upsert(zoneId: ZoneId, draft: MappingDraft): Effect.Effect<StoredMapping, OriginRegionsError>
  /** Gives the mapping that was removed. */
  delete(zoneId: ZoneId, ip: string): Effect.Effect<StoredMapping, OriginRegionsError>
  get(zoneId: ZoneId, ip: string): Effect.Effect<StoredMapping, OriginRegionsError>
  /** Ordered by the text of the canonical address. */
  list(zoneId: ZoneId): Effect.Effect<ReadonlyArray<StoredMapping>, OriginRegionsError>
  /** What `vendor` and `region` are checked against. */
  readonly supportedRegions: SupportedRegions
}>()("@origin-regions/api/OriginRegions") {
  static readonly layerNoDeps = Layer.effect(
    OriginRegions,
    Effect.gen(function*() {
      const store = yield* MappingStore
      return OriginRegions.of({
        create: Effect.fn("OriginRegions.create")(function*(zoneId, draft) {
          const mapping = yield* accept(zoneId, draft)
          const result = yield* Effect.mapError(store.create(mapping), storeFailed)
          if (result === "exists") return yield* fail(new AlreadyExists())
          if (result === "full") return yield* fail(new LimitReached())
          return mapping
        }),
        upsert: Effect.fn("OriginRegions.upsert")(function*(zoneId, draft) {
          const mapping = yield* accept(zoneId, draft)
          const result = yield* Effect.mapError(store.upsert(mapping), storeFailed)
          if (result === "full") return yield* fail(new LimitReached())
          return mapping
        }),
        delete: Effect.fn("OriginRegions.delete")(function*(zoneId, ip) {
          const removed = yield* Effect.mapError(store.delete(zoneId, yield* acceptIp(ip)), storeFailed)
          return removed ?? (yield* fail(new NotFound()))
        }),
        get: Effect.fn("OriginRegions.get")(function*(zoneId, ip) {
          const found = yield* Effect.mapError(store.get(zoneId, yield* acceptIp(ip)), storeFailed)
          return found ?? (yield* fail(new NotFound()))
        }),
        list: Effect.fn("OriginRegions.list")((zoneId) => Effect.mapError(store.list(zoneId), storeFailed)),
        supportedRegions
      })
    })
  )
}

const fail = (reason: OriginRegionsError["reason"]) => Effect.fail(new OriginRegionsError({ reason }))

const storeFailed = (error: MappingStoreError) => new OriginRegionsError({ reason: new StoreFailed({ error }) })

const acceptIp = (ip: unknown): Effect.Effect<OriginIp, OriginRegionsError> => {
  const originIp = typeof ip === "string" ? canonicalize(ip) : undefined
  return originIp === undefined ? fail(new InvalidIp()) : Effect.succeed(originIp)
}

const accept = Effect.fnUntraced(function*(zoneId: ZoneId, draft: MappingDraft) {
  const originIp = yield* acceptIp(draft.ip)
  const placement = placementOf(draft.vendor, draft.region)
  if (placement === undefined) return yield* fail(new UnsupportedRegion())
  return { zoneId, originIp, ...placement, modifiedAt: yield* Clock.currentTimeMillis } satisfies StoredMapping
})
