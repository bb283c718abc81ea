import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { type KafkaSettings, kafkaSettings, readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { topicSettings } from "@origin-regions/kafka/TopicSettings"
import type { Environment } from "@origin-regions/settings/Environment"
import { completeEnvironment } from "@origin-regions/settings/EnvironmentFile"
import { type Values, withDefault } from "@origin-regions/settings/Setting"
import { describeProblems } from "@origin-regions/settings/SettingProblem"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { Console, Context, Effect, Layer, Result } from "effect"
import { CommandError, KafkaFailed, WrongSettings } from "./CommandError.ts"

const DEFAULT_BROKERS = "127.0.0.1:9092"

/** What the commands read that talk to Kafka. */
export const cliSettings = {
  ...kafkaSettings,
  brokers: withDefault(kafkaSettings.brokers, DEFAULT_BROKERS),
  ...topicSettings
}

/** Where the commands find Kafka and the topics. */
export class CliSettings extends Context.Service<
  CliSettings,
  Values<typeof topicSettings> & { readonly kafka: KafkaSettings }
>()("@origin-regions/cli/CliSettings") {
  static readonly layer = (environment: Environment): Layer.Layer<CliSettings, CommandError> =>
    Layer.effect(
      CliSettings,
      Effect.fromResult(
        Result.flatMap(completeEnvironment(environment), ({ environment }) => readCliSettings(environment))
      ).pipe(
        Effect.mapError((problems) =>
          new CommandError({ reason: new WrongSettings({ problems: describeProblems(problems) }) })
        )
      )
    )
}

const readCliSettings = (environment: Environment) => {
  const reader = new SettingReader(environment)
  const topics = reader.readAll(topicSettings)
  const kafka = readKafkaSettings(environment, { brokers: DEFAULT_BROKERS })
  return Result.flatMap(
    reader.result(topics, Result.isFailure(kafka) ? kafka.failure : []),
    (topics) => Result.map(kafka, (kafka) => ({ ...topics, kafka }))
  )
}

/** A failure of Kafka in words, with what a person can do about it. */
export const kafkaFailed = (error: KafkaError, { kafka }: CliSettings["Service"]): CommandError => {
  const brokers = kafka.brokers.join(", ")
  const fix = error.reason._tag === "Unreachable"
    ? `Is a broker running at ${brokers}? Start one with npm start, or set KAFKA_BROKERS to where it is.`
    : error.reason._tag === "UnknownTopic"
    ? "origin-regions topics create makes the topics; REQUESTS_TOPIC and OUTCOMES_TOPIC name others."
    : `The broker is ${brokers} (KAFKA_BROKERS).`
  return new CommandError({ reason: new KafkaFailed({ problem: error.message, fix }) })
}

/** Says on stderr what is waited for, once that takes longer than a person would think nothing of. */
export const sayingWhereItWaits = ({ kafka }: CliSettings["Service"]) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(
    effect,
    Console.error(`Waiting for Kafka at ${kafka.brokers.join(", ")}…`).pipe(
      Effect.delay("2 seconds"),
      Effect.andThen(Effect.never)
    )
  )
