import type { SettingProblem } from "@origin-regions/domain/SettingProblem"
import { type Environment, SettingReader } from "@origin-regions/domain/SettingReader"
import { SettingsError } from "@origin-regions/domain/SettingsError"
import { Config, ConfigProvider, Context, Duration, Effect, Layer, Option, Redacted, Result } from "effect"
import type { QuotaOptions } from "./ApiQuota.ts"

/** How calls are authorised: an API token, or an account's e-mail address with its API key. */
export type ApiCredential =
  | { readonly _tag: "Token"; readonly token: Redacted.Redacted }
  | { readonly _tag: "Key"; readonly email: string; readonly key: Redacted.Redacted }

const defaultBaseUrl = "https://api.cloudflare.com/client/v4"
const defaultConnections = 64
const shortestTimeout = Duration.millis(1)
const longestTimeout = Duration.minutes(10)

/** Stands for a value that a problem must not show. */
const hidden = "(hidden)"

const names = [
  "CLOUDFLARE_API_TOKEN",
  "CLOUDFLARE_EMAIL",
  "CLOUDFLARE_API_KEY",
  "CLOUDFLARE_BASE_URL",
  "API_GENERATION",
  "API_TIMEOUT",
  "API_QUOTA",
  "API_QUOTA_SHARE",
  "REDIS_URL"
]

/** Where the published limit counts even before an answer has told of one. */
const cloudflareHost = "api.cloudflare.com"

/** Calls in five minutes, for each token: https://developers.cloudflare.com/fundamentals/api/reference/limits/ */
const cloudflareQuota = 1_200
const defaultQuotaShare = 90

/** The wire that is spoken: `auto` asks the API which one it has. */
export type ApiGeneration = 1 | 2 | "auto"

