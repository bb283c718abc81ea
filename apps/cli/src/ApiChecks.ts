import type { ApiError } from "@origin-regions/api-client/ApiError"
import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Layer } from "effect"
import type { Finding } from "./ConfigReport.ts"

/** An address for documentation (RFC 5737), which has a mapping nowhere. */
const SOME_ADDRESS = OriginIp.make("192.0.2.1")

/** The self-hosted API has any zone that it is asked about. Cloudflare refuses one of others as it refuses a wrong credential. */
const SOME_ZONE = ZoneId.make("00000000000000000000000000000000")
const CLOUDFLARE = "api.cloudflare.com"

/** Whether there is a mapping does not matter: the answer tells that the credential is let in. */
const read = (zone: ZoneId) =>
  OriginRegionsApi.use(({ get }) => get({ zone_id: zone, origin_ip: SOME_ADDRESS })).pipe(
    Effect.asVoid,
    Effect.catchReason("ApiError", "NotFound", () => Effect.void)
  )

/** Whether the API answers and knows the credential. `zone` is one that may be read. Nothing is written. */
export const checkApi = (
  settings: ApiSettings["Service"],
  zone: ZoneId | undefined
): Effect.Effect<ReadonlyArray<Finding>> => {
  const { baseUrl, generation } = settings
  const speaking = (generation: 1 | 2) =>
    Effect.provide(
      read(zone ?? SOME_ZONE),
      OriginRegionsApi.layerNoDeps.pipe(Layer.provide(Layer.succeed(ApiSettings, { ...settings, generation })))
    )
  const answers = finding(
    `API at ${baseUrl.href}`,
    OriginRegionsApi.use(({ probe }) => probe).pipe(
      Effect.provide(OriginRegionsApi.layerNoDeps.pipe(Layer.provide(Layer.succeed(ApiSettings, settings)))),
      Effect.as("answers")
    )
  )
  const credential = generation === "auto"
    ? Effect.catchIf(Effect.as(speaking(2), 2), isRejected, () => Effect.as(speaking(1), 1))
    : Effect.as(speaking(generation), generation)

  return Effect.gen(function*() {
    const found = yield* answers
    if (found.result === "failed") {
      return [found, { check: CREDENTIAL, result: "unknown", detail: "the API does not answer" }]
    }
    if (zone === undefined && baseUrl.hostname === CLOUDFLARE) {
      return [found, { check: CREDENTIAL, result: "unknown", detail: "name a zone to read from with --zone" }]
    }
    return [
      found,
      yield* finding(CREDENTIAL, Effect.map(credential, (spoken) => `may read, and generation ${spoken} answered`)),
      { check: "writing to the API", result: "unknown", detail: "can't be tried without a mapping" }
    ]
  })
}

const CREDENTIAL = "API credential"

/** As a generation is that there is not, and a zone that there is not. */
const isRejected = ({ reason }: ApiError): boolean => reason._tag === "Rejected"

const finding = (check: string, effect: Effect.Effect<string, ApiError>): Effect.Effect<Finding> =>
  Effect.match(effect, {
    onSuccess: (detail): Finding => ({ check, result: "ok", detail }),
    onFailure: (error): Finding => ({ check, result: "failed", detail: describe(error) })
  })

const describe = ({ message, reason }: ApiError): string =>
  reason._tag === "BadCredential"
    ? `refused: ${message}. Set CLOUDFLARE_API_TOKEN to one that may read and edit the zone`
    : reason._tag === "Unreachable"
    ? `${message}. Is CLOUDFLARE_BASE_URL right?`
    : message
