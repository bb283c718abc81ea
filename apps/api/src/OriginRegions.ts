import { canonicalize, type OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Clock, Context, Effect, Layer, Result, Schema } from "effect"
import { type Author, type Change, MappingStore, MappingStoreError, type StoredMapping } from "./MappingStore.ts"
import { placementOf, type SupportedRegions, supportedRegions } from "./SupportedRegions.ts"
import { wholeNumber } from "./WholeNumber.ts"

/** The address is missing, not a string, or not exactly an IPv4 or IPv6 address. */
export class InvalidIp extends Schema.TaggedClass<InvalidIp>()("InvalidIp", {}) {}

/** The address in the body is another one than that in the path. */
export class IpMismatch extends Schema.TaggedClass<IpMismatch>()("IpMismatch", {}) {}

/** The number of a page, or how many mappings it holds, is out of bounds. */
export class InvalidPage extends Schema.TaggedClass<InvalidPage>()("InvalidPage", {}) {}

/** The vendor, or the region for that vendor, is missing or does not exist. */
export class UnsupportedRegion extends Schema.TaggedClass<UnsupportedRegion>()("UnsupportedRegion", {}) {}

/** The address has a mapping already. */
export class AlreadyExists extends Schema.TaggedClass<AlreadyExists>()("AlreadyExists", {}) {}

/** The address has no mapping. */
export class NotFound extends Schema.TaggedClass<NotFound>()("NotFound", {}) {}

/** The zone is full, and the address would be a new one. */
export class LimitReached extends Schema.TaggedClass<LimitReached>()("LimitReached", {}) {}

/** A batch of nothing, or of more than `BATCH_LIMIT`. */
export class InvalidBatch extends Schema.TaggedClass<InvalidBatch>()("InvalidBatch", {}) {}

/** The store failed; a write may have been done all the same. */
export class StoreFailed extends Schema.TaggedClass<StoreFailed>()("StoreFailed", { error: MappingStoreError }) {}

