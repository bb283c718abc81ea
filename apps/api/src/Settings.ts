import { configuredEnvironment } from "@origin-regions/settings/Environment"
import { logFormats } from "@origin-regions/settings/LogFormat"
import { defaulted, optional, type Values } from "@origin-regions/settings/Setting"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { SettingsError } from "@origin-regions/settings/SettingsError"
import {
  duration,
  list,
  oneOf,
  secret,
  text,
  textFile,
  trueOrFalse,
  wholeNumber
} from "@origin-regions/settings/SettingType"
import { readTraceSettings, type TraceSettings, traceSettings } from "@origin-regions/telemetry/TraceSettings"
import { Context, type Duration, Effect, Layer, Redacted, Result } from "effect"
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

// Printable ASCII: what can stand in a header.
const TOKENS = /^[!-+\--~]+(\s*,\s*[!-+\--~]+)*$/
const ACCOUNT_KEYS = /^[!-+\--9;-~]+@[!-+\--9;-~]+:[!-+\--~]+(\s*,\s*[!-+\--9;-~]+@[!-+\--9;-~]+:[!-+\--~]+)*$/

const secrets = (expected: string, matches: RegExp) => secret(expected, { matches, expected })

/** What the API is told by its environment. A new setting is declared here, and is thereby read and documented (`npm run documents`). */
export const apiServerSettings = {
  tokens: optional(
    "API_TOKENS",
    secrets("tokens of printable characters without spaces, with commas between", TOKENS),
    {
      meaning: "the bearer tokens that are let in to everything; or:",
      example: "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY",
      ownFile: true
    }
  ),
  keys: optional("API_KEYS", secrets("pairs of email:key without spaces, with commas between", ACCOUNT_KEYS), {
    meaning: "the same for clients that send `X-Auth-Email` and `X-Auth-Key`; or:",
    example: "ops@example.com:144c9defac04969c7bfad8efaa8ea194"
  }),
  tokensFile: optional(
    "API_TOKENS_FILE",
    textFile("a readable JSON file like {\"tokens\": [{\"sha256\": \"…\", \"scopes\": [\"read\"]}]}"),
    {
      meaning: "[tokens that may do some things](#tokens-of-the-api). One of the three must be set",
      example: "/etc/origin-regions/tokens.json"
    }
  ),
  host: defaulted("API_HOST", text("a host name or an IP address to listen on", /^[0-9A-Za-z:._-]+$/), {
    default: "127.0.0.1",
    meaning: "where it listens; the default is this machine only",
    example: "0.0.0.0"
  }),
  port: defaulted("API_PORT", wholeNumber(0, 65_535), {
    default: "8787",
    meaning: "its port; 0 takes any",
    example: "8080"
  }),
  database: defaulted("API_DATABASE", text("the path of a file"), {
    default: ".data/api.sqlite",
    meaning: "the SQLite file",
    example: "/var/lib/origin-regions/api.sqlite"
  }),
  databaseUrl: optional(
    "DATABASE_URL",
    secrets("a PostgreSQL address like postgres://user:password@host:5432/name", /^postgres(ql)?:\/\/./),
    {
      meaning: "a PostgreSQL database to use instead. Its tables are created and brought up to date at the start",
      example: "postgres://api:password@db.example.com:5432/origin_regions"
    }
  ),
  generations: defaulted("API_GENERATIONS", list("1, 2 or both, with a comma between", /^[12]$/), {
    default: "1,2",
    meaning: "which generations of the API are served",
    example: "2"
  }),
  rateLimit: optional("API_RATE_LIMIT", wholeNumber(1, 1_000_000_000), {
    without: "no limit",
    meaning:
      "how many requests a credential may send in a window (Cloudflare: 1200); one more, and all get 429 for the block time",
    example: "1200"
  }),
  rateLimitWindow: defaulted("API_RATE_LIMIT_WINDOW", duration(), {
    default: "5 minutes",
    meaning: "the window",
    example: "1 minute"
  }),
  rateLimitBlock: defaulted("API_RATE_LIMIT_BLOCK", duration(), {
    default: "5 minutes",
    meaning: "the block time",
    example: "1 minute"
  }),
  maxConnections: defaulted("API_MAX_CONNECTIONS", wholeNumber(1, 1_000_000), {
    default: "1024",
    meaning: "connections beyond this are closed at once",
    example: "256"
  }),
  requestTimeout: defaulted("API_REQUEST_TIMEOUT", duration(), {
    default: "30 seconds",
    meaning: "how long a request may take to arrive, and then PostgreSQL to do it (10 seconds at most)",
    example: "10 seconds"
  }),
  faults: defaulted("API_FAULTS", trueOrFalse, {
    default: "false",
    meaning: "`true` lets `/faults` [inject faults](api-compatibility.md#faults-for-tests-and-rehearsals)",
    example: "true"
  }),
  logFormat: defaulted("LOG_FORMAT", logFormats, {
    default: "json",
    meaning: "how the log is written, to stdout",
    example: "logfmt"
  }),
  logLevel: defaulted("LOG_LEVEL", oneOf(["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"]), {
    default: "Info",
    meaning: "from which level on",
    example: "Debug"
  })
}

