import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { noRoute } from "./Envelope.ts"
import {
  base,
  type BatchOutcome,
  type Deleted,
  type Entry,
  type EntryPage,
  Generation2,
  type OneEntry,
  type Regions
} from "./Generation2.ts"
import type { StoredMapping } from "./MappingStore.ts"
import { type ErrorNames, operationsOf, refused } from "./Operations.ts"
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

const operation = operationsOf(2, errorNames)

const routes = HttpApiBuilder.group(
  Generation2,
  "mappings",
  Effect.fnUntraced(function*(handlers) {
    const regions = yield* OriginRegions
    const list = operation<typeof EntryPage.Type>("list")
    const get = operation<typeof OneEntry.Type>("get")
    const upsert = operation<typeof OneEntry.Type>("upsert")
    const remove = operation<typeof Deleted.Type>("delete")
    const upsertMany = operation<typeof BatchOutcome.Type>("upsertMany")
    const removeMany = operation<typeof BatchOutcome.Type>("deleteMany")
    const supportedRegions = operation<typeof Regions.Type>("supportedRegions")
    return handlers
      .handle(
        "list",
        ({ params, query }) =>
          list(() => Effect.map(regions.page(params.zone_id, { page: query.page, perPage: query.per_page }), pageOf))
      )
      .handle("get", ({ params }) => get(() => Effect.map(regions.get(params.zone_id, params.origin_ip), one)))
      .handleRaw("upsert", ({ params, request }) =>
        upsert((author) =>
          readFields(request).pipe(
            Effect.flatMap((fields) =>
              regions.upsert(params.zone_id, { ...draftOf(fields), path: params.origin_ip }, author)
            ),
            Effect.map(one)
          )
        ))
      .handle("delete", ({ params }) =>
        remove((author) =>
          Effect.map(
            regions.delete(params.zone_id, params.origin_ip, author),
            ({ originIp }) => ({ result: { origin_ip: originIp } })
          )
        ))
      .handleRaw("upsertMany", ({ params, request }) =>
        upsertMany((author) =>
          readItems(request).pipe(
            Effect.flatMap((items) =>
              regions.upsertMany(params.zone_id, items.map((item) => draftOf(fieldsOf(item))), author)
            ),
            Effect.map(batch)
          )
        ))
      .handleRaw("deleteMany", ({ params, request }) =>
        removeMany((author) =>
          readItems(request).pipe(
            Effect.flatMap((items) => regions.deleteMany(params.zone_id, items, author)),
            Effect.map(batch)
          )
        ))
      .handle("supportedRegions", () => supportedRegions(() => Effect.succeed({ result: regions.supportedRegions })))
  })
)

/** Words that stand where an address would: they are never looked up as one. */
const reserved = HttpRouter.use((router) =>
  Effect.all([
    router.add("GET", `${base}/batch`, noRoute),
    router.add("PUT", `${base}/supported_regions`, noRoute),
    router.add("DELETE", `${base}/supported_regions`, noRoute)
  ], { discard: true })
)

/** The routes of generation 2: its wire format around the rules of `OriginRegions`. */
export const layer = Layer.merge(HttpApiBuilder.layer(Generation2).pipe(Layer.provide(routes)), reserved)

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
