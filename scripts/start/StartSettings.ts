import { readSettings, type Settings } from "@origin-regions/consumer/Settings"
import type { Environment } from "@origin-regions/settings/Environment"
import { completeEnvironment } from "@origin-regions/settings/EnvironmentFile"
import { defaulted } from "@origin-regions/settings/Setting"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { SettingsError } from "@origin-regions/settings/SettingsError"
import { text, wholeNumber } from "@origin-regions/settings/SettingType"
import { Effect, Result } from "effect"
import * as NodePath from "node:path"
import { root } from "../Command.ts"

/** Our environment with what `.env` adds to it: all that is started gets it from us. */
export const startEnvironment: Effect.Effect<Environment, SettingsError> = Effect.suspend(() =>
  Effect.fromResult(completeEnvironment(process.env)).pipe(
    Effect.mapBoth({
      onSuccess: ({ environment }) => environment,
      onFailure: (problems) => new SettingsError({ problems })
    })
  )
)

/** Where the API's traces go: where the consumer's go, under a name of its own. */
export const apiEnvironment = (environment: Environment): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] =>
      entry[1] !== undefined && /^OTEL_(?!SERVICE_NAME$)/.test(entry[0])
    )
  )

/** The environment with what the consumer is given for the brokers, the API and its token. The rest of what it reads is the caller's to set. */
export const consumerEnvironment = (
  environment: Environment,
  given: { readonly brokers: ReadonlyArray<string>; readonly apiBaseUrl: string; readonly apiToken: string }
): Readonly<Record<string, string>> => {
  const passed = Object.entries(environment).filter((entry): entry is [string, string] =>
    entry[1] !== undefined && !/^(CLOUDFLARE_|API_(HOST|PORT|DATABASE|TOKENS|KEYS)$)/.test(entry[0])
  )
  return {
    // A consumer that was killed is waited for until its session ends: the shortest there is.
    KAFKA_SESSION_TIMEOUT: "10 seconds",
    ...Object.fromEntries(passed),
    KAFKA_BROKERS: given.brokers.join(","),
    CLOUDFLARE_BASE_URL: given.apiBaseUrl,
    CLOUDFLARE_API_TOKEN: given.apiToken,
    HTTP_HOST: "127.0.0.1",
    LOG_FORMAT: "json"
  }
}

export interface StartSettings {
  /** An absolute path. */
  readonly dataDirectory: string
  readonly kafkaPort: number
  readonly apiPort: number
  /** Topics, group, the port that is tried first, and how to reach Kafka. */
  readonly consumer: Settings
}

const port = wholeNumber(1, 65_535)

/** What `npm start` and `npm run kafka` read besides the consumer's settings. */
export const startSettings = {
  dataDirectory: defaulted("DATA_DIRECTORY", text("a directory"), {
    default: ".data",
    meaning: "where Kafka and the API keep their data; relative to the repository",
    example: "/var/tmp/origin-regions"
  }),
  kafkaPort: defaulted("KAFKA_PORT", port, {
    default: "9092",
    meaning: "the port that is tried first for Kafka",
    example: "19092"
  }),
  apiPort: defaulted("API_PORT", port, {
    default: "8787",
    meaning: "the port that is tried first for the API",
    example: "18787"
  })
}

/** What `npm start` and `npm run kafka` are told by their environment. Everything is checked before anything starts. */
export const readStartSettings = (
  environment: Environment
): Effect.Effect<StartSettings, SettingsError> => {
  const reader = new SettingReader(environment)
  const read = reader.readAll(startSettings)
  const own = { ...read, dataDirectory: NodePath.resolve(root, read.dataDirectory) }
  const consumer = readSettings(consumerEnvironment(environment, {
    brokers: [environment["KAFKA_BROKERS"] || `127.0.0.1:${own.kafkaPort}`],
    apiBaseUrl: `http://127.0.0.1:${own.apiPort}`,
    apiToken: "local"
  }))
  return Effect.fromResult(
    Result.flatMap(
      reader.result(own, Result.isFailure(consumer) ? consumer.failure : []),
      (own) => Result.map(consumer, (consumer): StartSettings => ({ ...own, consumer }))
    )
  ).pipe(Effect.mapError((problems) => new SettingsError({ problems })))
}
