import type { Mapping } from "@origin-regions/domain/Mapping"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { Region } from "@origin-regions/domain/Region"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import type { Vendor } from "@origin-regions/domain/Vendor"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { CurrentCauses } from "@origin-regions/telemetry/Causes"
import { Tracing } from "@origin-regions/telemetry/Tracing"
import { Clock, Context, Effect, Exit, Layer, Option, Redacted } from "effect"
import { ApiClock } from "./ApiClock.ts"
import type { AlreadyExists, ApiError } from "./ApiError.ts"
import type { ApiQuota } from "./ApiQuota.ts"
import { type ApiCredential, ApiSettings } from "./ApiSettings.ts"
import { type AnswerContext, parseBody, readAnswer } from "./internal/ApiAnswer.ts"
import { apiMetrics } from "./internal/ApiMetrics.ts"
import type { ApiCall, BatchItems, Caller } from "./internal/Call.ts"
import { CallSpan } from "./internal/CallSpan.ts"
import { makeEitherGeneration } from "./internal/EitherGeneration.ts"
import { makeGeneration1 } from "./internal/Generation1.ts"
import { makeGeneration2 } from "./internal/Generation2.ts"
import { makeHttpTransport } from "./internal/HttpTransport.ts"
import { makeSharedQuota } from "./internal/SharedQuota.ts"
import type { SupportedRegions } from "./SupportedRegions.ts"

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

/** What came of one item of a batch: `mapping` is what the API says is there now, or was deleted. Its failures are texts, without codes. */
export type BatchItem =
  | { readonly _tag: "Applied"; readonly mapping: Mapping | null }
  | { readonly _tag: "Failed"; readonly message: string }

/**
 * What came of one create of a batch: `AlreadyExists` says what is there, and nothing was written; what is `Unwritten` was in a write that has failed as a whole, or in none, with this error. One
 * that `Failed` may be made alone.
 */
export type CreateItem = BatchItem | AlreadyExists | { readonly _tag: "Unwritten"; readonly error: ApiError }

/** How many items a batch can have (the API's reference: `maxItems`). */
export const BATCH_LIMIT = 100

