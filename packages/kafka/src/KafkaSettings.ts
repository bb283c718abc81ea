import type { Environment } from "@origin-regions/settings/Environment"
import { defaulted, optional, required, type Values, withDefault } from "@origin-regions/settings/Setting"
import type { SettingProblem } from "@origin-regions/settings/SettingProblem"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { list, oneOf, secret, text, textFile, trueOrFalse } from "@origin-regions/settings/SettingType"
import { Redacted, type Result } from "effect"

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
  readonly password: Redacted.Redacted
}

const saslMechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const

const BROKER = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/

const pemFile = textFile("the path of a readable PEM file")

/** What says how to reach Kafka, for every program that does. Files are read at once, so that a wrong path is a wrong setting. */
export const kafkaSettings = {
  brokers: required("KAFKA_BROKERS", list("a list of host:port, for example 127.0.0.1:9092", BROKER), {
    meaning: "bootstrap brokers, with commas between",
    example: "kafka-1.example.com:9093,kafka-2.example.com:9093"
  }),
  tls: defaulted("KAFKA_TLS", trueOrFalse, { default: "false", meaning: "`true` for TLS", example: "true" }),
  ca: optional("KAFKA_TLS_CA_FILE", pemFile, {
    without: "the system's authorities",
    meaning: "the certificate authority",
    example: "/etc/kafka/ca.pem"
  }),
  cert: optional("KAFKA_TLS_CERT_FILE", pemFile, {
    meaning: "our own certificate, for mutual TLS; with the key or not at all",
    example: "/etc/kafka/tls.crt"
  }),
  key: optional("KAFKA_TLS_KEY_FILE", pemFile, {
    meaning: "the key of our own certificate",
    example: "/etc/kafka/tls.key"
  }),
  mechanism: optional("KAFKA_SASL_MECHANISM", oneOf(saslMechanisms), {
    meaning: "how the brokers are told who we are",
    example: "SCRAM-SHA-512"
  }),
  username: optional("KAFKA_SASL_USERNAME", text("a user name"), {
    meaning: "with a mechanism",
    example: "origin-regions"
  }),
  password: optional("KAFKA_SASL_PASSWORD", secret("a password"), {
    meaning: "with a mechanism",
    example: "correct horse battery staple"
  })
}

/** The settings from environment variables, or every problem with them. A program may have a default for the brokers. */
export const readKafkaSettings = (
  environment: Environment,
  defaults: { readonly brokers?: string } = {}
): Result.Result<KafkaSettings, ReadonlyArray<SettingProblem>> => {
  const reader = new SettingReader(environment)
  const brokers = defaults.brokers === undefined
    ? kafkaSettings.brokers
    : withDefault(kafkaSettings.brokers, defaults.brokers)
  const read = reader.readAll({ ...kafkaSettings, brokers })
  return reader.result({ brokers: read.brokers, tls: tlsOf(reader, read), sasl: saslOf(reader, read) })
}

type Read = Values<typeof kafkaSettings>

const tlsOf = (reader: SettingReader, { ca, cert, key, tls }: Read): KafkaTls | undefined => {
  const files = [kafkaSettings.ca, kafkaSettings.cert, kafkaSettings.key]
  if (!tls) {
    for (const file of files.filter((file) => reader.isSet(file))) {
      reader.problem(file, "nothing, as KAFKA_TLS is not true", "set")
    }
    return undefined
  }
  if (reader.isSet(kafkaSettings.cert) !== reader.isSet(kafkaSettings.key)) {
    const missing = reader.isSet(kafkaSettings.cert) ? kafkaSettings.key : kafkaSettings.cert
    reader.problem(missing, "a PEM file, as certificate and key go together")
  }
  return { ca, cert, key }
}

const saslOf = (reader: SettingReader, { mechanism, password, username }: Read): KafkaSasl | undefined => {
  const credential = [kafkaSettings.username, kafkaSettings.password]
  if (!reader.isSet(kafkaSettings.mechanism)) {
    if (credential.some((setting) => reader.isSet(setting))) {
      reader.problem(
        kafkaSettings.mechanism,
        `${kafkaSettings.mechanism.type.expected}, as a user name or password is set`
      )
    }
    return undefined
  }
  for (const setting of credential.filter((setting) => !reader.isSet(setting))) {
    reader.problem(setting, `${setting.type.expected}, as KAFKA_SASL_MECHANISM is set`)
  }
  return { mechanism: mechanism ?? "PLAIN", username: username ?? "", password: password ?? Redacted.make("") }
}
