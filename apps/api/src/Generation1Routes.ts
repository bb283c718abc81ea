import type { ApiErrorName } from "@origin-regions/domain/ApiError"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Effect, Layer } from "effect"
import { HttpRouter, type HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { failure, noRoute, success } from "./Envelope.ts"
import { type AllEntries, base, type Entry, Generation1, type OneEntry, type Regions } from "./Generation1.ts"
import type { StoredMapping } from "./MappingStore.ts"
import { type MappingDraft, OriginRegions, type OriginRegionsError } from "./OriginRegions.ts"
import { countRequest, timed } from "./RequestMetrics.ts"

type ReasonTag = OriginRegionsError["reason"]["_tag"]

/** What a refusal is called in this generation. */
const errorNames: Readonly<Record<ReasonTag, ApiErrorName>> = {
  InvalidIp: "invalid_ip",
  UnsupportedRegion: "unsupported_region",
  AlreadyExists: "already_exists",
  NotFound: "not_found",
  LimitReached: "limit_reached",
  StoreFailed: "internal_error"
}

const operations = HttpApiBuilder.group(
  Generation1,
  "mappings",
  Effect.fnUntraced(function*(handlers) {
    const regions = yield* OriginRegions
    const answers = {
      list: answered<typeof AllEntries.Type>("list"),
      create: answered<typeof OneEntry.Type>("create"),
      upsert: answered<typeof AllEntries.Type>("upsert"),
      get: answered<typeof OneEntry.Type>("get"),
      delete: answered<typeof OneEntry.Type>("delete", { ...errorNames, NotFound: "nothing_to_delete" }),
      supportedRegions: answered<typeof Regions.Type>("supportedRegions")
    }
    return handlers
      .handle("list", ({ params }) => answers.list(Effect.map(regions.list(params.zone_id), all)))
      .handleRaw("create", ({ params, request }) =>
        answers.create(
          Effect.map(Effect.flatMap(readDraft(request), (draft) => regions.create(params.zone_id, draft)), one)
        ))
      .handleRaw("upsert", ({ params, request }) =>
        answers.upsert(
          Effect.flatMap(readDraft(request), (draft) => regions.upsert(params.zone_id, draft)).pipe(
            Effect.andThen(regions.list(params.zone_id)),
            Effect.map(all)
          )
        ))
      .handle("get", ({ params }) => answers.get(Effect.map(regions.get(params.zone_id, params.origin_ip), one)))
      .handle(
        "delete",
        ({ params }) => answers.delete(Effect.map(regions.delete(params.zone_id, params.origin_ip), one))
      )
      .handle("supportedRegions", () => answers.supportedRegions(Effect.succeed(regions.supportedRegions)))
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
export const layer = Layer.merge(HttpApiBuilder.layer(Generation1).pipe(Layer.provide(operations)), reserved)

/** Puts what an operation gives into its envelope, and counts and times it. */
const answered = <Envelope extends { readonly result: unknown }>(operation: string, names = errorNames) => {
  const timing = timed(operation)
  return (effect: Effect.Effect<Envelope["result"], OriginRegionsError>) =>
    timing(Effect.matchEffect(effect, {
      onSuccess: (result) => Effect.as(countRequest(operation, "ok"), success<Envelope>(result)),
      onFailure: (error) => {
        const name = names[error.reason._tag]
        const refused = Effect.as(countRequest(operation, name), failure([name]))
        return error.reason._tag === "StoreFailed"
          ? Effect.andThen(Effect.logError(error.message, { operation }), refused)
          : refused
      }
    }))
}

/** What can't be read as a JSON object has no address, and is refused for that. */
const readDraft = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<MappingDraft> =>
  Effect.map(
    // A body that is too large or cut off is answered where HTTP's own failures are.
    Effect.orDie(request.text),
    (text) => {
      const body = parseObject(text)
      return { ip: body.get("ip"), vendor: body.get("vendor"), region: body.get("region") }
    }
  )

const parseObject = (text: string): ReadonlyMap<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text)
    return new Map(typeof value === "object" && value !== null ? Object.entries(value) : [])
  } catch {
    return new Map()
  }
}

const entry = (mapping: StoredMapping): typeof Entry.Type => ({
  "origin-ip": mapping.originIp,
  vendor: mapping.vendor,
  region: mapping.region,
  modified_on: formatTimestamp(mapping.modifiedAt)
})

const setting = <Value, ModifiedOn>(value: Value, modifiedOn: ModifiedOn) => ({
  id: "origin_public_cloud_region" as const,
  editable: true,
  modified_on: modifiedOn,
  value
})

const one = (mapping: StoredMapping) => setting(entry(mapping), formatTimestamp(mapping.modifiedAt))

const all = (mappings: ReadonlyArray<StoredMapping>) => {
  const newest = mappings.reduce((latest, { modifiedAt }) => Math.max(latest, modifiedAt), -Infinity)
  return setting(mappings.map(entry), newest === -Infinity ? null : formatTimestamp(newest))
}
