import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { Effect, Schedule, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { failure } from "./Envelope.ts"
import type { Fate, Faults } from "./Faults.ts"

type Answering<R> = Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>

/** Lets requests to the API itself meet what the plan has for them; the first rule is the outermost. */
export const withFaults = <R>(
  fatesOf: Faults["Service"]["fatesOf"],
  request: HttpServerRequest.HttpServerRequest,
  answering: Answering<R>
): Answering<R> => {
  if (!request.url.startsWith("/client/v4/")) return answering
  const zone = /^\/client\/v4\/zones\/([^/?]+)/.exec(request.url)?.[1]
  return Effect.flatMap(
    fatesOf({ method: request.method, zone }),
    (fates) => fates.reduceRight<Answering<R>>((inner, fate) => met(fate, request, inner), answering)
  ).pipe(
    // Only routed requests are interruptible by themselves; these must end with their connection, too.
    Effect.interruptible
  )
}

const met = <R>(
  fate: Fate,
  request: HttpServerRequest.HttpServerRequest,
  answering: Answering<R>
): Answering<R> => {
  switch (fate.type) {
    case "delay":
      return Effect.delay(answering, fate.millis)
    case "error": {
      const name = fate.code === apiErrors.region_check_failed.code ? "region_check_failed" : "internal_error"
      const answer = failure([name], { status: fate.status })
      return fate.when === "before" ? Effect.succeed(answer) : Effect.as(answering, answer)
    }
    case "reset":
      return fate.when === "before" ? resetConnection(request) : Effect.andThen(answering, resetConnection(request))
    case "slow_body":
      return Effect.map(answering, (response) => slowed(response, fate.millis))
    case "throttle":
      return Effect.succeed(
        HttpServerResponse.setHeader(failure(["rate_limited"]), "retry-after", String(fate.retryAfter))
      )
  }
}

const resetConnection = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.suspend(() => {
    const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
    if ("resetAndDestroy" in socket) socket.resetAndDestroy()
    // There is nobody to answer; the request ends with its connection.
    return Effect.never
  })

const PIECES = 10

const slowed = (response: HttpServerResponse.HttpServerResponse, millis: number) => {
  const { body } = response
  if (body._tag !== "Uint8Array") return response
  const size = Math.ceil(body.body.length / PIECES)
  const pieces = Array.from({ length: PIECES }, (_, index) => body.body.subarray(index * size, (index + 1) * size))
  return HttpServerResponse.stream(
    Stream.fromArray(pieces).pipe(Stream.schedule(Schedule.spaced(millis / PIECES))),
    { status: response.status, headers: response.headers, contentLength: body.body.length }
  )
}
