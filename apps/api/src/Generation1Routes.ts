import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Effect } from "effect"
import { base, type Entry, Generation1 } from "./Generation1.ts"
import type { StoredMapping } from "./MappingStore.ts"
import { type ErrorNames, operationsOf, refused, reserved } from "./Operations.ts"
import { type BatchResult, type MappingDraft, OriginRegions } from "./OriginRegions.ts"
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

const deletionNames: ErrorNames = { ...errorNames, NotFound: "nothing_to_delete" }

/** The operations of generation 1: its wire format around the rules of `OriginRegions`. */
export const operations = Effect.flatMap(
  OriginRegions,
  (regions) =>
    operationsOf(Generation1.groups.mappings.endpoints, {
      generation: 1,
      errorNames,
      errorNamesOf: { delete: deletionNames, deleteMany: deletionNames }
    }, {
      list: ({ zoneId }) => Effect.map(regions.list(zoneId), all),
      create: ({ author, request, zoneId }) =>
        readFields(request).pipe(
          Effect.flatMap((fields) => regions.create(zoneId, draftOf(fields), author)),
          Effect.map(one)
        ),
      upsert: ({ author, request, zoneId }) =>
        readFields(request).pipe(
          Effect.flatMap((fields) => regions.upsert(zoneId, draftOf(fields), author)),
          Effect.andThen(regions.list(zoneId)),
          Effect.map(all)
        ),
      get: ({ originIp, zoneId }) => Effect.map(regions.get(zoneId, originIp), one),
      delete: ({ author, originIp, zoneId }) => Effect.map(regions.delete(zoneId, originIp, author), one),
      upsertMany: ({ author, request, zoneId }) =>
        readItems(request).pipe(
          Effect.flatMap((items) => regions.upsertMany(zoneId, items.map((item) => draftOf(fieldsOf(item))), author)),
          Effect.map((result) => batch(result, errorNames))
        ),
      deleteMany: ({ author, request, zoneId }) =>
        readItems(request).pipe(
          Effect.flatMap((items) => regions.deleteMany(zoneId, items, author)),
          Effect.map((result) => batch(result, deletionNames))
        ),
      supportedRegions: () => Effect.succeed({ result: regions.supportedRegions })
    })
)

/** Words that stand where an address would. */
export const reservedWords = [reserved("GET", `${base}/batch`), reserved("DELETE", `${base}/supported_regions`)]

const draftOf = (fields: ReadonlyMap<string, unknown>): MappingDraft => ({
  ip: fields.get("ip"),
  vendor: fields.get("vendor"),
  region: fields.get("region")
})

const entry = (mapping: StoredMapping): typeof Entry.Type => ({
  "origin-ip": mapping.originIp,
  vendor: mapping.vendor,
  region: mapping.region,
  modified_on: formatTimestamp(mapping.modifiedAt)
})

const setting = <Value, ModifiedOn>(value: Value, modifiedOn: ModifiedOn) => ({
  result: { id: "origin_public_cloud_region" as const, editable: true, modified_on: modifiedOn, value }
})

const one = (mapping: StoredMapping) => {
  const value = entry(mapping)
  return setting(value, value.modified_on)
}

const all = (mappings: ReadonlyArray<StoredMapping>) => setting(mappings.map(entry), newest(mappings))

const batch = ({ failed, succeeded }: BatchResult, errorNames: ErrorNames) =>
  setting(
    {
      succeeded: succeeded.map(({ originIp, region, vendor }) => ({ "origin-ip": originIp, vendor, region })),
      failed: failed.map((item) => {
        const { error, ip } = refused(item, errorNames)
        return { "origin-ip": ip, error }
      })
    },
    newest(succeeded)
  )

const newest = (mappings: ReadonlyArray<StoredMapping>): string | null =>
  mappings.length === 0
    ? null
    : formatTimestamp(mappings.reduce((latest, { modifiedAt }) => Math.max(latest, modifiedAt), -Infinity))
