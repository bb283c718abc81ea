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

/** The database could not be opened or brought up to date, so nothing can start. */
export class CannotOpen extends Schema.TaggedClass<CannotOpen>()("CannotOpen", {
  database: Schema.String,
  problem: Schema.String
}) {
  get message() {
    return `The database ${this.database} can't be opened: ${this.problem}. Set API_DATABASE to a file that can be created or written.`
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
 * Where mappings are kept, one for a zone and an address. Every operation is atomic, also between processes, and what it reports as done
 * survives a crash of the process and of the machine.
 */
export class MappingStore extends Context.Service<MappingStore, {
  /** Adds a mapping where the address has none and the zone has fewer than `ZONE_LIMIT`. An address that has one is `exists`, also in a full zone. */
  create(mapping: StoredMapping): Effect.Effect<"created" | "exists" | "full", MappingStoreError>
  /** Adds or replaces a mapping. Only a new one can be refused with `full`. */
  upsert(mapping: StoredMapping): Effect.Effect<"stored" | "full", MappingStoreError>
  /** Removes a mapping and gives what was removed. */
  delete(zoneId: ZoneId, originIp: OriginIp): Effect.Effect<StoredMapping | undefined, MappingStoreError>
  get(zoneId: ZoneId, originIp: OriginIp): Effect.Effect<StoredMapping | undefined, MappingStoreError>
  /** All mappings of a zone, ordered by the text of the address. */
  list(zoneId: ZoneId): Effect.Effect<ReadonlyArray<StoredMapping>, MappingStoreError>
}>()("@origin-regions/api/MappingStore") {}
