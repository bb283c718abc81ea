import type { ApiError } from "@origin-regions/api-client/ApiError"
import { ApiSettings, readApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { retryTransient } from "@origin-regions/api-client/RetryPolicy"
import type { SupportedRegions } from "@origin-regions/api-client/SupportedRegions"
import type { Mapping } from "@origin-regions/domain/Mapping"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import type { Environment } from "@origin-regions/settings/Environment"
import { completeEnvironment } from "@origin-regions/settings/EnvironmentFile"
import { describeProblems } from "@origin-regions/settings/SettingProblem"
import { Effect, Layer, Result } from "effect"
import { ApiFailed, CommandError, WrongSettings } from "./CommandError.ts"

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

/** A full zone has 3,500 mappings, of which a page has a hundred. */
const CALLS_OF_A_LIST = 36

/** Longer than the quota's window: then it is not ours to wait for. */
const LONGEST_WAIT_SECONDS = 330

const TRIES = 5

/** The consumer leaves the rest of the quota to people, who sit here. At least a tenth, which is more than a list takes. */
const ofPeople = (share: number): number => Math.max(0.1, 1 - share)

/** The API by the consumer's own settings of it, with a quota that is apart from the consumer's. */
export const layerApi = (environment: Environment): Layer.Layer<OriginRegionsApi, CommandError> =>
  Layer.unwrap(
    Effect.fromResult(
      Result.flatMap(completeEnvironment(environment), ({ environment }) => readApiSettings(environment))
    ).pipe(
      Effect.map((settings) => {
        const { quota } = settings
        const own = quota === undefined ? undefined : { calls: quota.calls, share: ofPeople(quota.share) }
        return OriginRegionsApi.layerNoDeps.pipe(Layer.provide(Layer.succeed(ApiSettings, { ...settings, quota: own })))
      }),
      Effect.mapError((problems) =>
        new CommandError({ reason: new WrongSettings({ problems: describeProblems(problems) }) })
      )
    )
  )

/** Waits until so many calls may be made. */
const waitForQuota = Effect.fnUntraced(function*(calls: number) {
  const { quota } = yield* OriginRegionsApi
  quota.own(1)
  const { known } = quota
  const needed = known === undefined ? calls : Math.min(calls, Math.max(1, Math.floor(known.limit * known.share)))
  for (let seconds = 0; seconds < LONGEST_WAIT_SECONDS; seconds++) {
    if (quota.waitMillis <= 0 && quota.spare >= needed) return
    yield* Effect.sleep("1 second")
  }
})

/** Within the quota, and again where that may help. */
const called = <A>(calls: number, call: Effect.Effect<A, ApiError>) =>
  retryTransient(TRIES)(Effect.andThen(waitForQuota(calls), call))

/** Reads all mappings of a zone, and the regions that it can have; writes nothing. */
export const readZone = Effect.fn("readZone")(function*(
  zoneId: ZoneId
): Effect.fn.Return<ZonePicture | RefusedZone, CommandError, OriginRegionsApi> {
  const api = yield* OriginRegionsApi
  const reading = Effect.gen(function*() {
    // First, as one call's answer says how many more there may be.
    const regions = yield* called(1, api.supportedRegions(zoneId)).pipe(
      Effect.catchReason("ApiError", "Rejected", () => Effect.succeed(undefined))
    )
    const listed = yield* called(CALLS_OF_A_LIST, api.list(zoneId))
    return { regions, mappings: new Map(listed.map((mapping) => [mapping.origin_ip, mapping])) }
  })
  return yield* reading.pipe(
    Effect.catchReason("ApiError", "Rejected", ({ code, message }) => Effect.succeed({ code, message })),
    Effect.mapError((error) =>
      new CommandError({
        reason: new ApiFailed({
          problem: `Could not read the zone ${zoneId}: ${error.message}`,
          fix: error.reason._tag === "BadCredential"
            ? "Set CLOUDFLARE_API_TOKEN to one that may read the zone."
            : "Is CLOUDFLARE_BASE_URL right? origin-regions config check tells more."
        })
      })
    )
  )
})
