import { Effect } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { Credentials, isDenial } from "./Credentials.ts"
import { failure } from "./Envelope.ts"
import type { Scope } from "./Grant.ts"
import { requestMetrics } from "./RequestMetrics.ts"

/** A route beside the published contract, for those whose credential has the scope of its name, for all zones. */
export const adminRoute = Effect.fnUntraced(function*(scope: Scope) {
  const { admit } = yield* Credentials
  const { count } = yield* requestMetrics
  return <R>(
    answer: (
      request: HttpServerRequest.HttpServerRequest
    ) => Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>
  ) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const admission = admit(request.headers, { scope })
      if (isDenial(admission)) {
        count("none", scope, admission.error)
        return Effect.succeed(failure([admission.error], admission))
      }
      count("none", scope, "ok")
      return answer(request)
    })
})
