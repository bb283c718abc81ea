import { SettingReader } from "@origin-regions/domain/SettingReader"
import { SettingsError } from "@origin-regions/domain/SettingsError"
import { Config, Context, Duration, Effect, Layer, Option, Redacted, Result } from "effect"
import { readFileSync } from "node:fs"
import { type Grant, readGrants } from "./Grant.ts"

/** An account's e-mail address with its API key. */
export interface AccountKey {
  readonly email: string
  readonly key: Redacted.Redacted
}

/** The generations of the API that there are. */
export type Generation = 1 | 2

export interface RateLimitSettings {
  readonly requests: number
  readonly window: Duration.Duration
  readonly block: Duration.Duration
}

const logFormats = ["json", "pretty", "logfmt"] as const
const logLevels = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"] as const

const names = [
  "API_HOST",
  "API_PORT",
  "API_DATABASE",
  "DATABASE_URL",
  "API_TOKENS",
  "API_KEYS",
  "API_TOKENS_FILE",
  "API_GENERATIONS",
  "API_RATE_LIMIT",
  "API_RATE_LIMIT_WINDOW",
  "API_RATE_LIMIT_BLOCK",
  "API_MAX_CONNECTIONS",
  "API_REQUEST_TIMEOUT",
  "API_FAULTS",
  "LOG_FORMAT",
  "LOG_LEVEL"
] as const

/**
 * What the API is told by its environment:
 *
 * - `API_HOST`: the address to listen on; default `127.0.0.1`, this machine only;
 * - `API_PORT`: default `8787`; `0` takes any free one;
 * - `API_DATABASE`: the SQLite file; default `.data/api.sqlite`;
 * - `DATABASE_URL`: a PostgreSQL database, `postgres://user:password@host:port/name`, to use instead;
 * - `API_TOKENS`: the bearer tokens that are let in, with commas between them;
 * - `API_KEYS`: the same as `email:key`, for clients that send `X-Auth-Email` and `X-Auth-Key`;
 * - `API_TOKENS_FILE`: a JSON file of tokens' hashes with what each may do. One of the three must be set;
 * - `API_GENERATIONS`: which generations of the API are served; default `1,2`;
 * - `API_RATE_LIMIT`: how many requests a credential may send in `API_RATE_LIMIT_WINDOW` (default 5 minutes) before all are refused for
 *   `API_RATE_LIMIT_BLOCK` (default 5 minutes); default: no limit;
 * - `API_MAX_CONNECTIONS` (default `1024`): more are closed at once; `API_REQUEST_TIMEOUT` (default 30 seconds): how long a request may take to
 *   arrive, and then PostgreSQL to do it (never more than 10 seconds);
 * - `API_FAULTS`: `true` lets `/faults` inject faults, for tests and rehearsals; default `false`;
 * - `LOG_FORMAT` (`json`, `pretty`, `logfmt`; default `json`) and `LOG_LEVEL` (default `Info`).
 */
export class Settings extends Context.Service<Settings, {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly databaseUrl: Redacted.Redacted | undefined
  readonly tokens: ReadonlyArray<Redacted.Redacted>
  readonly keys: ReadonlyArray<AccountKey>
  readonly grants: ReadonlyArray<Grant>
  readonly rateLimit: RateLimitSettings | undefined
  readonly maxConnections: number
  readonly requestTimeout: Duration.Duration
  readonly generations: ReadonlyArray<Generation>
  readonly faults: boolean
  readonly logFormat: typeof logFormats[number]
  readonly logLevel: typeof logLevels[number]
}>()("@origin-regions/api/Settings") {
  /** Reads every setting before it reports any problem. */
  static readonly layer = Layer.effect(
    Settings,
    Effect.gen(function*() {
      const environment: Record<string, string> = {}
      for (const name of names) {
        const value = yield* Effect.orDie(Config.option(Config.String(name)))
        if (Option.isSome(value)) environment[name] = value.value
      }
      const settings = read(new SettingReader(environment))
      return Result.isSuccess(settings) ? settings.success : yield* new SettingsError({ problems: settings.failure })
    })
  )
}

