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

/** How it ends where we speak TLS, and the other does not. */
const SEEMS_PLAIN = /before secure TLS connection was established|wrong version number|packet length too long/i

/** And the other way round. */
const SEEMS_TLS = /^connect to Kafka: .*(?:Closed connection|ECONNRESET)/

/** A failure of Kafka in words, with what a person can do about it. */
export const kafkaFailed = (
  error: KafkaError,
  { kafka, outcomesTopic, requestsTopic }: CliSettings["Service"]
): CommandError => {
  const brokers = kafka.brokers.join(", ")
  const fix = kafka.tls === undefined && SEEMS_TLS.test(`${error.operation}: ${error.reason.detail}`)
    ? `What answers at ${brokers} ends the connection. If it speaks TLS, set KAFKA_TLS=true, or name another port in KAFKA_BROKERS.`
    : SEEMS_PLAIN.test(error.reason.detail)
    ? `What answers at ${brokers} does not speak TLS: leave out KAFKA_TLS, or name its TLS port in KAFKA_BROKERS.`
    : error.reason._tag === "Unreachable"
    ? `Is a broker running at ${brokers}? Start one with npm start, or set KAFKA_BROKERS to where it is.`
    : error.reason._tag === "UnknownTopic"
    ? `Is there ${requestsTopic} (REQUESTS_TOPIC), and ${outcomesTopic} (OUTCOMES_TOPIC)? origin-regions topics create makes the topics.`
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
