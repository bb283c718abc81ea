import type { SettingProblem } from "@origin-regions/domain/SettingProblem"
import { Config, ConfigProvider, Context, Duration, Effect, Layer, Option, Redacted, Result, Schema } from "effect"

/** How calls are authorised: an API token, or an account's e-mail address with its API key. */
export type ApiCredential =
  | { readonly _tag: "Token"; readonly token: Redacted.Redacted }
  | { readonly _tag: "Key"; readonly email: string; readonly key: Redacted.Redacted }

const names = [
  "CLOUDFLARE_API_TOKEN",
  "CLOUDFLARE_EMAIL",
  "CLOUDFLARE_API_KEY",
  "CLOUDFLARE_BASE_URL",
  "API_TIMEOUT"
] as const

type SettingName = typeof names[number]

const defaultBaseUrl = "https://api.cloudflare.com/client/v4"
const shortestTimeout = Duration.millis(1)
const longestTimeout = Duration.minutes(10)

/** One or more settings are unset or wrong; `problems` has all of them, `message` a line for each. */
export class ApiSettingsError extends Schema.TaggedError<ApiSettingsError>()("ApiSettingsError", {
  problems: Schema.Array(
    Schema.Struct({
      setting: Schema.String,
      expected: Schema.String,
      actual: Schema.UndefinedOr(Schema.String)
    })
  )
}) {
  override get message(): string {
    return this.problems.map(({ setting, expected, actual }) =>
      actual === undefined ? `${setting}: expected ${expected}` : `${setting}: expected ${expected}, got "${actual}"`
    ).join("\n")
  }
}

/**
 * Where the API is and how it is called. The credential and the base URL are set by the variables that the official SDKs read:
 *
 * - `CLOUDFLARE_API_TOKEN`, or `CLOUDFLARE_EMAIL` with `CLOUDFLARE_API_KEY`;
 * - `CLOUDFLARE_BASE_URL`: default `https://api.cloudflare.com/client/v4`;
 * - `API_TIMEOUT`: how long one attempt may take, connecting and reading included; default `10 seconds`.
 *
 * `connections` limits how many calls are under way at once; the others wait for their turn, within their timeout.
 */
export class ApiSettings extends Context.Service<ApiSettings, {
  readonly baseUrl: URL
  readonly credential: ApiCredential
  readonly timeout: Duration.Duration
  readonly connections: number
}>()("@origin-regions/api-client/ApiSettings") {
  static readonly layer = Layer.effect(
    ApiSettings,
    Effect.gen(function*() {
      const provider = yield* ConfigProvider.ConfigProvider
      const env: { [name in SettingName]?: string } = {}
      for (const name of names) {
        const value = yield* Effect.orDie(Config.option(Config.String(name)).parse(provider))
        if (Option.isSome(value)) env[name] = value.value
      }
      const settings = readApiSettings(env)
      return Result.isSuccess(settings)
        ? settings.success
        : yield* new ApiSettingsError({ problems: settings.failure })
    })
  )
}

/**
 * The settings from environment variables, or every problem with them, so that a program can report them together with its own.
 * An empty variable counts as unset.
 */
export const readApiSettings = (
  env: { readonly [name in SettingName]?: string | undefined }
): Result.Result<ApiSettings["Service"], ReadonlyArray<SettingProblem>> => {
  const credential = readCredential(env)
  const baseUrl = readBaseUrl(env.CLOUDFLARE_BASE_URL || defaultBaseUrl)
  const timeout = readTimeout(env.API_TIMEOUT || "10 seconds")
  if (Result.isSuccess(credential) && Result.isSuccess(baseUrl) && Result.isSuccess(timeout)) {
    return Result.succeed({
      credential: credential.success,
      baseUrl: baseUrl.success,
      timeout: timeout.success,
      connections: 64
    })
  }
  return Result.fail(
    [credential, baseUrl, timeout].flatMap((read): ReadonlyArray<SettingProblem> =>
      read._tag === "Failure" ? [read.failure] : []
    )
  )
}

const problem = (setting: SettingName, expected: string, actual?: string) =>
  Result.fail<SettingProblem>({ setting, expected, actual })

const readCredential = (
  env: { readonly [name in SettingName]?: string | undefined }
): Result.Result<ApiCredential, SettingProblem> => {
  const { CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_EMAIL: email, CLOUDFLARE_API_KEY: key } = env
  if (token) {
    if (email || key) {
      return problem(
        "CLOUDFLARE_API_TOKEN",
        "to be the only credential: unset it, or unset CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY"
      )
    }
    return isHeaderText(token)
      ? Result.succeed({ _tag: "Token", token: Redacted.make(token, { label: "CLOUDFLARE_API_TOKEN" }) })
      : problem("CLOUDFLARE_API_TOKEN", "an API token as the dashboard shows it, without spaces or line ends")
  }
  if (!email && !key) {
    return problem(
      "CLOUDFLARE_API_TOKEN",
      "an API token (or CLOUDFLARE_EMAIL with CLOUDFLARE_API_KEY instead), got none"
    )
  }
  if (!email) return problem("CLOUDFLARE_EMAIL", "the e-mail address of the account that CLOUDFLARE_API_KEY belongs to")
  if (!key) {
    return problem("CLOUDFLARE_API_KEY", "the API key of CLOUDFLARE_EMAIL (or CLOUDFLARE_API_TOKEN instead of both)")
  }
  if (!isHeaderText(email) || !email.includes("@")) {
    return problem("CLOUDFLARE_EMAIL", "an e-mail address, for example ops@example.com", email)
  }
  return isHeaderText(key)
    ? Result.succeed({ _tag: "Key", email, key: Redacted.make(key, { label: "CLOUDFLARE_API_KEY" }) })
    : problem("CLOUDFLARE_API_KEY", "an API key as the dashboard shows it, without spaces or line ends")
}

/** Printable ASCII without spaces: what can stand in a header, and a copied line end can't. */
const isHeaderText = (text: string): boolean => /^[!-~]+$/.test(text)

const readBaseUrl = (text: string): Result.Result<URL, SettingProblem> => {
  const url = URL.parse(text)
  const usable = url !== null && (url.protocol === "http:" || url.protocol === "https:") && url.username === "" &&
    url.password === "" && url.search === "" && url.hash === ""
  return usable
    ? Result.succeed(url)
    : problem(
      "CLOUDFLARE_BASE_URL",
      `an http or https URL without user name and query, for example ${defaultBaseUrl}`,
      // What stands before an @ may be a password.
      text.includes("@") ? undefined : text
    )
}

const decodeDuration = Schema.decodeUnknownResult(Schema.DurationFromString)

const readTimeout = (text: string): Result.Result<Duration.Duration, SettingProblem> => {
  const timeout = decodeDuration(text)
  return Result.isSuccess(timeout) &&
      Duration.between(timeout.success, { minimum: shortestTimeout, maximum: longestTimeout })
    ? Result.succeed(timeout.success)
    : problem("API_TIMEOUT", "a duration of up to 10 minutes, for example \"10 seconds\" or \"500 millis\"", text)
}
