import { Effect } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { Credentials, isDenial } from "./Credentials.ts"
import { failure } from "./Envelope.ts"
import { countRequest } from "./RequestMetrics.ts"

/** A route beside the published contract, for those who have a credential for it. */
export const adminRoute = Effect.fnUntraced(function*(operation: string) {
  const { admit } = yield* Credentials
  return <R>(
    answer: (
      request: HttpServerRequest.HttpServerRequest
    ) => Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>
  ) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const admission = admit(request.headers)
      return isDenial(admission)
        ? Effect.as(countRequest("none", operation, admission.error), failure([admission.error], admission))
        : Effect.andThen(countRequest("none", operation, "ok"), answer(request))
    })
})
