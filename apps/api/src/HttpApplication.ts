import { ByteSize, Cause, Clock, Effect, Layer } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiError } from "effect/http-api"
import * as AuditRoutes from "./AuditRoutes.ts"
import { failure, noRoute } from "./Envelope.ts"
import { withFaults } from "./FaultInjection.ts"
import * as FaultRoutes from "./FaultRoutes.ts"
import { Faults } from "./Faults.ts"
import * as Generation1Routes from "./Generation1Routes.ts"
import * as Generation2Routes from "./Generation2Routes.ts"
import { REQUEST_ID, requestIdOf, withRequestId } from "./RequestId.ts"
import { countRequest } from "./RequestMetrics.ts"
import { Settings } from "./Settings.ts"
import * as SystemRoutes from "./SystemRoutes.ts"

const routes = { 1: Generation1Routes.layer, 2: Generation2Routes.layer } as const

/** What a request's body may hold. */
const maxBodySize = ByteSize.mebibytes(1)

/**
 * The whole API as an effect from a request to its answer. Whatever happens on the way, the answer is an envelope; it carries the `Date` of the
 * clock that also dates the mappings, and the request's id.
 */
export const httpApplication = Effect.flatMap(Settings, ({ faults, generations }) =>
  Effect.map(
    Effect.all([
      HttpRouter.toHttpEffect(
        Layer.mergeAll(
          AuditRoutes.layer,
          SystemRoutes.layer(generations),
          ...generations.map((generation) => routes[generation]),
          ...(faults ? [FaultRoutes.layer] : [])
        )
      ).pipe(Effect.provideService(HttpRouter.RouterConfig, { caseSensitive: true, ignoreDuplicateSlashes: false })),
      Faults
    ]),
    ([routed, { fatesOf }]) => {
      const answered = Effect.catchCause(routed, answerFailure)
      return Effect.updateService(
        Effect.flatMap(faults ? withFaults(fatesOf, answered) : answered, labelled),
        HttpServerRequest.HttpServerRequest,
        (request) => withRequestId(withWholeSegments(request))
      ).pipe(Effect.provideService(HttpIncomingMessage.MaxBodySize, maxBodySize))
    }
  ))

/** The router takes `;` and `#` in a path for the beginning of a query; RFC 3986 (3.3) makes them part of a segment, and so of an address. */
const withWholeSegments = (request: HttpServerRequest.HttpServerRequest): HttpServerRequest.HttpServerRequest => {
  const end = request.url.indexOf("?")
  const path = end === -1 ? request.url : request.url.slice(0, end)
  return /[;#]/.test(path)
    ? request.modify({ url: path.replaceAll(";", "%3B").replaceAll("#", "%23") + request.url.slice(path.length) })
    : request
}

/** The answer to what no operation answered. */
const answerFailure = (cause: Cause.Cause<unknown>): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  // The client has gone, or the server is closing its last connections: nobody reads an answer.
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const problem = Cause.squash(cause)
  if (HttpApiError.HttpApiSchemaError.is(problem)) return problem.kind === "Query" ? queryUnreadable : unrouted
  if (HttpServerError.isHttpServerError(problem)) {
    switch (problem.reason._tag) {
      case "RouteNotFound":
        return unrouted
      case "RequestParseError":
        return problem.reason.reason === "BodyTooLarge" ? bodyTooLarge : bodyUnreadable
    }
  }
  return Effect.logError("Unexpected fault", cause).pipe(
    Effect.andThen(countRequest("none", "none", "internal_error")),
    Effect.as(failure(["internal_error"]))
  )
}

const unrouted = Effect.as(countRequest("none", "none", "no_route"), noRoute)
const bodyTooLarge = Effect.as(countRequest("none", "none", "invalid_ip"), failure(["invalid_ip"], { status: 413 }))
const queryUnreadable = Effect.as(countRequest("none", "none", "invalid_per_page"), failure(["invalid_per_page"]))
const bodyUnreadable = Effect.as(countRequest("none", "none", "invalid_ip"), failure(["invalid_ip"]))

const labelled = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.flatMap(
    HttpServerRequest.HttpServerRequest,
    (request) =>
      Effect.map(Clock.currentTimeMillis, (now) =>
        HttpServerResponse.setHeaders(response, {
          date: httpDate(now),
          [REQUEST_ID]: requestIdOf(request)
        }))
  )

let dateSecond = Number.NaN
let dateText = ""

/** As the `Date` header has it (RFC 9110, 5.6.7); written once a second. */
const httpDate = (now: number): string => {
  const second = Math.floor(now / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(now).toUTCString()
  }
  return dateText
}
