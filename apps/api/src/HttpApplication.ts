import { Tracing } from "@origin-regions/telemetry/Tracing"
import { Cause, Clock, Effect, Layer } from "effect"
import { FindMyWay, HttpRouter, HttpServerError, HttpServerRequest, type HttpServerResponse } from "effect/http"
import * as AuditRoutes from "./AuditRoutes.ts"
import { failure, noRoute } from "./Envelope.ts"
import { beginExchange, endExchange, type Exchange, exchangeFields } from "./Exchange.ts"
import { withFaults } from "./FaultInjection.ts"
import * as FaultRoutes from "./FaultRoutes.ts"
import { Faults } from "./Faults.ts"
import * as Generation1Routes from "./Generation1Routes.ts"
import * as Generation2Routes from "./Generation2Routes.ts"
import type { Operation } from "./Operations.ts"
import { requestMetrics } from "./RequestMetrics.ts"
import { beginServerSpan, endServerSpan } from "./ServerSpan.ts"
import { Settings } from "./Settings.ts"
import * as SystemRoutes from "./SystemRoutes.ts"

const routes = { 1: Generation1Routes, 2: Generation2Routes } as const

const pathForm = { caseSensitive: true, ignoreDuplicateSlashes: false }

/**
 * The whole API as an effect from a request to its answer. Whatever happens on the way, the answer is an envelope; it carries the `Date` of the
 * clock that also dates the mappings, and the request's id.
 */
export const httpApplication = Effect.gen(function*() {
  const { faults, generations } = yield* Settings
  const { fatesOf } = yield* Faults
  const clock = yield* Clock.Clock
  const { count } = yield* requestMetrics
  const tracing = yield* Tracing

  const operations = FindMyWay.make<Operation>(pathForm)
  for (const generation of generations) {
    const { operations: declared, reservedWords } = routes[generation]
    for (const operation of [...yield* declared, ...reservedWords]) {
      operations.on(operation.method, operation.path, operation)
    }
  }
  const besideTheContract = yield* HttpRouter.toHttpEffect(
    Layer.mergeAll(AuditRoutes.layer, SystemRoutes.layer(generations), ...(faults ? [FaultRoutes.layer] : []))
  ).pipe(Effect.provideService(HttpRouter.RouterConfig, pathForm))

  const unrouted = Effect.sync(() => {
    count("none", "none", "no_route")
    return noRoute
  })

  const find = ({ method }: HttpServerRequest.HttpServerRequest, url: string) =>
    operations.find(method === "HEAD" ? "GET" : method, url)

  const answered = (exchange: Exchange) => {
    const { request } = exchange
    const url = withWholeSegments(request.url)
    const found = find(request, url)
    if (found !== undefined) return found.handler.answer(exchange, found) ?? unrouted
    return url === request.url
      ? besideTheContract
      : Effect.provideService(besideTheContract, HttpServerRequest.HttpServerRequest, request.modify({ url }))
  }

  /** The answer to what nothing has answered. */
  const answerFailure = (
    exchange: Exchange,
    cause: Cause.Cause<unknown>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
    // The client has gone, or the server is closing its last connections: nobody reads an answer.
    if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
    const problem = Cause.squash(cause)
    if (HttpServerError.isHttpServerError(problem)) {
      switch (problem.reason._tag) {
        case "RouteNotFound":
          return unrouted
        case "RequestParseError":
          count("none", "none", "invalid_ip")
          return Effect.succeed(
            failure(["invalid_ip"], problem.reason.reason === "BodyTooLarge" ? { status: 413 } : {})
          )
      }
    }
    count("none", "none", "internal_error")
    return Effect.as(
      Effect.annotateLogs(Effect.logError("Unexpected fault", cause), exchangeFields(exchange)),
      failure(["internal_error"])
    )
  }

  /** Of requests to operations: what is asked for the server's own sake leaves no traces. */
  const beginSpan = (tracing: Tracing, { id, request }: Exchange) => {
    const found = find(request, withWholeSegments(request.url))
    if (found === undefined) return undefined
    return beginServerSpan(tracing, request, id, { path: found.handler.path, zoneId: found.params["zone_id"] })
  }

  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const exchange = beginExchange(request)
    const span = tracing === undefined ? undefined : beginSpan(tracing, exchange)
    if (span !== undefined) exchange.span = span
    const answering = Effect.catchCause(
      Effect.suspend(() => answered(exchange)),
      (cause) => answerFailure(exchange, cause)
    )
    const answer = Effect.map(
      faults ? withFaults(fatesOf, request, answering) : answering,
      (response) => endExchange(exchange, response, clock.currentTimeMillisUnsafe())
    )
    return span === undefined ? answer : Effect.onExit(answer, (exit) => Effect.sync(() => endServerSpan(span, exit)))
  })
})

/** The router takes `;` and `#` in a path for the beginning of a query; RFC 3986 (3.3) makes them part of a segment, and so of an address. */
const withWholeSegments = (url: string): string => {
  if (!/[;#]/.test(url)) return url
  const end = url.indexOf("?")
  const path = end === -1 ? url : url.slice(0, end)
  return path.replaceAll(";", "%3B").replaceAll("#", "%23") + url.slice(path.length)
}
