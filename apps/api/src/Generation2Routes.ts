import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Effect } from "effect"
import { base, type Entry, Generation2 } from "./Generation2.ts"
import type { StoredMapping } from "./MappingStore.ts"
import { type ErrorNames, operationsOf, refused, reserved } from "./Operations.ts"
import { type BatchResult, type MappingDraft, OriginRegions, type Page } from "./OriginRegions.ts"
import { fieldsOf, readFields, readItems } from "./RequestBody.ts"

const errorNames: ErrorNames = {
  InvalidIp: "invalid_ip",
  IpMismatch: "ip_mismatch",
  UnsupportedRegion: "unsupported_region",
  AlreadyExists: "already_exists",
  NotFound: "not_found",
  LimitReached: "limit_reached",
  InvalidBatch: "invalid_ip",
  InvalidPage: "invalid_per_page",
  StoreFailed: "internal_error"
}

/** The operations of generation 2: its wire format around the rules of `OriginRegions`. */
export const operations = Effect.flatMap(
  OriginRegions,
  (regions) =>
    operationsOf(Generation2.groups.mappings.endpoints, { generation: 2, errorNames }, {
      list: ({ query, zoneId }) =>
        Effect.map(regions.page(zoneId, { page: textOf(query["page"]), perPage: textOf(query["per_page"]) }), pageOf),
      get: ({ originIp, zoneId }) => Effect.map(regions.get(zoneId, originIp), one),
      upsert: ({ author, originIp, request, zoneId }) =>
        readFields(request).pipe(
          Effect.flatMap((fields) => regions.upsert(zoneId, { ...draftOf(fields), path: originIp }, author)),
          Effect.map(one)
        ),
      delete: ({ author, originIp, zoneId }) =>
        Effect.map(
          regions.delete(zoneId, originIp, author),
          (removed) => ({ result: { origin_ip: removed.originIp } })
        ),
      upsertMany: ({ author, request, zoneId }) =>
        readItems(request).pipe(
          Effect.flatMap((items) => regions.upsertMany(zoneId, items.map((item) => draftOf(fieldsOf(item))), author)),
          Effect.map(batch)
        ),
      deleteMany: ({ author, request, zoneId }) =>
        readItems(request).pipe(
          Effect.flatMap((items) => regions.deleteMany(zoneId, items, author)),
          Effect.map(batch)
        ),
      supportedRegions: () => Effect.succeed({ result: regions.supportedRegions })
    })
)

/** Words that stand where an address would. */
export const reservedWords = [
  reserved("GET", `${base}/batch`),
  reserved("PUT", `${base}/supported_regions`),
  reserved("DELETE", `${base}/supported_regions`)
]

/** A parameter given twice is no number either. */
const textOf = (values: string | ReadonlyArray<string> | undefined): string | undefined =>
  values === undefined ? undefined : String(values)

const draftOf = (fields: ReadonlyMap<string, unknown>): MappingDraft => ({
  ip: fields.get("origin_ip"),
  vendor: fields.get("vendor"),
  region: fields.get("region")
})

const entry = ({ modifiedAt, originIp, region, vendor }: StoredMapping): typeof Entry.Type => ({
  origin_ip: originIp,
  vendor,
  region,
  modified_on: formatTimestamp(modifiedAt)
})

const one = (mapping: StoredMapping) => ({ result: entry(mapping) })

const pageOf = ({ mappings, page, perPage, total }: Page) => ({
  result: mappings.map(entry),
  result_info: {
    page,
    per_page: perPage,
    count: mappings.length,
    total_count: total,
    total_pages: Math.ceil(total / perPage)
  }
})

const batch = ({ failed, succeeded }: BatchResult) => ({
  result: {
    succeeded: succeeded.map(({ originIp, region, vendor }) => ({ origin_ip: originIp, vendor, region })),
    failed: failed.map((item) => {
      const { error, ip } = refused(item, errorNames)
      return { origin_ip: ip, error }
    })
  }
})
