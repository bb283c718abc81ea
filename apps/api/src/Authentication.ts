import { Context, Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiMiddleware } from "effect/http-api"
import { Credentials, isDenial } from "./Credentials.ts"
import { failure } from "./Envelope.ts"
import { requestIdOf } from "./RequestId.ts"
import { countRequest } from "./RequestMetrics.ts"

/** Who sent a request that was let in, as the audit log names it. */
export class Caller extends Context.Service<Caller, {
  readonly tokenId: string
  readonly requestId: string
}>()("@origin-regions/api/Caller") {}

/** Lets a request in by its credential, before anything else in it is looked at. */
export class Authentication
  extends HttpApiMiddleware.Service<Authentication, { provides: Caller }>()("@origin-regions/api/Authentication")
{
  static readonly layerNoDeps = Layer.effect(
    Authentication,
    Effect.map(
      Credentials,
      ({ admit }) =>
        Authentication.of((handler, { endpoint }) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            const admission = admit(request.headers)
            if (isDenial(admission)) {
              return Effect.as(
                countRequest("none", endpoint.identifier, admission.error),
                failure([admission.error], admission)
              )
            }
            return Effect.provideService(handler, Caller, { ...admission, requestId: requestIdOf(request) })
          })
        )
    )
  )
}