/** Where its traces go. */
export const apiTraceSettings = traceSettings("origin-regions-api")

type Read = Values<typeof apiServerSettings>

/** What the API is told, ready to be used. */
export class Settings extends Context.Service<
  Settings,
  & Pick<Read, "host" | "port" | "database" | "databaseUrl" | "maxConnections" | "requestTimeout" | "faults">
  & Pick<Read, "logFormat" | "logLevel">
  & {
    readonly tokens: ReadonlyArray<Redacted.Redacted>
    readonly keys: ReadonlyArray<AccountKey>
    readonly grants: ReadonlyArray<Grant>
    readonly rateLimit: RateLimitSettings | undefined
    readonly generations: ReadonlyArray<Generation>
    /** `undefined`: there are none. */
    readonly traces: TraceSettings | undefined
  }
>()("@origin-regions/api/Settings") {
  /** Reads every setting before it reports any problem. */
  static readonly layer = Layer.effect(
    Settings,
    Effect.gen(function*() {
      const settings = read(
        new SettingReader(yield* configuredEnvironment({ ...apiServerSettings, ...apiTraceSettings }))
      )
      return Result.isSuccess(settings) ? settings.success : yield* new SettingsError({ problems: settings.failure })
    })
  )
}

const read = (reader: SettingReader) => {
  const {
    generations,
    keys,
    rateLimit,
    rateLimitBlock,
    rateLimitWindow,
    tokens,
    tokensFile,
    ...settings
  } = reader.readAll(apiServerSettings)
  const credentials = [apiServerSettings.tokens, apiServerSettings.keys, apiServerSettings.tokensFile]
  if (!credentials.some((setting) => reader.isSet(setting))) {
    reader.problem(
      apiServerSettings.tokens,
      "the tokens that clients may use, with commas between (or API_KEYS as email:key, or API_TOKENS_FILE)"
    )
  }
  return reader.result({
    ...settings,
    tokens: partsOf(tokens).map((token) => Redacted.make(token, { label: "API_TOKENS" })),
    keys: partsOf(keys).map((pair) => {
      const colon = pair.indexOf(":")
      return { email: pair.slice(0, colon), key: Redacted.make(pair.slice(colon + 1), { label: "API_KEYS" }) }
    }),
    grants: grantsOf(reader, tokensFile),
    traces: readTraceSettings(reader, apiTraceSettings, reader.readAll(apiTraceSettings)),
    rateLimit: rateLimit === undefined
      ? undefined
      : { requests: rateLimit, window: rateLimitWindow, block: rateLimitBlock },
    generations: [...new Set(generations)].map((generation): Generation => generation === "1" ? 1 : 2)
  })
}

/** The parts of a list of secrets. */
const partsOf = (secrets: Redacted.Redacted | undefined): ReadonlyArray<string> =>
  secrets === undefined ? [] : Redacted.value(secrets).split(",").map((part) => part.trim())

const grantsOf = (reader: SettingReader, json: string | undefined): ReadonlyArray<Grant> => {
  if (json === undefined) return []
  const grants = readGrants(json)
  if (Result.isSuccess(grants)) return grants.success
  const { tokensFile } = apiServerSettings
  reader.problem(tokensFile, tokensFile.type.expected, `${reader.textOf(tokensFile) ?? ""} (${grants.failure})`)
  return []
}
