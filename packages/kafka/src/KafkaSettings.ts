import type { Environment } from "@origin-regions/settings/Environment"
import { defaulted, optional, required, type Setting, type Values, withDefault } from "@origin-regions/settings/Setting"
import type { SettingProblem } from "@origin-regions/settings/SettingProblem"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { list, oneOf, secret, text, textFile, trueOrFalse, webAddress } from "@origin-regions/settings/SettingType"
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
  readonly key: Redacted.Redacted | undefined
}

type KafkaSasl = SaslPassword | SaslOAuthBearer

interface SaslPassword {
  readonly mechanism: Exclude<(typeof saslMechanisms)[number], "OAUTHBEARER">
  readonly username: string
  readonly password: Redacted.Redacted
}

interface SaslOAuthBearer {
  readonly mechanism: "OAUTHBEARER"
  readonly token: TokenFile | ClientCredentials
  /** What brokers are told besides the token. */
  readonly extensions: Readonly<Record<string, string>>
}

/** Somebody else keeps a valid token in the file. */
export interface TokenFile {
  readonly _tag: "File"
  readonly path: string
}

/** OAuth's client credentials grant. */
export interface ClientCredentials {
  readonly _tag: "ClientCredentials"
  readonly tokenEndpoint: URL
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  readonly scope: string | undefined
}

const saslMechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] as const

const BROKER = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/

/** RFC 7628, 3.1; `auth` is the token itself. */
const EXTENSION = /^(?!auth=)[A-Za-z]+=[\t\r\n -~]+$/

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
    meaning: "for `PLAIN` and `SCRAM-…`",
    example: "origin-regions"
  }),
  password: optional("KAFKA_SASL_PASSWORD", secret("a password"), {
    meaning: "for `PLAIN` and `SCRAM-…`",
    example: "correct horse battery staple"
  }),
  tokenFile: optional("KAFKA_SASL_OAUTHBEARER_TOKEN_FILE", textFile("the path of a readable file with a token"), {
    meaning: "for [`OAUTHBEARER`](#oauthbearer): a file in which somebody else keeps a valid token; or:",
    example: "/var/run/secrets/kafka/token"
  }),
  tokenEndpoint: optional("KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", webAddress, {
    meaning: "where tokens are given out for client credentials",
    example: "https://login.example.com/oauth2/token"
  }),
  clientId: optional("KAFKA_SASL_OAUTHBEARER_CLIENT_ID", text("a client id"), {
    meaning: "our id there",
    example: "origin-regions"
  }),
  clientSecret: optional("KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", secret("a client secret"), {
    meaning: "our secret there",
    example: "gX1fBat3bV"
  }),
  scope: optional("KAFKA_SASL_OAUTHBEARER_SCOPE", text("scopes with spaces between"), {
    meaning: "the scope to ask for",
    example: "kafka"
  }),
  extensions: optional("KAFKA_SASL_OAUTHBEARER_EXTENSIONS", list("name=value with commas between", EXTENSION), {
    meaning: "what the brokers want to know besides",
    example: "logicalCluster=lkc-1,identityPoolId=pool-1"
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

/** Stands for a secret that a problem is told of. */
const unset = Redacted.make("")

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
  return { ca, cert, key: key === undefined ? undefined : Redacted.make(key) }
}

const password = [kafkaSettings.username, kafkaSettings.password]
const clientCredentials = [kafkaSettings.tokenEndpoint, kafkaSettings.clientId, kafkaSettings.clientSecret]
const oauthBearer = [kafkaSettings.tokenFile, ...clientCredentials, kafkaSettings.scope, kafkaSettings.extensions]

const saslOf = (reader: SettingReader, read: Read): KafkaSasl | undefined => {
  const isSet = (setting: Setting<unknown>) => reader.isSet(setting)
  const { mechanism } = read
  if (!isSet(kafkaSettings.mechanism)) {
    if ([...password, ...oauthBearer].some(isSet)) {
      const what = password.some(isSet) ? "a user name or password" : "OAUTHBEARER's setting"
      reader.problem(kafkaSettings.mechanism, `${kafkaSettings.mechanism.type.expected}, as ${what} is set`)
    }
    return undefined
  }
  // A mechanism that is none of them has been told; what belongs to it is not known.
  if (mechanism === undefined) return undefined
  for (const setting of (mechanism === "OAUTHBEARER" ? password : oauthBearer).filter(isSet)) {
    reader.problem(setting, `nothing, as KAFKA_SASL_MECHANISM is ${mechanism}`, "set")
  }
  if (mechanism === "OAUTHBEARER") return oauthBearerOf(reader, read)
  for (const setting of password.filter((setting) => !isSet(setting))) {
    reader.problem(setting, `${setting.type.expected}, as KAFKA_SASL_MECHANISM is set`)
  }
  return { mechanism, username: read.username ?? "", password: read.password ?? unset }
}

const oauthBearerOf = (reader: SettingReader, read: Read): SaslOAuthBearer => {
  const { tokenFile } = kafkaSettings
  const extensions = Object.fromEntries(
    (read.extensions ?? []).map((extension) => {
      const equals = extension.indexOf("=")
      return [extension.slice(0, equals), extension.slice(equals + 1)]
    })
  )
  const credentials = clientCredentials.filter((setting) => reader.isSet(setting))
  if (reader.isSet(tokenFile)) {
    const path = reader.textOf(tokenFile) ?? ""
    for (const setting of credentials) reader.problem(setting, `nothing, as ${tokenFile.name} is set`, "set")
    if (read.tokenFile !== undefined && read.tokenFile.trim() === "") {
      reader.problem(tokenFile, "a file with a token, and that one is empty", path)
    }
    return { mechanism: "OAUTHBEARER", extensions, token: { _tag: "File", path } }
  }
  if (credentials.length === 0) {
    reader.problem(
      tokenFile,
      `${tokenFile.type.expected} (or client credentials, with ${kafkaSettings.tokenEndpoint.name})`
    )
  } else {
    for (const setting of clientCredentials.filter((setting) => !reader.isSet(setting))) {
      reader.problem(setting, `${setting.type.expected}, as client credentials go together`)
    }
  }
  if ((read.tokenEndpoint?.username ?? "") + (read.tokenEndpoint?.password ?? "") !== "") {
    const { clientId, clientSecret, tokenEndpoint } = kafkaSettings
    reader.problem(
      tokenEndpoint,
      `an address without user name and password: ${clientId.name} and ${clientSecret.name} are for these`,
      reader.textOf(tokenEndpoint)
    )
  }
  return {
    mechanism: "OAUTHBEARER",
    extensions,
    token: {
      _tag: "ClientCredentials",
      tokenEndpoint: read.tokenEndpoint ?? new URL("http://unset.invalid"),
      clientId: read.clientId ?? "",
      clientSecret: read.clientSecret ?? unset,
      scope: read.scope
    }
  }
}
