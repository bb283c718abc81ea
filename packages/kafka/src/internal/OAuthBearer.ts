import { Redacted, Schema } from "effect"
import { readFile } from "node:fs/promises"
import {
  allowInsecureRequests,
  type AuthorizationServer,
  type Client,
  clientCredentialsGrantRequest,
  ClientSecretBasic,
  processClientCredentialsResponse,
  ResponseBodyError,
  WWWAuthenticateChallengeError
} from "oauth4webapi"
import type { ClientCredentials, KafkaSettings, TokenFile } from "../KafkaSettings.ts"
import { KafkaJSSASLAuthenticationError } from "./PatchedKafkaJS.ts"

type OAuthBearer = Extract<NonNullable<KafkaSettings["sasl"]>, { readonly mechanism: "OAUTHBEARER" }>

/** A token as kafkajs hands it to a broker. */
export interface BearerToken {
  readonly value: string
  readonly extensions: Readonly<Record<string, string>>
}

/** There is no token at the moment; there may be one later. It has a code, as the system's errors have. */
class NoToken extends Error {
  readonly code = "NO_TOKEN"
}

const REQUEST_TIMEOUT = 10_000

/** As Kafka's own clients do, and so that a connection that begins with an old token has a while before it has to show another. */
const USED_LIFE = 0.8
const REST = 30_000

/**
 * Gives a token whenever a connection needs one: for itself, and again before the broker ends its session. A file is read each time. A token for client
 * credentials is kept for most of its life, and asked for once for all connections that need it at a time.
 */
export const oauthBearerProvider = ({ extensions, token }: OAuthBearer): () => Promise<BearerToken> => {
  const current = token._tag === "File" ? () => fromFile(token) : keeping(() => fromEndpoint(token))
  return async () => ({ value: await current(), extensions })
}

const fromFile = async ({ path }: TokenFile): Promise<string> => {
  const value = await readFile(path, "utf8").then((text) => text.trim(), (error: unknown) => {
    throw new NoToken(`no token from ${path}: ${wordsOf(error)}`)
  })
  if (value === "") throw new NoToken(`no token from ${path}: it is empty`)
  return value
}

interface Granted {
  readonly value: string
  /** By the monotonic clock, in milliseconds. */
  readonly usedUntil: number
}

const keeping = (ask: () => Promise<Granted>): () => Promise<string> => {
  let kept: Granted | undefined
  let asked: Promise<Granted> | undefined
  return async () => {
    if (kept === undefined || performance.now() >= kept.usedUntil) {
      asked ??= ask().finally(() => {
        asked = undefined
      })
      kept = await asked
    }
    return kept.value
  }
}

const fromEndpoint = async (
  { clientId, clientSecret, scope, tokenEndpoint }: ClientCredentials
): Promise<Granted> => {
  const server: AuthorizationServer = { issuer: tokenEndpoint.origin, token_endpoint: tokenEndpoint.href }
  const client: Client = { client_id: clientId }
  const sent = performance.now()
  try {
    const response = await clientCredentialsGrantRequest(
      server,
      client,
      ClientSecretBasic(Redacted.value(clientSecret)),
      scope === undefined ? {} : { scope },
      {
        signal: AbortSignal.timeout(REQUEST_TIMEOUT),
        // Who names an http:// address means it.
        [allowInsecureRequests]: tokenEndpoint.protocol === "http:"
      }
    )
    const { access_token: value, expires_in: seconds = 0 } = await processClientCredentialsResponse(
      server,
      client,
      response
    )
    return { value, usedUntil: sent + Math.min(seconds * 1_000 * USED_LIFE, seconds * 1_000 - REST) }
  } catch (error) {
    throw await failure(tokenEndpoint, Redacted.value(clientSecret), error)
  }
}

/** A refusal stays one until somebody does something about it; all else may pass. */
const failure = async ({ href }: URL, secret: string, error: unknown): Promise<Error> => {
  const refused = error instanceof ResponseBodyError
    ? wordsOfRefusal(error.status, error.cause)
    : error instanceof WWWAuthenticateChallengeError
    ? wordsOfRefusal(error.status, await error.response.json().catch(() => undefined))
    : undefined
  return refused === undefined
    ? new NoToken(`no token from ${href}: ${wordsOf(error)}`)
    : new KafkaJSSASLAuthenticationError(`no token from ${href}: ${refused.replaceAll(secret, "<redacted>")}`)
}

/** RFC 6749, 5.2. */
const isRefusal = Schema.is(Schema.Struct({ error: Schema.String, error_description: Schema.optional(Schema.String) }))

const wordsOfRefusal = (status: number, body: unknown): string =>
  isRefusal(body)
    ? [body.error, body.error_description].filter((text) => text !== undefined).join(": ")
    : `it answers ${status}`

/** The innermost error says what it was: "fetch failed" does not. */
const wordsOf = (error: unknown): string => {
  let current = error
  while (current instanceof Error && current.cause instanceof Error) current = current.cause
  return current instanceof Error ? current.message : String(current)
}