/**
 * Where the API is and how it is called. Credential and base URL are set by the variables that the official SDKs read:
 *
 * - `CLOUDFLARE_API_TOKEN`, or `CLOUDFLARE_EMAIL` with `CLOUDFLARE_API_KEY`;
 * - `CLOUDFLARE_BASE_URL`: default `https://api.cloudflare.com/client/v4`;
 * - `API_GENERATION`: `1` (`/cache/origin_cloud_regions`), `2` (`/origin/cloud_regions`), or `auto` (default): 2 where the API has it, else 1;
 * - `API_TIMEOUT`: how long one HTTP request may take, connecting and reading included; default `10 seconds`;
 * - `API_QUOTA`: calls in five minutes that the token has, until answers tell of a limit; `auto` (default): 1200 at Cloudflare, elsewhere only what answers tell;
 *   `none`: calls are made without regard to any;
 * - `API_QUOTA_SHARE`: how much of the quota is used, in percent; default 90;
 * - `REDIS_URL`: a Redis where all who use the credential pool their quota; without it, members share it by their partitions.
 *
 * `connections` limits how many calls are under way at once (64 unless a program says otherwise); the others wait for their turn,
 * within their timeout.
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
  /** From the configuration, by the names above. */
  static readonly layer = Layer.effect(
    ApiSettings,
    Effect.gen(function*() {
      const provider = yield* ConfigProvider.ConfigProvider
      const environment: Record<string, string> = {}
      for (const name of names) {
        // Text always parses; only a broken provider fails.
        const value = yield* Effect.orDie(Config.option(Config.String(name)).parse(provider))
        if (Option.isSome(value)) environment[name] = value.value
      }
      const settings = readApiSettings(environment)
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
  const credential = readCredential(reader)
  const baseUrl = readBaseUrl(reader)
  return reader.result({
    credential,
    baseUrl,
    generation: readGeneration(reader),
    timeout: readTimeout(reader, environment),
    connections: defaultConnections,
    quota: readQuota(reader, baseUrl)
  })
}

const readCredential = (reader: SettingReader): ApiCredential => {
  const hasToken = reader.isSet("CLOUDFLARE_API_TOKEN")
  const hasEmail = reader.isSet("CLOUDFLARE_EMAIL")
  const hasKey = reader.isSet("CLOUDFLARE_API_KEY")
  if (hasToken && (hasEmail || hasKey)) {
    reader.problem(
      "CLOUDFLARE_API_TOKEN",
      "one kind of credential, not two: unset it, or unset CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY",
      hidden
    )
  }
  if (hasToken || (!hasEmail && !hasKey)) {
    return {
      _tag: "Token",
      token: readSecret(
        reader,
        "CLOUDFLARE_API_TOKEN",
        hasToken ? "an API token" : "an API token, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY instead"
      )
    }
  }
  return {
    _tag: "Key",
    email: reader.text("CLOUDFLARE_EMAIL", "the e-mail address that CLOUDFLARE_API_KEY belongs to", {
      pattern: /^[!-~]+@[!-~]+$/
    }),
    key: readSecret(reader, "CLOUDFLARE_API_KEY", "the API key that belongs to CLOUDFLARE_EMAIL")
  }
}

/** What isn't printable ASCII without spaces can't be a credential, nor stand in a header. */
const readSecret = (reader: SettingReader, setting: string, expected: string): Redacted.Redacted => {
  const secret = reader.secret(setting, expected)
  if (!/^[!-~]*$/.test(Redacted.value(secret))) {
    reader.problem(setting, `${expected}, without spaces and control characters`, hidden)
  }
  return secret
}

const readGeneration = (reader: SettingReader): ApiGeneration => {
  const generation = reader.oneOf("API_GENERATION", ["1", "2", "auto"], { default: "auto" })
  return generation === "1" ? 1 : generation === "2" ? 2 : "auto"
}

const readBaseUrl = (reader: SettingReader): URL => {
  const url = reader.url("CLOUDFLARE_BASE_URL", { default: defaultBaseUrl })
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    reader.problem(
      "CLOUDFLARE_BASE_URL",
      `an address without user name, query and fragment, as ${defaultBaseUrl}`,
      hidden
    )
  }
  return url
}

const readQuota = (reader: SettingReader, { hostname }: URL): QuotaOptions | undefined => {
  const quota = reader.text("API_QUOTA", "auto, none, or a number of calls in five minutes from 1 to 1000000000", {
    default: "auto",
    pattern: /^(?:auto|none|[1-9]\d{0,8}|1000000000)$/
  })
  const percent = reader.integer("API_QUOTA_SHARE", { minimum: 1, maximum: 100 }, { default: defaultQuotaShare })
  const redis = readRedisUrl(reader)
  if (quota === "none") return undefined
  const published = hostname === cloudflareHost ? cloudflareQuota : undefined
  const options = { calls: quota === "auto" ? published : Number(quota), share: percent / 100 }
  return redis === undefined ? options : { ...options, redis }
}

/** Secret, as it may hold a password. */
const readRedisUrl = (reader: SettingReader): Redacted.Redacted | undefined => {
  if (!reader.isSet("REDIS_URL")) return undefined
  const expected = "an address such as redis://user:password@host:6379/0, or rediss:// for TLS"
  const url = reader.secret("REDIS_URL", expected)
  const value = Redacted.value(url)
  const isRedis = URL.canParse(value) && /^rediss?:$/.test(new URL(value).protocol) && new URL(value).hostname !== ""
  // Redis has databases by number only.
  if (!isRedis || !/^\/?\d*$/.test(new URL(value).pathname)) reader.problem("REDIS_URL", expected, hidden)
  return url
}

const readTimeout = (reader: SettingReader, environment: Environment): Duration.Duration => {
  const timeout = reader.duration("API_TIMEOUT", { default: Duration.seconds(10) })
  // Zero stands for a problem that is already told.
  if (!Duration.isZero(timeout) && !Duration.between(timeout, { minimum: shortestTimeout, maximum: longestTimeout })) {
    reader.problem("API_TIMEOUT", "a duration from 1 milli to 10 minutes", environment["API_TIMEOUT"])
  }
  return timeout
}
