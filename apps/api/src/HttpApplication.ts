import { Cause, Clock, Effect, Layer } from "effect"
import { FindMyWay, HttpRouter, HttpServerError, HttpServerRequest, type HttpServerResponse } from "effect/http"
import * as AuditRoutes from "./AuditRoutes.ts"
import { failure, noRoute } from "./Envelope.ts"
import { beginExchange, endExchange, type Exchange } from "./Exchange.ts"
import { withFaults } from "./FaultInjection.ts"
import * as FaultRoutes from "./FaultRoutes.ts"
import { Faults } from "./Faults.ts"
import * as Generation1Routes from "./Generation1Routes.ts"
import * as Generation2Routes from "./Generation2Routes.ts"
import type { Operation } from "./Operations.ts"
import { requestMetrics } from "./RequestMetrics.ts"
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

  const answered = (exchange: Exchange) => {
    const { request } = exchange
    const url = withWholeSegments(request.url)
    const found = operations.find(request.method === "HEAD" ? "GET" : request.method, url)
    if (found !== undefined) return found.handler.answer(exchange, found) ?? unrouted
    return url === request.url
      ? besideTheContract
      : Effect.provideService(besideTheContract, HttpServerRequest.HttpServerRequest, request.modify({ url }))
  }

  /** The answer to what nothing has answered. */
  const answerFailure = (cause: Cause.Cause<unknown>): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
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
    return Effect.as(Effect.logError("Unexpected fault", cause), failure(["internal_error"]))
  }

  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const exchange = beginExchange(request)
    const answering = Effect.catchCause(Effect.suspend(() => answered(exchange)), answerFailure)
    return Effect.map(
      faults ? withFaults(fatesOf, request, answering) : answering,
      (response) => endExchange(exchange, response, clock.currentTimeMillisUnsafe())
    )
  })
})

/** The router takes `;` and `#` in a path for the beginning of a query; RFC 3986 (3.3) makes them part of a segment, and so of an address. */
const withWholeSegments = (url: string): string => {
  if (!/[;#]/.test(url)) return url
  const end = url.indexOf("?")
  const path = end === -1 ? url : url.slice(0, end)
  return path.replaceAll(";", "%3B").replaceAll("#", "%23") + url.slice(path.length)
}
