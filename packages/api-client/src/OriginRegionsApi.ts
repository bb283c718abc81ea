import type { Mapping } from "@origin-regions/domain/Mapping"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { Region } from "@origin-regions/domain/Region"
import type { Vendor } from "@origin-regions/domain/Vendor"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Clock, Context, Effect, Exit, Layer, Redacted, Result, Schema } from "effect"
import { ApiClock } from "./ApiClock.ts"
import type { ApiError } from "./ApiError.ts"
import { type ApiCredential, ApiSettings } from "./ApiSettings.ts"
import { type AnswerContext, parseBody, readAnswer } from "./internal/ApiAnswer.ts"
import { collectionPath, parseOnlyEntryOf, pickMapping, readMapping, readMappings } from "./internal/Generation1.ts"
import { type HttpRequest, makeHttpTransport } from "./internal/HttpTransport.ts"
import { SupportedRegions } from "./SupportedRegions.ts"

/** What a mapping belongs to. */
export interface MappingAddress {
  readonly zone_id: ZoneId
  readonly origin_ip: OriginIp
}

/** A mapping as it should be. */
export interface DesiredMapping extends MappingAddress {
  readonly vendor: Vendor
  readonly region: Region
}

/**
 * The origin cloud regions API. Each call is one attempt, bounded by `API_TIMEOUT` and aborted by interruption; when to try again is
 * the caller's decision, by `RetryPolicy`.
 */
export class OriginRegionsApi extends Context.Service<OriginRegionsApi, {
  /** Creates a mapping; `AlreadyExists` where the address has one, equal or not. Repeating it after a lost answer meets its own work. */
  readonly create: (mapping: DesiredMapping) => Effect.Effect<Mapping, ApiError>
  /** Creates or replaces a mapping. */
  readonly upsert: (mapping: DesiredMapping) => Effect.Effect<Mapping, ApiError>
  /** Deletes a mapping and answers what it was; `NotFound` where there is none. */
  readonly delete: (address: MappingAddress) => Effect.Effect<Mapping, ApiError>
  /** Reads a mapping; `NotFound` where there is none. */
  readonly get: (address: MappingAddress) => Effect.Effect<Mapping, ApiError>
  /** Every mapping of a zone. */
  readonly list: (zoneId: ZoneId) => Effect.Effect<ReadonlyArray<Mapping>, ApiError>
  /** The regions that mappings of a zone can name. */
  readonly supportedRegions: (zoneId: ZoneId) => Effect.Effect<SupportedRegions, ApiError>
  /** Succeeds when anything answers at the API's address, whatever it says. */
  readonly probe: Effect.Effect<void, ApiError>
  /** The API's clock, from the answers that there have been. */
  readonly clock: ApiClock
}>()("@origin-regions/api-client/OriginRegionsApi") {
  /** Speaks generation 1 over HTTP, as `ApiSettings` say. The connections close with the layer's scope. */
  static readonly layerNoDeps = Layer.effect(
    OriginRegionsApi,
    Effect.gen(function*() {
      const { baseUrl, connections, credential, timeout } = yield* ApiSettings
      const transport = yield* makeHttpTransport({ origin: baseUrl.origin, connections, timeout })
      const clock = new ApiClock(yield* Clock.Clock)
      const context: AnswerContext = { clock: yield* Clock.Clock, redact: redactor(credential) }
      const basePath = baseUrl.pathname.replace(/\/+$/, "")
      const readHeaders = ["accept", "application/json", "user-agent", "origin-regions", ...authorization(credential)]
      const writeHeaders = [...readHeaders, "content-type", "application/json"]

      // Plain functions, no generator and no span: one of these runs for every request of the consumer.
      const call = <A>(
        method: HttpRequest["method"],
        path: string,
        body: string | null,
        promised: string,
        readResult: (result: unknown) => A | undefined,
        parse: (body: Buffer) => unknown = parseBody
      ) =>
        transport.send(
          { method, path, headers: body === null ? readHeaders : writeHeaders, body },
          (answer) => {
            clock.observe(answer.headers["date"])
            return readAnswer(answer, parse, promised, readResult, context)
          }
        )
      const pathOf = ({ zone_id, origin_ip }: MappingAddress) => `${collectionPath(basePath, zone_id)}/${origin_ip}`
      return OriginRegionsApi.of({
        create: (mapping) =>
          call(
            "POST",
            collectionPath(basePath, mapping.zone_id),
            bodyOf(mapping),
            "a mapping",
            readMapping(mapping.zone_id, mapping.origin_ip)
          ),
        upsert: (mapping) =>
          call(
            "PATCH",
            collectionPath(basePath, mapping.zone_id),
            bodyOf(mapping),
            "a list that holds the mapping",
            pickMapping(mapping.zone_id, mapping.origin_ip),
            (body) => parseOnlyEntryOf(body, mapping.origin_ip) ?? parseBody(body)
          ),
        delete: (address) =>
          call("DELETE", pathOf(address), null, "a mapping", readMapping(address.zone_id, address.origin_ip)),
        get: (address) =>
          call("GET", pathOf(address), null, "a mapping", readMapping(address.zone_id, address.origin_ip)),
        list: (zoneId) =>
          call(
            "GET",
            collectionPath(basePath, zoneId),
            null,
            "a list of mappings",
            readMappings(zoneId)
          ),
        supportedRegions: (zoneId) =>
          call(
            "GET",
            `${collectionPath(basePath, zoneId)}/supported_regions`,
            null,
            "the supported regions",
            readSupportedRegions
          ),
        probe: transport.send({
          method: "GET",
          path: basePath === "" ? "/" : basePath,
          headers: readHeaders,
          body: null
        }, (answer) => {
          clock.observe(answer.headers["date"])
          return Exit.void
        }),
        clock
      })
    })
  )

  /** As `layerNoDeps`, with `ApiSettings` from the configuration. */
  static readonly layer = this.layerNoDeps.pipe(Layer.provide(ApiSettings.layer))
}

const bodyOf = ({ origin_ip, vendor, region }: DesiredMapping) => JSON.stringify({ ip: origin_ip, vendor, region })

const decodeSupportedRegions = Schema.decodeUnknownResult(SupportedRegions)

const readSupportedRegions = (result: unknown): SupportedRegions | undefined =>
  Result.getOrUndefined(decodeSupportedRegions(result))

const authorization = (credential: ApiCredential): Array<string> =>
  credential._tag === "Token"
    ? ["authorization", `Bearer ${Redacted.value(credential.token)}`]
    : ["x-auth-email", credential.email, "x-auth-key", Redacted.value(credential.key)]

/** Hides the credential where an answer echoes it. Real ones have 37 characters and more; a short one would hide plain words. */
const redactor = (credential: ApiCredential): (text: string) => string => {
  const secret = Redacted.value(credential._tag === "Token" ? credential.token : credential.key)
  return (text) => secret.length < 16 ? text : text.replaceAll(secret, "<redacted>")
}
