import type { SettingProblem } from "@origin-regions/domain/SettingProblem"
import { type Environment, SettingReader } from "@origin-regions/domain/SettingReader"
import type { Redacted, Result } from "effect"
import { readFileSync } from "node:fs"

/** How to reach a Kafka cluster. */
export interface KafkaSettings {
  readonly brokers: ReadonlyArray<string>
  readonly tls: KafkaTls | undefined
  readonly sasl: KafkaSasl | undefined
}

/** PEM texts; without `ca` the system's certificate authorities count. `cert` and `key` go together (mutual TLS). */
interface KafkaTls {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

interface KafkaSasl {
  readonly mechanism: (typeof saslMechanisms)[number]
  readonly username: string
  readonly password: Redacted.Redacted<string>
}

const saslMechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const

const BROKER = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/
const BROKERS = "a list of host:port, for example 127.0.0.1:9092"

/**
 * `KAFKA_BROKERS`, `KAFKA_TLS` with `KAFKA_TLS_CA_FILE`, `KAFKA_TLS_CERT_FILE`, `KAFKA_TLS_KEY_FILE`, and `KAFKA_SASL_MECHANISM` with
 * `KAFKA_SASL_USERNAME`, `KAFKA_SASL_PASSWORD`. Files are read at once, so that a wrong path is a wrong setting.
 */
export const readKafkaSettings = (
  environment: Environment,
  defaults: { readonly brokers?: ReadonlyArray<string> } = {}
): Result.Result<KafkaSettings, ReadonlyArray<SettingProblem>> => {
  const settings = new SettingReader(environment)
  const brokers = settings.list(
    "KAFKA_BROKERS",
    BROKERS,
    BROKER,
    defaults.brokers === undefined ? {} : { default: defaults.brokers }
  )
  return settings.result({ brokers, tls: readTls(settings), sasl: readSasl(settings) })
}

const readTls = (settings: SettingReader): KafkaTls | undefined => {
  const tls = settings.boolean("KAFKA_TLS", { default: false })
  const files = ["KAFKA_TLS_CA_FILE", "KAFKA_TLS_CERT_FILE", "KAFKA_TLS_KEY_FILE"] as const
  if (!tls) {
    for (const file of files.filter((name) => settings.isSet(name))) {
      settings.problem(file, "nothing, as KAFKA_TLS is not true", "set")
    }
    return undefined
  }
  const [ca, cert, key] = files.map((name) => readPem(settings, name))
  if (settings.isSet("KAFKA_TLS_CERT_FILE") !== settings.isSet("KAFKA_TLS_KEY_FILE")) {
    const missing = settings.isSet("KAFKA_TLS_CERT_FILE") ? "KAFKA_TLS_KEY_FILE" : "KAFKA_TLS_CERT_FILE"
    settings.problem(missing, "a PEM file, as certificate and key go together")
  }
  return { ca, cert, key }
}

const readPem = (settings: SettingReader, name: string): string | undefined => {
  const expected = "the path of a readable PEM file"
  const path = settings.text(name, expected, { default: "" })
  if (path === "") return undefined
  try {
    return readFileSync(path, "utf8")
  } catch {
    settings.problem(name, expected, path)
    return undefined
  }
}

const readSasl = (settings: SettingReader): KafkaSasl | undefined => {
  if (!settings.isSet("KAFKA_SASL_MECHANISM")) {
    if (settings.isSet("KAFKA_SASL_USERNAME") || settings.isSet("KAFKA_SASL_PASSWORD")) {
      settings.problem("KAFKA_SASL_MECHANISM", `one of ${saslMechanisms.join(", ")}, as a user name or password is set`)
    }
    return undefined
  }
  const mechanism = settings.oneOf("KAFKA_SASL_MECHANISM", saslMechanisms) ?? "PLAIN"
  return {
    mechanism,
    username: settings.text("KAFKA_SASL_USERNAME", "a user name, as KAFKA_SASL_MECHANISM is set"),
    password: settings.secret("KAFKA_SASL_PASSWORD", "a password, as KAFKA_SASL_MECHANISM is set")
  }
}
