import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import type { SupportedRegions } from "@origin-regions/api-client/SupportedRegions"
import type { Mapping } from "@origin-regions/domain/Mapping"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect } from "effect"
import { apiFailed, CALLS_OF_A_LIST, readWithinQuota } from "./CliApi.ts"
import type { CommandError } from "./CommandError.ts"

/** What the API said of a zone, at one time. */
export interface ZonePicture {
  readonly mappings: ReadonlyMap<OriginIp, Mapping>
  /** `undefined` where the API would not say. */
  readonly regions: SupportedRegions | undefined
}

/** The API does not know the zone, or refuses it for another reason that is for good. */
export interface RefusedZone {
  readonly code: number
  readonly message: string
}

/** Reads all mappings of a zone, and the regions that it can have; writes nothing. */
export const readZone = Effect.fn("readZone")(function*(
  zoneId: ZoneId
): Effect.fn.Return<ZonePicture | RefusedZone, CommandError, ApiSettings | OriginRegionsApi> {
  const settings = yield* ApiSettings
  const api = yield* OriginRegionsApi
  const reading = Effect.gen(function*() {
    // First, as one call's answer says how many more there may be.
    const regions = yield* readWithinQuota(1, api.supportedRegions(zoneId)).pipe(
      Effect.catchReason("ApiError", "Rejected", () => Effect.succeed(undefined))
    )
    const listed = yield* readWithinQuota(CALLS_OF_A_LIST, api.list(zoneId))
    return { regions, mappings: new Map(listed.map((mapping) => [mapping.origin_ip, mapping])) }
  })
  return yield* reading.pipe(
    Effect.catchReason("ApiError", "Rejected", ({ code, message }) => Effect.succeed({ code, message })),
    Effect.mapError((error) => apiFailed(error, settings, `Could not read the zone ${zoneId}`))
  )
})