/**
 * The origin cloud regions API, in either of its generations: they differ in what a call costs, and in what can come between. Generation 2 has no create, so it looks first
 * and then upserts; who creates the mapping in between is overwritten. Each call is one attempt, aborted by interruption; when to try again is the caller's decision, by
 * `RetryPolicy`. `API_TIMEOUT` bounds each HTTP request of it: generation 2 takes two for a create or a delete, some for creates together, and one for every hundred mappings of a list.
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
  /**
   * Reads what is at addresses of a zone, `null` where there is nothing, in as few calls as it takes: by the zone's list. Those that it could not tell of are left out, and can be read one by one. In generation 1
   * a list says of no mapping when it was changed, so `modified_on` is `null`.
   */
  readonly getMany: (
    zoneId: ZoneId,
    addresses: ReadonlyArray<OriginIp>
  ) => Effect.Effect<ReadonlyMap<OriginIp, Mapping | null>, ApiError>
  /** Every mapping of a zone. In generation 2 it comes in pages: what is written meanwhile may be missing. */
  readonly list: (zoneId: ZoneId) => Effect.Effect<ReadonlyArray<Mapping>, ApiError>
  /**
   * Creates or replaces up to `BATCH_LIMIT` mappings of a zone, each address once, by one request. What failed leaves the others be; an `ApiError` is about
   * all of them. The API doesn't say when it changed the single ones, so `modified_on` is `null`.
   */
  readonly upsertMany: (
    zoneId: ZoneId,
    mappings: ReadonlyArray<Omit<DesiredMapping, "zone_id">>
  ) => Effect.Effect<BatchItems, ApiError>
  /** Whether creates can go together: in generation 2 they can; not before it is known which generation is spoken. */
  readonly batchesCreates: () => boolean
  /**
   * Creates up to `BATCH_LIMIT` mappings of a zone, each address once: in generation 2 by a look at what there is, in as few calls as it takes, and one batch that upserts what is not there; in generation 1
   * each of them fails, as it has nothing of the kind. An `ApiError` is about all of them, and nothing was written. Who creates a mapping between the look and the batch, two seconds at most, is overwritten.
   */
  readonly createMany: (
    zoneId: ZoneId,
    mappings: ReadonlyArray<Omit<DesiredMapping, "zone_id">>
  ) => Effect.Effect<ReadonlyMap<OriginIp, CreateItem>, ApiError>
  /** Deletes up to `BATCH_LIMIT` mappings of a zone, each address once, by one request; an address without mapping fails. */
  readonly deleteMany: (zoneId: ZoneId, addresses: ReadonlyArray<OriginIp>) => Effect.Effect<BatchItems, ApiError>
  /** The regions that mappings of a zone can name. */
  readonly supportedRegions: (zoneId: ZoneId) => Effect.Effect<SupportedRegions, ApiError>
  /** Succeeds when anything answers at the API's address, whatever it says. */
  readonly probe: Effect.Effect<void, ApiError>
  /** The API's clock, from the answers that there have been. */
  readonly clock: ApiClock
  /** When calls may be made. The operations call whenever they are asked to: who asks waits for it. */
  readonly quota: ApiQuota
}>()("@origin-regions/api-client/OriginRegionsApi") {
  /** Speaks HTTP as `ApiSettings` say. The connections close with the layer's scope. */
  static readonly layerNoDeps = Layer.effect(
    OriginRegionsApi,
    Effect.gen(function*() {
      const { baseUrl, connections, credential, generation, quota: quotaOptions, timeout } = yield* ApiSettings
      const tracing = yield* Tracing
      const transport = yield* makeHttpTransport({ origin: baseUrl.origin, connections, timeout })
      const clock = new ApiClock(yield* Clock.Clock)
      const { called } = yield* apiMetrics
      const quota = yield* makeSharedQuota({ quota: quotaOptions, credential, baseUrl, underWay: transport.underWay })
      const context: AnswerContext = { clock: yield* Clock.Clock, redact: redactor(credential) }
      const basePath = baseUrl.pathname.replace(/\/+$/, "")
      const commonHeaders = ["accept", "application/json", "user-agent", "origin-regions", ...authorization(credential)]
      const readHeaders = [...commonHeaders, ...tracing?.unrecorded ?? []]
      const writeHeaders = [...readHeaders, ...jsonBody]
      const headersOf = (span: CallSpan | undefined, hasBody: boolean) =>
        span === undefined
          ? hasBody ? writeHeaders : readHeaders
          : [...commonHeaders, ...span.headers, ...hasBody ? jsonBody : []]

      // A plain function, no generator: it runs for every request of the consumer.
      const call = <A>(
        { body, method, parse = parseBody, path, promised, readResult }: ApiCall<A>,
        span?: CallSpan
      ): Effect.Effect<A, ApiError> =>
        Effect.suspend(() => {
          quota.called()
          const ended = called(method, path)
          return transport.send(
            {
              method,
              path,
              headers: headersOf(span, body !== undefined),
              body: body === undefined ? null : JSON.stringify(body)
            },
            (answer) => {
              if (span !== undefined) span.status = answer.status
              clock.observe(answer.headers["date"])
              quota.observe(answer.headers, answer.status)
              const exit = readAnswer(answer, parse, promised, readResult, context)
              ended(Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit)))
              return exit
            },
            ended
          )
        })

      const traced = (tracing: Tracing) => <A>(request: ApiCall<A>) =>
        Effect.withFiber((fiber): Effect.Effect<A, ApiError> => {
          const causes = fiber.getRef(CurrentCauses)
          if (causes === undefined) return call(request)
          const { method, path } = request
          const span = new CallSpan(tracing, causes, { method, origin: baseUrl, path })
          return Effect.onExit(call(request, span), (exit) => Effect.sync(() => span.end(exit)))
        })

      const caller: Caller = {
        call: tracing === undefined ? (request) => call(request) : traced(tracing),
        standstills: transport.standstills,
        spare: () => quota.spare,
        steadyMillis: () => steadyMillis(context.clock)
      }
      const generation1 = makeGeneration1(caller, basePath)
      const generation2 = makeGeneration2(caller, basePath)
      const operations = generation === "auto"
        ? yield* makeEitherGeneration(generation1, generation2)
        : generation === 1
        ? generation1
        : generation2
      return OriginRegionsApi.of({
        ...operations,
        // What stands before the API may answer it, and tells nothing of the quota.
        probe: Effect.suspend(() => {
          quota.called()
          return transport.send({
            method: "GET",
            path: basePath === "" ? "/" : basePath,
            headers: readHeaders,
            body: null
          }, (answer) => {
            clock.observe(answer.headers["date"])
            return Exit.void
          })
        }),
        clock,
        quota
      })
    })
  )

  /** As `layerNoDeps`, with `ApiSettings` from the configuration. */
  static readonly layer = this.layerNoDeps.pipe(Layer.provide(ApiSettings.layer))
}

const jsonBody = ["content-type", "application/json"]

const authorization = (credential: ApiCredential): Array<string> =>
  credential._tag === "Token"
    ? ["authorization", `Bearer ${Redacted.value(credential.token)}`]
    : ["x-auth-email", credential.email, "x-auth-key", Redacted.value(credential.key)]

/** Hides the credential where an answer echoes it. Real ones have 37 characters and more; a short one would hide plain words. */
const redactor = (credential: ApiCredential): (text: string) => string => {
  const secret = Redacted.value(credential._tag === "Token" ? credential.token : credential.key)
  return (text) => secret.length < 16 ? text : text.replaceAll(secret, "<redacted>")
}