const read = (reader: SettingReader) => {
  const credentials = {
    tokens: secrets(reader, "API_TOKENS", TOKEN, "tokens of printable characters without spaces, with commas between"),
    keys: secrets(reader, "API_KEYS", ACCOUNT_KEY, "pairs of email:key without spaces, with commas between")
  }
  if (!["API_TOKENS", "API_KEYS", "API_TOKENS_FILE"].some((name) => reader.isSet(name))) {
    reader.problem(
      "API_TOKENS",
      "the tokens that clients may use, with commas between (or API_KEYS as email:key, or API_TOKENS_FILE)"
    )
  }
  const rateLimit = {
    requests: reader.integer("API_RATE_LIMIT", { minimum: 1, maximum: 1_000_000_000 }, { default: 1 }),
    window: reader.duration("API_RATE_LIMIT_WINDOW", { default: Duration.minutes(5) }),
    block: reader.duration("API_RATE_LIMIT_BLOCK", { default: Duration.minutes(5) })
  }
  return reader.result({
    host: reader.text("API_HOST", "a host name or an IP address to listen on", {
      default: "127.0.0.1",
      pattern: /^[0-9A-Za-z:._-]+$/
    }),
    port: reader.integer("API_PORT", { minimum: 0, maximum: 65_535 }, { default: 8787 }),
    database: reader.text("API_DATABASE", "the path of a file", { default: ".data/api.sqlite" }),
    databaseUrl: databaseUrlOf(reader),
    tokens: credentials.tokens.map((token) => Redacted.make(token, { label: "API_TOKENS" })),
    keys: credentials.keys.map((pair) => {
      const colon = pair.indexOf(":")
      return { email: pair.slice(0, colon), key: Redacted.make(pair.slice(colon + 1), { label: "API_KEYS" }) }
    }),
    grants: grantsOf(reader),
    rateLimit: reader.isSet("API_RATE_LIMIT") ? rateLimit : undefined,
    maxConnections: reader.integer("API_MAX_CONNECTIONS", { minimum: 1, maximum: 1_000_000 }, { default: 1024 }),
    requestTimeout: reader.duration("API_REQUEST_TIMEOUT", { default: Duration.seconds(30) }),
    generations: [
      ...new Set(
        reader.list("API_GENERATIONS", "1, 2 or both, with a comma between", /^[12]$/, { default: ["1", "2"] })
      )
    ].map((generation) => generation === "1" ? 1 : 2),
    faults: reader.boolean("API_FAULTS", { default: false }),
    logFormat: reader.oneOf("LOG_FORMAT", logFormats, { default: "json" }) ?? "json",
    logLevel: reader.oneOf("LOG_LEVEL", logLevels, { default: "Info" }) ?? "Info"
  })
}

const databaseUrlOf = (reader: SettingReader): Redacted.Redacted | undefined => {
  if (!reader.isSet("DATABASE_URL")) return undefined
  const expected = "a PostgreSQL address like postgres://user:password@host:5432/name"
  const url = reader.secret("DATABASE_URL", expected)
  if (/^postgres(?:ql)?:$/.test(URL.parse(Redacted.value(url))?.protocol ?? "")) return url
  reader.problem("DATABASE_URL", expected, "<hidden>")
  return undefined
}

const grantsOf = (reader: SettingReader): ReadonlyArray<Grant> => {
  if (!reader.isSet("API_TOKENS_FILE")) return []
  const expected = "a readable JSON file like {\"tokens\": [{\"sha256\": \"…\", \"scopes\": [\"read\"]}]}"
  const file = reader.text("API_TOKENS_FILE", expected)
  let json
  try {
    json = readFileSync(file, "utf8")
  } catch {
    reader.problem("API_TOKENS_FILE", expected, file)
    return []
  }
  const grants = readGrants(json)
  if (Result.isSuccess(grants)) return grants.success
  reader.problem("API_TOKENS_FILE", expected, `${file} (${grants.failure})`)
  return []
}

// Printable ASCII: what can stand in a header.
const TOKEN = /^[!-+\--~]+$/
const ACCOUNT_KEY = /^[!-+\--9;-~]+@[!-+\--9;-~]+:[!-+\--~]+$/

/** The parts of a list that must not show up in a message. */
const secrets = (reader: SettingReader, name: string, pattern: RegExp, expected: string): ReadonlyArray<string> => {
  if (!reader.isSet(name)) return []
  const parts = Redacted.value(reader.secret(name, expected)).split(",").map((part) => part.trim())
  if (parts.every((part) => pattern.test(part))) return parts
  reader.problem(name, expected, "<hidden>")
  return []
}