export class OriginRegionsError extends Schema.TaggedError<OriginRegionsError>()("OriginRegionsError", {
  reason: Schema.Union([
    InvalidIp,
    IpMismatch,
    UnsupportedRegion,
    AlreadyExists,
    NotFound,
    LimitReached,
    InvalidBatch,
    InvalidPage,
    StoreFailed
  ])
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
  /** The address that the request was sent to, where it names one. */
  readonly path?: string
}

/** Why one item of a batch was not done, while others were. */
export type Refusal = InvalidIp | IpMismatch | UnsupportedRegion | NotFound

/** What came of a batch. An item that failed is named by the address as it was given. */
export interface BatchResult {
  readonly succeeded: ReadonlyArray<StoredMapping>
  readonly failed: ReadonlyArray<{ readonly ip: unknown; readonly reason: Refusal }>
}

/** Which page is asked for, as text: the first one, of 20 mappings, where it does not say. */
export interface PageQuery {
  readonly page: string | undefined
  readonly perPage: string | undefined
}

export interface Page {
  readonly page: number
  readonly perPage: number
  /** Of the whole list. */
  readonly total: number
  readonly mappings: ReadonlyArray<StoredMapping>
}

/** How many items a batch has at most (the API's reference: `maxItems`). */
export const BATCH_LIMIT = 100

/**
 * The rules of the API, the same for each of its generations. A request is checked in this order: address, vendor and region, what is stored.
 * Addresses come in any spelling and are kept in canonical form; the time of a change is the clock's.
 */
export class OriginRegions extends Context.Service<OriginRegions, {
  /** Fails where the address has a mapping. */
  create(zoneId: ZoneId, draft: MappingDraft, author: Author): Effect.Effect<StoredMapping, OriginRegionsError>
  /** Creates or replaces. */
  upsert(zoneId: ZoneId, draft: MappingDraft, author: Author): Effect.Effect<StoredMapping, OriginRegionsError>
  /** Gives the mapping that was removed. */
  delete(zoneId: ZoneId, ip: string, author: Author): Effect.Effect<StoredMapping, OriginRegionsError>
  /**
   * Creates or replaces in the given order, so that the last of several for an address stays. Items that are at fault are left out; where the
   * zone has no room for all others, nothing is done.
   */
  upsertMany(
    zoneId: ZoneId,
    drafts: ReadonlyArray<MappingDraft>,
    author: Author
  ): Effect.Effect<BatchResult, OriginRegionsError>
  /** Gives the mappings that were removed. */
  deleteMany(
    zoneId: ZoneId,
    ips: ReadonlyArray<unknown>,
    author: Author
  ): Effect.Effect<BatchResult, OriginRegionsError>
  get(zoneId: ZoneId, ip: string): Effect.Effect<StoredMapping, OriginRegionsError>
  /** Ordered by the text of the canonical address. */
  list(zoneId: ZoneId): Effect.Effect<ReadonlyArray<StoredMapping>, OriginRegionsError>
  /** One page of the list; one past the end has none. Pages count from 1. */
  page(zoneId: ZoneId, query: PageQuery): Effect.Effect<Page, OriginRegionsError>
  /** What `vendor` and `region` are checked against. */
  readonly supportedRegions: SupportedRegions
}>()("@origin-regions/api/OriginRegions") {
  static readonly layerNoDeps = Layer.effect(
    OriginRegions,
    Effect.gen(function*() {
      const store = yield* MappingStore

      /** Gives what the addresses had before. */
      const write = Effect.fnUntraced(
        function*(zoneId: ZoneId, changes: ReadonlyArray<Change>, author: Author, at: number) {
          if (changes.length === 0) return []
          const result = yield* Effect.mapError(store.write({ zoneId, changes, author, at }), storeFailed)
          return result === "full" ? yield* fail(new LimitReached()) : result
        }
      )

      // Without spans where one mapping is meant: these are what most requests do, and a span costs as much as the database.
      return OriginRegions.of({
        create: Effect.fnUntraced(function*(zoneId, draft, author) {
          const at = yield* Clock.currentTimeMillis
          const mapping = yield* orFail(accept(zoneId, draft, at))
          const [before] = yield* write(zoneId, [{ type: "create", mapping }], author, at)
          return before === undefined ? mapping : yield* fail(new AlreadyExists())
        }),
        upsert: Effect.fnUntraced(function*(zoneId, draft, author) {
          const at = yield* Clock.currentTimeMillis
          const mapping = yield* orFail(accept(zoneId, draft, at))
          yield* write(zoneId, [{ type: "upsert", mapping }], author, at)
          return mapping
        }),
        delete: Effect.fnUntraced(function*(zoneId, ip, author) {
          const originIp = yield* orFail(acceptIp(ip))
          const at = yield* Clock.currentTimeMillis
          const [removed] = yield* write(zoneId, [{ type: "delete", originIp }], author, at)
          return removed ?? (yield* fail(new NotFound()))
        }),
        upsertMany: Effect.fn("OriginRegions.upsertMany")(function*(zoneId, drafts, author) {
          yield* checkSize(drafts)
          const at = yield* Clock.currentTimeMillis
          const { accepted: succeeded, failed } = sort(drafts, ({ ip }) => ip, (draft) => accept(zoneId, draft, at))
          yield* write(zoneId, succeeded.map((mapping) => ({ type: "upsert", mapping })), author, at)
          return { succeeded, failed }
        }),
        deleteMany: Effect.fn("OriginRegions.deleteMany")(function*(zoneId, ips, author) {
          yield* checkSize(ips)
          const at = yield* Clock.currentTimeMillis
          const { accepted: originIps, failed } = sort(ips, (ip) => ip, acceptIp)
          const removed = yield* write(
            zoneId,
            originIps.map((originIp) => ({ type: "delete", originIp })),
            author,
            at
          )
          const missing = originIps.filter((_, index) => removed[index] === undefined)
          return {
            succeeded: removed.filter((mapping) => mapping !== undefined),
            failed: [...failed, ...missing.map((ip) => ({ ip, reason: new NotFound() }))]
          }
        }),
        get: Effect.fnUntraced(function*(zoneId, ip) {
          const originIp = yield* orFail(acceptIp(ip))
          const found = yield* Effect.mapError(store.get(zoneId, originIp), storeFailed)
          return found ?? (yield* fail(new NotFound()))
        }),
        list: Effect.fn("OriginRegions.list")((zoneId) => Effect.mapError(store.list(zoneId), storeFailed)),
        page: Effect.fn("OriginRegions.page")(function*(zoneId, query) {
          const page = wholeNumber(query.page ?? "1", 1, 1_000_000_000)
          const perPage = wholeNumber(query.perPage ?? "20", 1, 100)
          if (page === undefined || perPage === undefined) return yield* fail(new InvalidPage())
          const slice = { offset: (page - 1) * perPage, limit: perPage }
          return { page, perPage, ...yield* Effect.mapError(store.page(zoneId, slice), storeFailed) }
        }),
        supportedRegions
      })
    })
  )
}

const fail = (reason: OriginRegionsError["reason"]) => Effect.fail(new OriginRegionsError({ reason }))

const orFail = <A>(result: Result.Result<A, Refusal>): Effect.Effect<A, OriginRegionsError> =>
  Result.isSuccess(result) ? Effect.succeed(result.success) : fail(result.failure)

const storeFailed = (error: MappingStoreError) => new OriginRegionsError({ reason: new StoreFailed({ error }) })

const acceptIp = (ip: unknown): Result.Result<OriginIp, InvalidIp> => {
  const originIp = typeof ip === "string" ? canonicalize(ip) : undefined
  return originIp === undefined ? Result.fail(new InvalidIp()) : Result.succeed(originIp)
}

const accept = (
  zoneId: ZoneId,
  draft: MappingDraft,
  at: number
): Result.Result<StoredMapping, InvalidIp | IpMismatch | UnsupportedRegion> =>
  Result.flatMap(
    acceptIp(draft.ip),
    (originIp): Result.Result<StoredMapping, InvalidIp | IpMismatch | UnsupportedRegion> => {
      if (draft.path !== undefined) {
        const path = acceptIp(draft.path)
        if (Result.isFailure(path)) return Result.fail(path.failure)
        if (path.success !== originIp) return Result.fail(new IpMismatch())
      }
      const placement = placementOf(draft.vendor, draft.region)
      return placement === undefined
        ? Result.fail(new UnsupportedRegion())
        : Result.succeed({ zoneId, originIp, ...placement, modifiedAt: at })
    }
  )

const checkSize = (items: ReadonlyArray<unknown>): Effect.Effect<void, OriginRegionsError> =>
  items.length === 0 || items.length > BATCH_LIMIT ? fail(new InvalidBatch()) : Effect.void

/** Parts the items of a batch into what can be done and what can't. */
const sort = <Item, A>(
  items: ReadonlyArray<Item>,
  ipOf: (item: Item) => unknown,
  accept: (item: Item) => Result.Result<A, Refusal>
) => {
  const accepted: Array<A> = []
  const failed: Array<BatchResult["failed"][number]> = []
  for (const item of items) {
    const result = accept(item)
    if (Result.isSuccess(result)) accepted.push(result.success)
    else failed.push({ ip: ipOf(item), reason: result.failure })
  }
  return { accepted, failed }
}
