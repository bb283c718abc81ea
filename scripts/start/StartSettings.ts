import { readSettings, type Settings } from "@origin-regions/consumer/Settings"
import { type Environment, SettingReader } from "@origin-regions/domain/SettingReader"
import { SettingsError } from "@origin-regions/domain/SettingsError"
import { Effect, Result } from "effect"
import * as NodePath from "node:path"
import { root } from "../Command.ts"

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

const PORTS = { minimum: 1, maximum: 65_535 }

/**
 * What `npm start` and `npm run kafka` can be told by their environment: `DATA_DIRECTORY` (default `.data`), the ports that are tried first, `KAFKA_PORT`
 * (9092), `API_PORT` (8787) and `HTTP_PORT` (the consumer's, 8788), and all that the consumer reads. Everything is checked before anything starts.
 */
export const readStartSettings = (
  environment: Environment
): Effect.Effect<StartSettings, SettingsError> => {
  const settings = new SettingReader(environment)
  const own = {
    dataDirectory: NodePath.resolve(root, settings.text("DATA_DIRECTORY", "a directory", { default: ".data" })),
    kafkaPort: settings.integer("KAFKA_PORT", PORTS, { default: 9092 }),
    apiPort: settings.integer("API_PORT", PORTS, { default: 8787 })
  }
  const consumer = readSettings(consumerEnvironment(environment, {
    brokers: [environment["KAFKA_BROKERS"] || `127.0.0.1:${own.kafkaPort}`],
    apiBaseUrl: `http://127.0.0.1:${own.apiPort}`,
    apiToken: "local"
  }))
  return Effect.fromResult(
    Result.flatMap(
      settings.result(own, Result.isFailure(consumer) ? consumer.failure : []),
      (own) => Result.map(consumer, (consumer): StartSettings => ({ ...own, consumer }))
    )
  ).pipe(Effect.mapError((problems) => new SettingsError({ problems })))
}
