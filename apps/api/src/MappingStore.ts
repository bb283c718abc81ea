import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { Vendor } from "@origin-regions/domain/Vendor"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Context, type Effect, Schema } from "effect"

/** A mapping as it is kept. `modifiedAt` is in milliseconds since 1970. */
export interface StoredMapping {
  readonly zoneId: ZoneId
  readonly originIp: OriginIp
  readonly vendor: Vendor
  readonly region: string
  readonly modifiedAt: number
}

/** What to do with one address. `create` leaves a mapping that is there as it is. */
export type Change =
  | { readonly type: "create" | "upsert"; readonly mapping: StoredMapping }
  | { readonly type: "delete"; readonly originIp: OriginIp }

/** The request that a write came with. `tokenId` is a short hash of the credential. */
export interface Author {
  readonly tokenId: string
  readonly requestId: string
  readonly generation: 1 | 2
  readonly operation: string
}

/** Changes in one zone that are done together or not at all. `at` is in milliseconds since 1970. */
export interface Write {
  readonly zoneId: ZoneId
  readonly changes: ReadonlyArray<Change>
  readonly author: Author
  readonly at: number
}

/** What each of the changed addresses had before, in the order of the changes; `full` where nothing was done for want of room. */
export type WriteResult = "full" | ReadonlyArray<StoredMapping | undefined>

/** A change that was done, as the audit log keeps it. `before` and `after` are undefined where the address had, or has, no mapping. */
export interface Alteration extends Author {
  readonly at: number
  readonly zoneId: ZoneId
  readonly originIp: OriginIp
  readonly before: StoredMapping | undefined
  readonly after: StoredMapping | undefined
}

/** One line of the audit log. A later one has a larger `sequence`; there can be gaps. */
export interface AuditEntry extends Alteration {
  readonly sequence: number
}

/** The lines after `after`, at most `limit`, of one zone or of all. */
export interface AuditQuery {
  readonly zoneId?: ZoneId | undefined
  readonly after: number
  readonly limit: number
}

/** The database could not be opened or brought up to date, so nothing can start. */
export class CannotOpen extends Schema.TaggedClass<CannotOpen>()("CannotOpen", {
  database: Schema.String,
  problem: Schema.String,
  remedy: Schema.String
}) {
  get message() {
    return `The database ${this.database} can't be opened: ${this.problem}. ${this.remedy}`
  }
}

/** A statement failed: the disk is full, the file was taken away, another process holds the lock. */
export class StatementFailed extends Schema.TaggedClass<StatementFailed>()("StatementFailed", {
  problem: Schema.String
}) {
  get message() {
    return `The database failed: ${this.problem}`
  }
}

export class MappingStoreError extends Schema.TaggedError<MappingStoreError>()("MappingStoreError", {
  reason: Schema.Union([CannotOpen, StatementFailed])
}) {
  override get message() {
    return this.reason.message
  }
}

/** How many mappings a zone holds at most (the API's reference: 3,500). */
export const ZONE_LIMIT = 3500

/**
 * Where mappings are kept, one for a zone and an address, and the log of what was done to them. Every operation is atomic, also between
 * processes; what a write reports as done is in the log, and both survive a crash of the process and of the machine.
 */
export class MappingStore extends Context.Service<MappingStore, {
  /** Only a new address takes room: in a zone with `ZONE_LIMIT` mappings those that are there can still be replaced. */
  write(write: Write): Effect.Effect<WriteResult, MappingStoreError>
  get(zoneId: ZoneId, originIp: OriginIp): Effect.Effect<StoredMapping | undefined, MappingStoreError>
  /** All mappings of a zone, ordered by the text of the address. */
  list(zoneId: ZoneId): Effect.Effect<ReadonlyArray<StoredMapping>, MappingStoreError>
  /** Some of them, in the same order, with the number of all. */
  page(
    zoneId: ZoneId,
    slice: { readonly offset: number; readonly limit: number }
  ): Effect.Effect<{ readonly mappings: ReadonlyArray<StoredMapping>; readonly total: number }, MappingStoreError>
  /** Fails where nothing can be read now. */
  readonly check: Effect.Effect<void, MappingStoreError>
  /** Ordered by `sequence`, oldest first. */
  audit(query: AuditQuery): Effect.Effect<ReadonlyArray<AuditEntry>, MappingStoreError>
}>()("@origin-regions/api/MappingStore") {}
