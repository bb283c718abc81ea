import type { ApiErrorName } from "@origin-regions/domain/ApiError"
import { Context, Effect, Layer, Redacted } from "effect"
import { hash, timingSafeEqual } from "node:crypto"
import type { ErrorChainLink } from "./Envelope.ts"
import { Settings } from "./Settings.ts"

/** Why a request is not let in: a row of the error catalogue, with the detail that Cloudflare adds to a malformed header. */
export interface Denial {
  readonly error: ApiErrorName
  readonly chain?: ReadonlyArray<ErrorChainLink>
}

/** A credential that was let in. `tokenId` names it without giving it away: the beginning of its hash. */
export interface Admission {
  readonly tokenId: string
}

type Headers = Readonly<Record<string, string | undefined>>

/**
 * The credentials that the settings name: bearer tokens, and e-mail addresses with their API keys. Only hashes are kept, and every known one
 * is compared in constant time, so that the time an answer takes tells nothing about them.
 */
export class Credentials extends Context.Service<Credentials, {
  /** Header names are in lower case. */
  admit(headers: Headers): Admission | Denial
}>()("@origin-regions/api/Credentials") {
  static readonly layerNoDeps = Layer.effect(
    Credentials,
    Effect.map(Settings, (settings) => Credentials.of({ admit: admission(settings) }))
  )
}

export const isDenial = (answer: Admission | Denial): answer is Denial => "error" in answer

/** The check itself. */
export const admission = (
  { keys, tokens }: Pick<Settings["Service"], "keys" | "tokens">
): Credentials["Service"]["admit"] => {
  const known = [
    ...tokens.map((token) => digestOfToken(Redacted.value(token))),
    ...keys.map(({ email, key }) => digestOfKey(email, Redacted.value(key)))
  ]
  return (headers) => {
    const presented = presentedDigest(headers)
    if (!Buffer.isBuffer(presented)) return presented
    let found: Buffer | undefined
    for (const digest of known) if (timingSafeEqual(digest, presented)) found = digest
    return found === undefined
      ? { error: "authentication_error" }
      : { tokenId: found.toString("hex", 0, TOKEN_ID_BYTES) }
  }
}

/** Enough to tell tokens apart, too little to try tokens against. */
const TOKEN_ID_BYTES = 6

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
