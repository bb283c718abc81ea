import { configuredEnvironment, type Environment } from "@origin-regions/settings/Environment"
import { defaulted, optional, type Values } from "@origin-regions/settings/Setting"
import type { SettingProblem } from "@origin-regions/settings/SettingProblem"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { SettingsError } from "@origin-regions/settings/SettingsError"
import { duration, oneOf, secret, text, webAddress, wholeNumber } from "@origin-regions/settings/SettingType"
import { Context, Duration, Effect, Layer, Redacted, Result } from "effect"
import type { QuotaOptions } from "./ApiQuota.ts"

/** How calls are authorised: an API token, or an account's e-mail address with its API key. */
export type ApiCredential =
  | { readonly _tag: "Token"; readonly token: Redacted.Redacted }
  | { readonly _tag: "Key"; readonly email: string; readonly key: Redacted.Redacted }

/** Where the published limit counts even before an answer has told of one. */
const cloudflareHost = "api.cloudflare.com"

/** Calls in five minutes, for each token: https://developers.cloudflare.com/fundamentals/api/reference/limits/ */
const cloudflareQuota = 1_200

const defaultBaseUrl = `https://${cloudflareHost}/client/v4`
const defaultConnections = 64

/** What isn't printable ASCII without spaces can't be a credential, nor stand in a header. */
const credential = (expected: string) =>
  secret(expected, { matches: /^[!-~]*$/, expected: `${expected}, without spaces and control characters` })

/** How the API is reached. The names of the credential and the base URL are those that the official SDKs read. */
export const apiSettings = {
  token: optional("CLOUDFLARE_API_TOKEN", credential("an API token"), {
    meaning: "the API token; or instead:",
    example: "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY"
  }),
  email: optional(
    "CLOUDFLARE_EMAIL",
    text("the e-mail address that CLOUDFLARE_API_KEY belongs to", /^[!-~]+@[!-~]+$/),
    { meaning: "an account's e-mail address, with its API key", example: "ops@example.com" }
  ),
  key: optional("CLOUDFLARE_API_KEY", credential("the API key that belongs to CLOUDFLARE_EMAIL"), {
    meaning: "the API key of that account",
    example: "144c9defac04969c7bfad8efaa8ea194"
  }),
  baseUrl: defaulted("CLOUDFLARE_BASE_URL", webAddress, {
    default: defaultBaseUrl,
    meaning: "where the API is",
    example: "http://api.internal:8787/client/v4"
  }),
  generation: defaulted("API_GENERATION", oneOf(["1", "2", "auto"]), {
    default: "auto",
    meaning: "[the API's wire](#the-generations-of-the-api)",
    example: "2"
  }),
  timeout: defaulted(
    "API_TIMEOUT",
    duration({
      minimum: Duration.millis(1),
      maximum: Duration.minutes(10),
      expected: "a duration from 1 milli to 10 minutes"
    }),
    {
      default: "10 seconds",
      meaning: "how long one HTTP request may take; less than `DRAIN_TIMEOUT`",
      example: "5 seconds"
    }
  ),
  quota: defaulted(
    "API_QUOTA",
    text(
      "auto, none, or a number of calls in five minutes from 1 to 1000000000",
      /^(?:auto|none|[1-9]\d{0,8}|1000000000)$/
    ),
    {
      default: "auto",
      meaning: "calls in five minutes that the token has: see [the quota](waiting.md#the-quota)",
      example: "600"
    }
  ),
  quotaShare: defaulted("API_QUOTA_SHARE", wholeNumber(1, 100), {
    default: "90",
    meaning: "how much of the quota the group uses, in percent; the rest is for people",
    example: "50"
  })
}

/** The wire that is spoken: `auto` asks the API which one it has. */
export type ApiGeneration = 1 | 2 | "auto"

/**
 * Where the API is and how it is called; `apiSettings` are the settings. `connections` limits how many calls are under way at once (64 unless a program
 * says otherwise); the others wait for their turn, within their timeout.
 */
export class ApiSettings extends Context.Service<ApiSettings, {
  readonly baseUrl: URL
  readonly credential: ApiCredential
  readonly generation: ApiGeneration
  readonly timeout: Duration.Duration
  readonly connections: number
  /** Left out: calls are made without regard to any. */
  readonly quota: QuotaOptions | undefined
}>()("@origin-regions/api-client/ApiSettings") {
  /** From Effect's configuration. */
  static readonly layer = Layer.effect(
    ApiSettings,
    Effect.gen(function*() {
      const settings = readApiSettings(yield* configuredEnvironment(apiSettings))
      if (Result.isFailure(settings)) return yield* new SettingsError({ problems: settings.failure })
      return settings.success
    })
  )
}

/** The settings from environment variables, or every problem with them, for a program to report together with its own. */
export const readApiSettings = (
  environment: Environment
): Result.Result<ApiSettings["Service"], ReadonlyArray<SettingProblem>> => {
  const reader = new SettingReader(environment)
  const read = reader.readAll(apiSettings)
  checkBaseUrl(reader, read)
  return reader.result({
    credential: credentialOf(reader, read),
    baseUrl: read.baseUrl,
    generation: read.generation === "1" ? 1 : read.generation === "2" ? 2 : "auto",
    timeout: read.timeout,
    connections: defaultConnections,
    quota: quotaOf(read)
  })
}

/** Stands for a secret that a problem is told of. */
const unset = Redacted.make("")

type Read = Values<typeof apiSettings>

const credentialOf = (reader: SettingReader, { email, key, token }: Read): ApiCredential => {
  const hasToken = reader.isSet(apiSettings.token)
  const hasEmail = reader.isSet(apiSettings.email)
  const hasKey = reader.isSet(apiSettings.key)
  if (hasToken && (hasEmail || hasKey)) {
    reader.problem(
      apiSettings.token,
      "one kind of credential, not two: unset it, or unset CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY",
      "set"
    )
  }
  if (hasToken || (!hasEmail && !hasKey)) {
    if (!hasToken) {
      reader.problem(apiSettings.token, "an API token, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY instead")
    }
    return { _tag: "Token", token: token ?? unset }
  }
  if (!hasEmail) reader.problem(apiSettings.email, apiSettings.email.type.expected)
  if (!hasKey) reader.problem(apiSettings.key, apiSettings.key.type.expected)
  return { _tag: "Key", email: email ?? "", key: key ?? unset }
}

const checkBaseUrl = (reader: SettingReader, { baseUrl: { hash, password, search, username } }: Read): void => {
  if (username !== "" || password !== "" || search !== "" || hash !== "") {
    reader.problem(
      apiSettings.baseUrl,
      `an address without user name, query and fragment, as ${defaultBaseUrl}`,
      "(hidden)"
    )
  }
}

const quotaOf = ({ baseUrl, quota, quotaShare }: Read): QuotaOptions | undefined => {
  if (quota === "none") return undefined
  const published = baseUrl.hostname === cloudflareHost ? cloudflareQuota : undefined
  return { calls: quota === "auto" ? published : Number(quota), share: quotaShare / 100 }
}
