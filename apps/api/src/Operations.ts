import { type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Clock, Effect, Schema } from "effect"
import type { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { HttpApiEndpoint } from "effect/http-api"
import { Authentication } from "./Authentication.ts"
import { failure, type Payload, success } from "./Envelope.ts"
import { type Exchange, exchangeFields } from "./Exchange.ts"
import type { Author } from "./MappingStore.ts"
import type { BatchResult, OriginRegionsError, Refusal } from "./OriginRegions.ts"
import { requestMetrics } from "./RequestMetrics.ts"

/** What each refusal is called on the wire. */
export type ErrorNames = Readonly<Record<OriginRegionsError["reason"]["_tag"], ApiErrorName>>

/** What the router read in the target of a request. */
export interface Target {
  readonly params: Readonly<Record<string, string | undefined>>
  readonly searchParams: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
}

/** An operation as the router finds it. */
export interface Operation {
  readonly method: string
  readonly path: HttpRouter.PathInput
  /** `undefined` where the target leads nowhere after all. */
  answer(exchange: Exchange, target: Target): Effect.Effect<HttpServerResponse.HttpServerResponse> | undefined
}

/** What an operation is told of a request that was let in. */
export interface Call {
  readonly zoneId: ZoneId
  /** The address in the path, as it was spelled; empty where the path has none. */
  readonly originIp: string
  readonly query: Target["searchParams"]
  readonly request: HttpServerRequest.HttpServerRequest
  readonly author: Author
}

interface Endpoint extends HttpApiEndpoint.Constraint, Pick<Operation, "method" | "path"> {}

type Endpoints = Readonly<Record<string, Endpoint>>

/** What is done for each operation that is declared. */
type Runs<Declared extends Endpoints> = {
  readonly [Name in keyof Declared]: (
    call: Call
  ) => Effect.Effect<Payload<EnvelopeOf<Declared[Name]>>, OriginRegionsError>
}

type EnvelopeOf<Declared extends Endpoint> = Extract<HttpApiEndpoint.Success<Declared>["Type"], Result>

interface Result {
  readonly result: unknown
}

interface Options<Declared extends Endpoints> {
  readonly generation: Author["generation"]
  readonly errorNames: ErrorNames
  /** Those of single operations, where they have their own. */
  readonly errorNamesOf?: { readonly [Name in keyof Declared]?: ErrorNames }
}

/**
 * The operations that a generation declares, between the router and the rules: each lets a request in, is told who asks, and what it gives is put
 * into its envelope, counted and timed. Whatever needs no waiting is plain code.
 */
export const operationsOf = Effect.fnUntraced(function*<Declared extends Endpoints>(
  declared: Declared,
  { errorNames, errorNamesOf = {}, generation }: Options<Declared>,
  runs: Runs<Declared>
) {
  const { admit } = yield* Authentication
  const { count, durationsOf } = yield* requestMetrics
  const clock = yield* Clock.Clock

  const operationOf = (name: keyof Declared & string, { method, path }: Endpoint): Operation => {
    const names = errorNamesOf[name] ?? errorNames
    const took = durationsOf(method, path)

    const onSuccess = (payload: Payload<Result>) => {
      count(generation, name, "ok")
      return Effect.succeed(success(payload))
    }
    const onFailure = (error: OriginRegionsError, exchange: Exchange, zoneId: ZoneId) => {
      const errorName = names[error.reason._tag]
      count(generation, name, errorName)
      const response = failure([errorName])
      return error.reason._tag === "StoreFailed"
        ? Effect.logError(error.message).pipe(
          Effect.annotateLogs({ ...exchangeFields(exchange), zone_id: zoneId, generation, operation: name }),
          Effect.as(response)
        )
        : Effect.succeed(response)
    }

    return {
      method,
      path,
      answer(exchange, { params, searchParams }) {
        const { origin_ip: originIp = "", zone_id: zoneId } = params
        const admission = admit(exchange, zoneId)
        if ("response" in admission) {
          count("none", name, admission.error)
          return Effect.succeed(admission.response)
        }
        if (!isZoneId(zoneId)) return undefined
        const start = clock.monotonicTimeNanosUnsafe()
        const { id: requestId, request } = exchange
        const author = { tokenId: admission.tokenId, requestId, generation, operation: name }
        return Effect.matchEffect(runs[name]({ zoneId, originIp, query: searchParams, request, author }), {
          onSuccess,
          onFailure: (error) => onFailure(error, exchange, zoneId)
        }).pipe(
          Effect.onExit(() => Effect.sync(() => took(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9))),
          Effect.interruptible
        )
      }
    }
  }

  return Object.entries(declared).map(([name, endpoint]) => operationOf(name, endpoint))
})

const isZoneId = Schema.is(ZoneId)

/** A path that leads nowhere, because its last word would otherwise be taken for an address. */
export const reserved = (method: string, path: HttpRouter.PathInput): Operation => ({
  method,
  path,
  answer: () => undefined
})

/** An item of a batch that failed, on the wire: the address as it was given, and the text of what single operations answer. */
export const refused = (
  { ip, reason }: BatchResult["failed"][number],
  errorNames: Readonly<Record<Refusal["_tag"], ApiErrorName>>
) => ({
  ip: typeof ip === "string" ? ip : "",
  error: apiErrors[errorNames[reason._tag]].message
})
