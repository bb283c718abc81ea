import { type ApiSettings, readApiSettings } from "@origin-regions/api-client/ApiSettings"
import { BATCH_LIMIT } from "@origin-regions/api-client/OriginRegionsApi"
import type { SettingProblem } from "@origin-regions/domain/SettingProblem"
import { type Environment, SettingReader } from "@origin-regions/domain/SettingReader"
import { readTopicName, topicNames } from "@origin-regions/domain/TopicNames"
import { type KafkaSettings, readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { Duration, Result } from "effect"

const deliveries = ["exactly-once", "at-least-once"] as const
const logFormats = ["json", "pretty", "logfmt"] as const
const logLevels = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"] as const

/** Everything that the consumer can be told by its environment. */
export interface Settings {
  readonly kafka: KafkaSettings
  readonly api: ApiSettings["Service"]
  readonly groupId: string
  readonly requestsTopic: string
  readonly outcomesTopic: string
  readonly deadLettersTopic: string
  readonly delivery: (typeof deliveries)[number]
  readonly concurrency: number
  readonly batchSize: number
  readonly requestDeadline: Duration.Duration
  readonly sessionTimeout: Duration.Duration
  readonly rebalanceTimeout: Duration.Duration
  readonly drainTimeout: Duration.Duration
  readonly httpHost: string
  readonly httpPort: number
  readonly logFormat: (typeof logFormats)[number]
  readonly logLevel: (typeof logLevels)[number]
}

/** Reads every setting before it reports any problem; those between two settings included. */
export const readSettings = (environment: Environment): Result.Result<Settings, ReadonlyArray<SettingProblem>> => {
  const reader = new SettingReader(environment)
  const kafka = readKafkaSettings(environment)
  const api = readApiSettings(environment)
  const own = {
    groupId: reader.text("KAFKA_GROUP_ID", "a consumer group's name", {
      default: "origin-regions",
      pattern: /^\S{1,255}$/
    }),
    requestsTopic: readTopicName(reader, "REQUESTS_TOPIC", topicNames.requests),
    outcomesTopic: readTopicName(reader, "OUTCOMES_TOPIC", topicNames.outcomes),
    deadLettersTopic: readTopicName(reader, "DEAD_LETTERS_TOPIC", topicNames.deadLetters),
    delivery: reader.oneOf("DELIVERY", deliveries, { default: "exactly-once" }) ?? "exactly-once",
    concurrency: reader.integer("CONCURRENCY", { minimum: 1, maximum: 4096 }, { default: 64 }),
    batchSize: reader.integer("API_BATCH_SIZE", { minimum: 1, maximum: BATCH_LIMIT }, { default: BATCH_LIMIT }),
    requestDeadline: reader.duration("REQUEST_DEADLINE", { default: Duration.hours(24) }),
    sessionTimeout: reader.duration("KAFKA_SESSION_TIMEOUT", { default: Duration.seconds(45) }),
    rebalanceTimeout: reader.duration("KAFKA_REBALANCE_TIMEOUT", { default: Duration.seconds(60) }),
    drainTimeout: reader.duration("DRAIN_TIMEOUT", { default: Duration.seconds(30) }),
    httpHost: reader.text("HTTP_HOST", "a host name or an IP address to listen on", {
      default: "127.0.0.1",
      pattern: /^[0-9A-Za-z:._-]+$/
    }),
    httpPort: reader.integer("HTTP_PORT", { minimum: 0, maximum: 65_535 }, { default: 8788 }),
    logFormat: reader.oneOf("LOG_FORMAT", logFormats, { default: "json" }) ?? "json",
    logLevel: reader.oneOf("LOG_LEVEL", logLevels, { default: "Info" }) ?? "Info"
  }
  checkTimeouts(reader, own, Result.isSuccess(api) ? api.success.timeout : undefined)
  checkTopics(reader, own)
  return Result.flatMap(
    reader.result(own, problemsOf(kafka), problemsOf(api)),
    // Both have succeeded where there is no problem.
    (settled) =>
      Result.all({ kafka, api }).pipe(
        Result.map(({ api, kafka }) => ({ ...settled, kafka, api: { ...api, connections: own.concurrency } }))
      )
  )
}

const problemsOf = <A>(read: Result.Result<A, ReadonlyArray<SettingProblem>>): ReadonlyArray<SettingProblem> =>
  Result.isFailure(read) ? read.failure : []

type Timeouts = Pick<Settings, "sessionTimeout" | "rebalanceTimeout" | "drainTimeout">

/** A call must end within a drain, a drain within a rebalance, and several heartbeats must fit into a session. */
const checkTimeouts = (
  reader: SettingReader,
  { drainTimeout, rebalanceTimeout, sessionTimeout }: Timeouts,
  apiTimeout: Duration.Duration | undefined
): void => {
  if (!Duration.isLessThan(drainTimeout, rebalanceTimeout)) {
    reader.problem(
      "DRAIN_TIMEOUT",
      `less than KAFKA_REBALANCE_TIMEOUT (${Duration.format(rebalanceTimeout)})`,
      Duration.format(drainTimeout)
    )
  }
  if (apiTimeout !== undefined && !Duration.isLessThan(apiTimeout, drainTimeout)) {
    reader.problem(
      "API_TIMEOUT",
      `less than DRAIN_TIMEOUT (${Duration.format(drainTimeout)})`,
      Duration.format(apiTimeout)
    )
  }
  if (Duration.isLessThan(sessionTimeout, Duration.seconds(10))) {
    reader.problem(
      "KAFKA_SESSION_TIMEOUT",
      "at least 10 seconds, as a heartbeat is sent every 3",
      Duration.format(sessionTimeout)
    )
  }
}

const checkTopics = (
  reader: SettingReader,
  topics: Pick<Settings, "requestsTopic" | "outcomesTopic" | "deadLettersTopic">
): void => {
  if (topics.requestsTopic === topics.outcomesTopic || topics.requestsTopic === topics.deadLettersTopic) {
    reader.problem("REQUESTS_TOPIC", "a topic of its own: the consumer would read what it writes", topics.requestsTopic)
  }
}
