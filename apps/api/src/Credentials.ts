import type { ApiErrorName } from "@origin-regions/domain/ApiError"
import { Context, Effect, Layer, Redacted } from "effect"
import { hash, timingSafeEqual } from "node:crypto"
import type { ErrorChainLink } from "./Envelope.ts"
import { type Grant, type Scope, scopes } from "./Grant.ts"
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

/** What a request is about to do. */
export interface Need {
  readonly scope: Scope
  /** Left out where it is about no zone, or about all. */
  readonly zone?: string | undefined
}

type Headers = Readonly<Record<string, string | undefined>>

/**
 * The credentials that the settings name: bearer tokens, and e-mail addresses with their API keys. Only hashes are kept, and every known one
 * is compared in constant time, so that the time an answer takes tells nothing about them.
 */
export class Credentials extends Context.Service<Credentials, {
  /** Header names are in lower case. What a known credential may not do is refused like an unknown one. */
  admit(headers: Headers, need: Need): Admission | Denial
}>()("@origin-regions/api/Credentials") {
  static readonly layerNoDeps = Layer.effect(
    Credentials,
    Effect.map(Settings, (settings) => Credentials.of({ admit: admission(settings) }))
  )
}

export const isDenial = (answer: Admission | Denial): answer is Denial => "error" in answer

/** The check itself. */
export const admission = (
  { grants, keys, tokens }: Pick<Settings["Service"], "grants" | "keys" | "tokens">
): Credentials["Service"]["admit"] => {
  const known = [
    ...tokens.map((token): Grant => ({ sha256: sha256(Redacted.value(token)), scopes })),
    ...keys.map(({ email, key }): Grant => ({ email, sha256: sha256(Redacted.value(key)), scopes })),
    ...grants
  ].map((grant) => {
    const digest = digestOf(grant.email, grant.sha256)
    return {
      digest,
      admission: { tokenId: digest.toString("hex", 0, TOKEN_ID_BYTES) },
      scopes: new Set<Scope>(grant.scopes),
      zones: grant.zones && new Set<string>(grant.zones)
    }
  })
  return (headers, { scope, zone }) => {
    const presented = presentedDigest(headers)
    if (!Buffer.isBuffer(presented)) return presented
    let found: typeof known[number] | undefined
    for (const candidate of known) if (timingSafeEqual(candidate.digest, presented)) found ??= candidate
    if (found === undefined || !found.scopes.has(scope)) return { error: "authentication_error" }
    if (found.zones !== undefined && (zone === undefined || !found.zones.has(zone))) {
      return { error: "authentication_error" }
    }
    return found.admission
  }
}

/** Enough to tell tokens apart, too little to try tokens against. */
const TOKEN_ID_BYTES = 6

const sha256 = (secret: string): string => hash("sha256", secret, "hex")

/** Tells tokens from keys, and one account's keys from another's. */
const digestOf = (email: string | undefined, secretHash: string): Buffer =>
  email === undefined ? Buffer.from(secretHash, "hex") : hash("sha256", `${email}\n${secretHash}`, "buffer")

const presentedDigest = (headers: Headers): Buffer | Denial => {
  const authorization = headers["authorization"]
  if (authorization !== undefined) {
    const token = BEARER.exec(authorization)?.[1]
    return token === undefined ? malformed.authorization : hash("sha256", token, "buffer")
  }
  const email = headers["x-auth-email"]
  const key = headers["x-auth-key"]
  if (email === undefined || key === undefined) return { error: "missing_credential" }
  if (!EMAIL.test(email)) return malformed.email
  if (!KEY.test(key)) return malformed.key
  return digestOf(email, sha256(key))
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
