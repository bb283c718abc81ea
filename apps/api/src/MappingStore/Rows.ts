import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { Vendor } from "@origin-regions/domain/Vendor"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import type { Alteration, AuditEntry, StoredMapping } from "../MappingStore.ts"

/** A row as a database gives it. Only the stores write rows, from branded values: reading them checks nothing again. */
export type Row = Readonly<Record<string, unknown>>

export const mappingColumns = "zone_id, origin_ip, vendor, region, modified_at"

export const toMapping = (row: Row): StoredMapping => ({
  zoneId: row["zone_id"] as ZoneId,
  originIp: row["origin_ip"] as OriginIp,
  vendor: row["vendor"] as Vendor,
  region: String(row["region"]),
  modifiedAt: Number(row["modified_at"])
})

/** What the audit log keeps of an alteration, in the order of `alterationValues`. */
export const alterationColumns = [
  "at",
  "token_id",
  "request_id",
  "generation",
  "operation",
  "zone_id",
  "origin_ip",
  "before_vendor",
  "before_region",
  "before_modified_at",
  "after_vendor",
  "after_region",
  "after_modified_at"
] as const

export const alterationValues = (alteration: Alteration): ReadonlyArray<string | number | null> => [
  alteration.at,
  alteration.tokenId,
  alteration.requestId,
  alteration.generation,
  alteration.operation,
  alteration.zoneId,
  alteration.originIp,
  ...placementValues(alteration.before),
  ...placementValues(alteration.after)
]

const placementValues = (mapping: StoredMapping | undefined) =>
  mapping === undefined ? [null, null, null] : [mapping.vendor, mapping.region, mapping.modifiedAt]

export const toAuditEntry = (row: Row): AuditEntry => {
  const zoneId = row["zone_id"] as ZoneId
  const originIp = row["origin_ip"] as OriginIp
  const placement = (prefix: "before" | "after"): StoredMapping | undefined =>
    row[`${prefix}_vendor`] === null ? undefined : {
      zoneId,
      originIp,
      vendor: row[`${prefix}_vendor`] as Vendor,
      region: String(row[`${prefix}_region`]),
      modifiedAt: Number(row[`${prefix}_modified_at`])
    }
  return {
    sequence: Number(row["sequence"]),
    at: Number(row["at"]),
    tokenId: String(row["token_id"]),
    requestId: String(row["request_id"]),
    generation: Number(row["generation"]) === 1 ? 1 : 2,
    operation: String(row["operation"]),
    zoneId,
    originIp,
    before: placement("before"),
    after: placement("after")
  }
}
