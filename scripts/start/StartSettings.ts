import { describeProblems } from "@origin-regions/domain/SettingProblem"
import { type Environment, SettingReader } from "@origin-regions/domain/SettingReader"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { Effect, Result, Runtime, Schema } from "effect"
import * as NodePath from "node:path"
import { root } from "../Command.ts"

/** Settings that are wrong, all in one message. */
export class WrongSettings extends Schema.TaggedError<WrongSettings>()("WrongSettings", { problems: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 2
  override get message() {
    return this.problems
  }
}

export interface StartSettings {
  /** An absolute path. */
  readonly dataDirectory: string
  readonly kafkaPort: number
  readonly apiPort: number
  readonly consumerPort: number
}

const PORTS = { minimum: 1, maximum: 65_535 }

/**
 * What `npm start` and `npm run kafka` can be told by their environment: `DATA_DIRECTORY` (default `.data`), and the ports that are tried first:
 * `KAFKA_PORT` (9092), `API_PORT` (8787), `HTTP_PORT` (the consumer's, 8788). `KAFKA_BROKERS` and its kin are checked too.
 */
export const readStartSettings = (environment: Environment) => {
  const settings = new SettingReader(environment)
  const own: StartSettings = {
    dataDirectory: NodePath.resolve(root, settings.text("DATA_DIRECTORY", "a directory", { default: ".data" })),
    kafkaPort: settings.integer("KAFKA_PORT", PORTS, { default: 9092 }),
    apiPort: settings.integer("API_PORT", PORTS, { default: 8787 }),
    consumerPort: settings.integer("HTTP_PORT", PORTS, { default: 8788 })
  }
  const kafka = readKafkaSettings(environment, { brokers: ["127.0.0.1:9092"] })
  return Effect.fromResult(settings.result(own, Result.isFailure(kafka) ? kafka.failure : [])).pipe(
    Effect.mapError((problems) => new WrongSettings({ problems: describeProblems(problems) }))
  )
}

/** How our own clients reach the brokers that were found or started. */
export const kafkaSettingsFor = (environment: Environment, brokers: ReadonlyArray<string>) =>
  Effect.fromResult(readKafkaSettings({ ...environment, KAFKA_BROKERS: brokers.join(",") })).pipe(
    Effect.mapError((problems) => new WrongSettings({ problems: describeProblems(problems) }))
  )
