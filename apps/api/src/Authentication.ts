import type { ApiErrorName } from "@origin-regions/domain/ApiError"
import { Context, Effect, Layer } from "effect"
import type { HttpServerResponse } from "effect/http"
import { type Admission, Credentials, type Denial, isDenial } from "./Credentials.ts"
import { failure } from "./Envelope.ts"
import type { Exchange } from "./Exchange.ts"
import { RateLimit } from "./RateLimit.ts"

/** Why a request to the API was not let in, with the answer to it. */
export interface Refused {
  readonly error: ApiErrorName
  readonly response: HttpServerResponse.HttpServerResponse
}

/** Lets a request in by its credential, and within its limit, before anything else in it is looked at. */
export class Authentication extends Context.Service<Authentication, {
  /** What the limit has to say goes into the headers of the answer. */
  admit(exchange: Exchange, zone: string | undefined): Admission | Refused
}>()("@origin-regions/api/Authentication") {
  static readonly layerNoDeps = Layer.effect(
    Authentication,
    Effect.gen(function*() {
      const credentials = yield* Credentials
      const { consume } = yield* RateLimit
      return Authentication.of({
        admit({ headers, request }, zone) {
          const scope = request.method === "GET" || request.method === "HEAD" ? "read" : "write"
          const admission = credentials.admit(request.headers, { scope, zone })
          if (isDenial(admission)) return refused(admission)
          const verdict = consume(admission.tokenId)
          Object.assign(headers, verdict.headers)
          return verdict.limited ? refused({ error: "rate_limited" }) : admission
        }
      })
    })
  )
}

const refused = (denial: Denial): Refused => ({ error: denial.error, response: failure([denial.error], denial) })
