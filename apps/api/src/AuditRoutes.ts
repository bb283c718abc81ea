import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Result, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { adminRoute } from "./AdminRoute.ts"
import { badRequest, failure, success } from "./Envelope.ts"
import { type AuditEntry, type AuditQuery, MappingStore, type StoredMapping } from "./MappingStore.ts"
import { wholeNumber } from "./WholeNumber.ts"

/**
 * `GET /audit?zone=&after=&limit=`: every change that was made, oldest first. `after` is the `sequence` of the last one known; what an answer
 * reports as done is in the log by then.
 */
export const layer = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const store = yield* MappingStore
  const admitted = yield* adminRoute("audit")
  yield* router.add(
    "GET",
    "/audit",
    admitted((request) => {
      const query = readQuery(new URLSearchParams(request.url.split("?")[1]))
      if (Result.isFailure(query)) return Effect.succeed(badRequest(query.failure))
      return Effect.matchEffect(store.audit(query.success), {
        onSuccess: (entries) => Effect.succeed(success({ result: entries.map(toWire) })),
        onFailure: (error) =>
          Effect.as(Effect.logError(error.message, { operation: "audit" }), failure(["internal_error"]))
      })
    })
  )
}))

const isZoneId = Schema.is(ZoneId)

const readQuery = (parameters: URLSearchParams): Result.Result<AuditQuery, string> => {
  const zoneId = parameters.get("zone") ?? undefined
  const after = wholeNumber(parameters.get("after") ?? "0", 0, Number.MAX_SAFE_INTEGER)
  const limit = wholeNumber(parameters.get("limit") ?? "100", 1, 1000)
  if (zoneId !== undefined && !isZoneId(zoneId)) return Result.fail("zone must be a zone id")
  if (after === undefined) return Result.fail("after must be a sequence: a whole number from 0")
  if (limit === undefined) return Result.fail("limit must be a whole number from 1 to 1000")
  return Result.succeed({ zoneId, after, limit })
}

const toWire = (entry: AuditEntry) => ({
  sequence: entry.sequence,
  at: formatTimestamp(entry.at),
  token_id: entry.tokenId,
  request_id: entry.requestId,
  generation: entry.generation,
  operation: entry.operation,
  zone_id: entry.zoneId,
  origin_ip: entry.originIp,
  before: placement(entry.before),
  after: placement(entry.after)
})

const placement = (mapping: StoredMapping | undefined) =>
  mapping === undefined
    ? null
    : { vendor: mapping.vendor, region: mapping.region, modified_on: formatTimestamp(mapping.modifiedAt) }
