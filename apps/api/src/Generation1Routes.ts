import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { noRoute } from "./Envelope.ts"
import {
  type AllEntries,
  base,
  type BatchOutcome,
  type Entry,
  Generation1,
  type OneEntry,
  type Regions
} from "./Generation1.ts"
import type { StoredMapping } from "./MappingStore.ts"
import { type ErrorNames, operationsOf, refused } from "./Operations.ts"
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

const operation = operationsOf(1, errorNames)

const routes = HttpApiBuilder.group(
  Generation1,
  "mappings",
  Effect.fnUntraced(function*(handlers) {
    const regions = yield* OriginRegions
    const list = operation<typeof AllEntries.Type>("list")
    const create = operation<typeof OneEntry.Type>("create")
    const upsert = operation<typeof AllEntries.Type>("upsert")
    const get = operation<typeof OneEntry.Type>("get")
    const remove = operation<typeof OneEntry.Type>("delete", deletionNames)
    const upsertMany = operation<typeof BatchOutcome.Type>("upsertMany")
    const removeMany = operation<typeof BatchOutcome.Type>("deleteMany", deletionNames)
    const supportedRegions = operation<typeof Regions.Type>("supportedRegions")
    return handlers
      .handle("list", ({ params }) => list(() => Effect.map(regions.list(params.zone_id), all)))
      .handleRaw("create", ({ params, request }) =>
        create((author) =>
          readFields(request).pipe(
            Effect.flatMap((fields) => regions.create(params.zone_id, draftOf(fields), author)),
            Effect.map(one)
          )
        ))
      .handleRaw("upsert", ({ params, request }) =>
        upsert((author) =>
          readFields(request).pipe(
            Effect.flatMap((fields) => regions.upsert(params.zone_id, draftOf(fields), author)),
            Effect.andThen(regions.list(params.zone_id)),
            Effect.map(all)
          )
        ))
      .handle("get", ({ params }) => get(() => Effect.map(regions.get(params.zone_id, params.origin_ip), one)))
      .handle(
        "delete",
        ({ params }) => remove((author) => Effect.map(regions.delete(params.zone_id, params.origin_ip, author), one))
      )
      .handleRaw("upsertMany", ({ params, request }) =>
        upsertMany((author) =>
          readItems(request).pipe(
            Effect.flatMap((items) =>
              regions.upsertMany(params.zone_id, items.map((item) => draftOf(fieldsOf(item))), author)
            ),
            Effect.map((result) => batch(result, errorNames))
          )
        ))
      .handleRaw("deleteMany", ({ params, request }) =>
        removeMany((author) =>
          readItems(request).pipe(
            Effect.flatMap((items) => regions.deleteMany(params.zone_id, items, author)),
            Effect.map((result) => batch(result, deletionNames))
          )
        ))
      .handle("supportedRegions", () => supportedRegions(() => Effect.succeed({ result: regions.supportedRegions })))
  })
)

/** Words that stand where an address would: they are never looked up as one. */
const reserved = HttpRouter.use((router) =>
  Effect.andThen(
    router.add("GET", `${base}/batch`, noRoute),
    router.add("DELETE", `${base}/supported_regions`, noRoute)
  )
)

/** The routes of generation 1: its wire format around the rules of `OriginRegions`. */
export const layer = Layer.merge(HttpApiBuilder.layer(Generation1).pipe(Layer.provide(routes)), reserved)

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
