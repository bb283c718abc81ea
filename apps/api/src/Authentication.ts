import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiMiddleware } from "effect/http-api"
import { Credentials, isDenial } from "./Credentials.ts"
import { failure } from "./Envelope.ts"
import { RateLimit } from "./RateLimit.ts"
import { requestIdOf } from "./RequestId.ts"
import { countRequest } from "./RequestMetrics.ts"

/** Who sent a request that was let in, as the audit log names it. */
export class Caller extends Context.Service<Caller, {
  readonly tokenId: string
  readonly requestId: string
}>()("@origin-regions/api/Caller") {}

/** Lets a request in by its credential, and within its limit, before anything else in it is looked at. */
export class Authentication
  extends HttpApiMiddleware.Service<Authentication, { provides: Caller }>()("@origin-regions/api/Authentication")
{
  static readonly layerNoDeps = Layer.effect(
    Authentication,
    Effect.gen(function*() {
      const { admit } = yield* Credentials
      const { consume } = yield* RateLimit
      return Authentication.of(Effect.fnUntraced(function*(handler, { endpoint }) {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { zone_id: zone } = yield* HttpRouter.params
        const scope = request.method === "GET" || request.method === "HEAD" ? "read" : "write"
        const admission = admit(request.headers, { scope, zone })
        if (isDenial(admission)) {
          yield* countRequest("none", endpoint.identifier, admission.error)
          return failure([admission.error], admission)
        }
        const { headers, limited } = yield* consume(admission.tokenId)
        if (limited) {
          yield* countRequest("none", endpoint.identifier, "rate_limited")
          return HttpServerResponse.setHeaders(failure(["rate_limited"]), headers)
        }
        const caller = { ...admission, requestId: requestIdOf(request) }
        return HttpServerResponse.setHeaders(yield* Effect.provideService(handler, Caller, caller), headers)
      }))
    })
  )
}
