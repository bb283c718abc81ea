import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { noRoute } from "./Envelope.ts"
import { type AllEntries, base, type Entry, Generation1, type OneEntry, type Regions } from "./Generation1.ts"
import type { StoredMapping } from "./MappingStore.ts"
import { operationsOf } from "./Operations.ts"
import { type MappingDraft, OriginRegions } from "./OriginRegions.ts"
import { readFields } from "./RequestBody.ts"

const operation = operationsOf(1, {
  InvalidIp: "invalid_ip",
  UnsupportedRegion: "unsupported_region",
  AlreadyExists: "already_exists",
  NotFound: "not_found",
  LimitReached: "limit_reached",
  InvalidBatch: "invalid_ip",
  StoreFailed: "internal_error"
})

const routes = HttpApiBuilder.group(
  Generation1,
  "mappings",
  Effect.fnUntraced(function*(handlers) {
    const regions = yield* OriginRegions
    const list = operation<typeof AllEntries.Type>("list")
    const create = operation<typeof OneEntry.Type>("create")
    const upsert = operation<typeof AllEntries.Type>("upsert")
    const get = operation<typeof OneEntry.Type>("get")
    const remove = operation<typeof OneEntry.Type>("delete", { NotFound: "nothing_to_delete" })
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
      .handle("supportedRegions", () => supportedRegions(() => Effect.succeed({ result: regions.supportedRegions })))
  })
)

/** Words that stand where an address would: they are never looked up as one. */
const reserved = HttpRouter.use((router) =>
  Effect.andThen(
    router.add("*", `${base}/batch`, noRoute),
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

const one = (mapping: StoredMapping) => setting(entry(mapping), formatTimestamp(mapping.modifiedAt))

const all = (mappings: ReadonlyArray<StoredMapping>) => setting(mappings.map(entry), newest(mappings))

const newest = (mappings: ReadonlyArray<StoredMapping>): string | null =>
  mappings.length === 0
    ? null
    : formatTimestamp(mappings.reduce((latest, { modifiedAt }) => Math.max(latest, modifiedAt), -Infinity))
