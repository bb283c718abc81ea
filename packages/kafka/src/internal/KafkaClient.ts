import { Effect, type LogLevel, Redacted } from "effect"
import type { KafkaConfig, LogEntry, RetryOptions, SASLOptions } from "kafkajs"
import type { KafkaSettings } from "../KafkaSettings.ts"
import { Kafka, logLevel } from "./PatchedKafkaJS.ts"

type Client = InstanceType<typeof Kafka>

const sasl = ({ mechanism, password, username }: NonNullable<KafkaSettings["sasl"]>): SASLOptions => {
  const credential = { username, password: Redacted.value(password) }
  switch (mechanism) {
    case "PLAIN":
      return { mechanism: "plain", ...credential }
    case "SCRAM-SHA-256":
      return { mechanism: "scram-sha-256", ...credential }
    case "SCRAM-SHA-512":
      return { mechanism: "scram-sha-512", ...credential }
  }
}

const ssl = (tls: NonNullable<KafkaSettings["tls"]>): NonNullable<KafkaConfig["ssl"]> => ({
  ...(tls.ca === undefined ? undefined : { ca: [tls.ca] }),
  ...(tls.cert === undefined ? undefined : { cert: tls.cert }),
  ...(tls.key === undefined ? undefined : { key: tls.key })
})

/** What kafkajs logs louder than it is: parts of an ordinary rebalance, and answers whose errors their callers get anyway. */
const ordinary = /^Response |^Limiting retries |re-joining|rebalancing|^(Pausing|Resuming) fetching/i

const levelOf = ({ label, log }: LogEntry): LogLevel.Severity => {
  if (ordinary.test(log.message)) return "Debug"
  switch (label) {
    case "ERROR":
    case "WARN":
      return "Warn"
    case "INFO":
      return "Debug"
    default:
      return "Trace"
  }
}

/**
 * A client of its own for each use: kafkajs keeps committed offsets per client, and one consumer would clear another's. Logs into Effect's logger.
 * A request is tried for about 6 s before it fails: longer waits are for the callers, who can say what they wait for.
 */
export const makeClient = (
  settings: KafkaSettings,
  clientId: string,
  retry: RetryOptions = { initialRetryTime: 200, maxRetryTime: 5_000, factor: 0.2, multiplier: 2, retries: 5 }
): Effect.Effect<Client> =>
  Effect.map(Effect.context<never>(), (context) => {
    const runFork = Effect.runForkWith(context)
    return new Kafka({
      clientId,
      brokers: [...settings.brokers],
      ...(settings.tls === undefined ? undefined : { ssl: ssl(settings.tls) }),
      ...(settings.sasl === undefined ? undefined : { sasl: sasl(settings.sasl) }),
      connectionTimeout: 10_000,
      requestTimeout: 30_000,
      retry,
      logLevel: logLevel.INFO,
      logCreator: () => (entry: LogEntry) => {
        const { logger: _logger, message, timestamp: _timestamp, stack: _stack, ...fields } = entry.log
        runFork(Effect.logWithLevel(levelOf(entry))(message, { "kafka.client": entry.namespace, ...fields }))
      }
    })
  })
