import { type ApiSettings, apiSettings, readApiSettings } from "@origin-regions/api-client/ApiSettings"
import { BATCH_LIMIT } from "@origin-regions/api-client/OriginRegionsApi"
import { type KafkaSettings, kafkaSettings, readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { topicSettings } from "@origin-regions/kafka/TopicSettings"
import type { Environment } from "@origin-regions/settings/Environment"
import { logFormats } from "@origin-regions/settings/LogFormat"
import { defaulted, optional, type Values } from "@origin-regions/settings/Setting"
import type { SettingProblem } from "@origin-regions/settings/SettingProblem"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { duration, oneOf, secret, text, textFile, wholeNumber } from "@origin-regions/settings/SettingType"
import { readTraceSettings, type TraceSettings, traceSettings } from "@origin-regions/telemetry/TraceSettings"
import { Duration, Result } from "effect"
import { type AllowRule, readAllowRules } from "./AllowRules.ts"
import { isLoopback } from "./BearerToken.ts"

/** What only the consumer is told. A new setting is declared here, and is thereby read, part of `Settings` and documented (`npm run documents`). */
const ownSettings = {
  groupId: defaulted("KAFKA_GROUP_ID", text("a consumer group's name", /^\S{1,255}$/), {
    default: "origin-regions",
    meaning:
      "the consumer group: one for each deployment, as its members are to [have the same topic](operations.md#another-topic)",
    example: "edge-mappings"
  }),
  delivery: defaulted("DELIVERY", oneOf(["exactly-once", "at-least-once"]), {
    default: "exactly-once",
    meaning: "`exactly-once` needs Kafka 2.5 or newer: see [guarantees](guarantees.md)",
    example: "at-least-once"
  }),
  concurrency: defaulted("CONCURRENCY", wholeNumber(1, 4096), {
    default: "64",
    meaning: "calls to the API at a time",
    example: "16"
  }),
  batchSize: defaulted("API_BATCH_SIZE", wholeNumber(1, BATCH_LIMIT), {
    default: `${BATCH_LIMIT}`,
    meaning: "upserts, deletes or creates that may go in one call: see [batches](waiting.md#batches)",
    example: "20"
  }),
  requestDeadline: defaulted("REQUEST_DEADLINE", duration(), {
    default: "24 hours",
    meaning: "how long a request is tried before it fails as `gave_up`",
    example: "2 hours"
  }),
  drainTimeout: defaulted("DRAIN_TIMEOUT", duration(), {
    default: "30 seconds",
    meaning: "how long a rebalance, and a stop, wait for what is in flight; less than `KAFKA_REBALANCE_TIMEOUT`",
    example: "20 seconds"
  }),
  rebalanceTimeout: defaulted("KAFKA_REBALANCE_TIMEOUT", duration(), {
    default: "60 seconds",
    meaning: "how long the group waits for a member in a rebalance",
    example: "2 minutes"
  }),
  sessionTimeout: defaulted(
    "KAFKA_SESSION_TIMEOUT",
    duration({ minimum: Duration.seconds(10), expected: "at least 10 seconds, as a heartbeat is sent every 3" }),
    {
      default: "45 seconds",
      meaning: "without a heartbeat for this long a member is out",
      example: "10 seconds"
    }
  ),
  allowRulesFile: optional(
    "ALLOW_RULES_FILE",
    textFile("a readable JSON file like {\"allow\": [{\"source\": \"/provisioning\", \"zones\": [\"*\"]}]}"),
    {
      without: "every source may change every zone",
      meaning: "which `source` may change which zones: see [allow rules](#allow-rules)",
      example: "/etc/origin-regions/allow.json"
    }
  ),
  httpHost: defaulted(
    "HTTP_HOST",
    text("a host name or an IP address to listen on", /^[0-9A-Za-z:._-]+$/),
    {
      default: "127.0.0.1",
      meaning: "where [the console](console.md), `/health/live`, `/health/ready`, `/status` and `/metrics` are",
      example: "::1"
    }
  ),
  httpPort: defaulted("HTTP_PORT", wholeNumber(0, 65_535), {
    default: "8788",
    meaning: "their port; 0 takes any",
    example: "0"
  }),
  httpToken: optional(
    "HTTP_TOKEN",
    secret("a bearer token", {
      matches: /^[!-~]+$/,
      expected: "a bearer token, without spaces and control characters"
    }),
    {
      meaning: "who may see more than [its health](#http). Must be set where `HTTP_HOST` is not loopback",
      example: "6Jk1WvL0xqCeVhU4tQ9g"
    }
  ),
  logFormat: defaulted("LOG_FORMAT", logFormats, {
    default: "json",
    meaning: "how the log is written, to stdout",
    example: "logfmt"
  }),
  logLevel: defaulted("LOG_LEVEL", oneOf(["Trace", "Debug", "Info", "Warn", "Error", "Fatal"]), {
    default: "Info",
    meaning: "from which level on",
    example: "Debug"
  })
}

const tracesOfConsumer = traceSettings("origin-regions-consumer")

/** All that the consumer reads. */
export const consumerSettings = {
  kafka: kafkaSettings,
  topics: topicSettings,
  api: apiSettings,
  own: ownSettings,
  traces: tracesOfConsumer
}

/** Everything that the consumer can be told by its environment. */
export interface Settings extends Values<typeof topicSettings>, Omit<Values<typeof ownSettings>, "allowRulesFile"> {
  readonly allowRules: ReadonlyArray<AllowRule> | undefined
  readonly kafka: KafkaSettings
  readonly api: ApiSettings["Service"]
  /** `undefined`: there are none. */
  readonly traces: TraceSettings | undefined
}

/** Reads every setting before it reports any problem; those between two settings included. */
export const readSettings = (environment: Environment): Result.Result<Settings, ReadonlyArray<SettingProblem>> => {
  const reader = new SettingReader(environment)
  const kafka = readKafkaSettings(environment)
  const api = readApiSettings(environment)
  const { allowRulesFile, ...own } = reader.readAll({ ...topicSettings, ...ownSettings })
  const allowRules = allowRulesOf(reader, allowRulesFile)
  checkTimeouts(reader, own, Result.isSuccess(api) ? api.success.timeout : undefined)
  checkTopics(reader, own)
  checkHttp(reader, own)
  const traces = readTraceSettings(reader, tracesOfConsumer, reader.readAll(tracesOfConsumer))
  return Result.flatMap(
    reader.result({ ...own, allowRules }, problemsOf(kafka), problemsOf(api)),
    // Both have succeeded where there is no problem.
    (settled) =>
      Result.all({ kafka, api }).pipe(
        Result.map(({ api, kafka }) => ({ ...settled, traces, kafka, api: { ...api, connections: own.concurrency } }))
      )
  )
}

const problemsOf = <A>(read: Result.Result<A, ReadonlyArray<SettingProblem>>): ReadonlyArray<SettingProblem> =>
  Result.isFailure(read) ? read.failure : []

type Timeouts = Pick<Settings, "rebalanceTimeout" | "drainTimeout">

/** A call must end within a drain, and a drain within a rebalance. */
const checkTimeouts = (
  reader: SettingReader,
  { drainTimeout, rebalanceTimeout }: Timeouts,
  apiTimeout: Duration.Duration | undefined
): void => {
  if (!Duration.isLessThan(drainTimeout, rebalanceTimeout)) {
    reader.problem(
      ownSettings.drainTimeout,
      `less than KAFKA_REBALANCE_TIMEOUT (${Duration.format(rebalanceTimeout)})`,
      Duration.format(drainTimeout)
    )
  }
  if (apiTimeout !== undefined && !Duration.isLessThan(apiTimeout, drainTimeout)) {
    reader.problem(
      apiSettings.timeout,
      `less than DRAIN_TIMEOUT (${Duration.format(drainTimeout)})`,
      Duration.format(apiTimeout)
    )
  }
}

const allowRulesOf = (reader: SettingReader, json: string | undefined): Settings["allowRules"] => {
  if (json === undefined) return undefined
  const rules = readAllowRules(json)
  if (Result.isSuccess(rules)) return rules.success
  const setting = ownSettings.allowRulesFile
  reader.problem(setting, setting.type.expected, `${reader.textOf(setting) ?? ""} (${rules.failure})`)
  return undefined
}

const checkTopics = (reader: SettingReader, topics: Values<typeof topicSettings>): void => {
  if (topics.requestsTopic === topics.outcomesTopic || topics.requestsTopic === topics.deadLettersTopic) {
    reader.problem(
      topicSettings.requestsTopic,
      "a topic of its own: the consumer would read what it writes",
      topics.requestsTopic
    )
  }
}

const checkHttp = (reader: SettingReader, { httpHost }: Pick<Settings, "httpHost">): void => {
  if (!isLoopback(httpHost) && !reader.isSet(ownSettings.httpToken)) {
    reader.problem(
      ownSettings.httpToken,
      `a bearer token for /status and /metrics, as others can reach them where HTTP_HOST is ${httpHost}`
    )
  }
}
