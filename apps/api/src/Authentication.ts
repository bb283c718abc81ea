import type { ApiErrorName } from "@origin-regions/domain/ApiError"
import { Effect, Layer, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiMiddleware } from "effect/http-api"
import { hash, timingSafeEqual } from "node:crypto"
import { type ErrorChainLink, failure } from "./Envelope.ts"
import { countRequest } from "./RequestMetrics.ts"
import { Settings } from "./Settings.ts"

/** Why a request is not let in: a row of the error catalogue, with the detail that Cloudflare adds to a malformed header. */
export interface Denial {
  readonly error: ApiErrorName
  readonly chain?: ReadonlyArray<ErrorChainLink>
}

type Headers = Readonly<Record<string, string | undefined>>

/**
 * Lets a request in by its credential: a bearer token, or else an e-mail address with its API key. Only hashes are kept, and every
 * known one is compared in constant time, so that the time an answer takes tells nothing about them.
 */
export class Authentication extends HttpApiMiddleware.Service<Authentication>()("@origin-regions/api/Authentication") {
  static readonly layerNoDeps = Layer.effect(
    Authentication,
    Effect.map(Settings, (settings) => {
      const denialOf = authenticator(settings)
      return Authentication.of((handler, { endpoint }) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
          const denial = denialOf(headers)
          if (denial === undefined) return handler
          return Effect.as(countRequest(endpoint.identifier, denial.error), failure([denial.error], denial))
        })
      )
    })
  )
}

/** The check itself: `undefined` for a credential that is known. Header names are in lower case. */
export const authenticator = (
  { keys, tokens }: Pick<Settings["Service"], "keys" | "tokens">
): (headers: Headers) => Denial | undefined => {
  const known = [
    ...tokens.map((token) => digestOfToken(Redacted.value(token))),
    ...keys.map(({ email, key }) => digestOfKey(email, Redacted.value(key)))
  ]
  return (headers) => {
    const presented = presentedDigest(headers)
    if (!Buffer.isBuffer(presented)) return presented
    let found = false
    for (const digest of known) found = timingSafeEqual(digest, presented) || found
    return found ? undefined : { error: "authentication_error" }
  }
}

const digestOfToken = (token: string): Buffer => hash("sha256", `token\n${token}`, "buffer")

const digestOfKey = (email: string, key: string): Buffer => hash("sha256", `key\n${email}\n${key}`, "buffer")

const presentedDigest = (headers: Headers): Buffer | Denial => {
  const authorization = headers["authorization"]
  if (authorization !== undefined) {
    const token = BEARER.exec(authorization)?.[1]
    return token === undefined ? malformed.authorization : digestOfToken(token)
  }
  const email = headers["x-auth-email"]
  const key = headers["x-auth-key"]
  if (email === undefined || key === undefined) return { error: "missing_credential" }
  if (!EMAIL.test(email)) return malformed.email
  if (!KEY.test(key)) return malformed.key
  return digestOfKey(email, key)
}

const BEARER = /^Bearer +(\S+)$/i
const EMAIL = /^[^\s@]+@[^\s@]+$/
const KEY = /^\S+$/

const malformedHeader = (code: number, header: string): Denial => ({
  error: "invalid_headers",
  chain: [{ code, message: `Invalid format for ${header} header` }]
})

/** The codes that Cloudflare's users report inside 6003. */
const malformed = {
  authorization: malformedHeader(6111, "Authorization"),
  email: malformedHeader(6102, "X-Auth-Email"),
  key: malformedHeader(6103, "X-Auth-Key")
}
