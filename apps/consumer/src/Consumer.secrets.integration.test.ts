import { assert, describe, layer } from "@effect/vitest"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import type { Declarations } from "@origin-regions/settings/Setting"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { serveOnLoopback } from "@origin-regions/testkit/LoopbackServer"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { collectedBy, makeOtlpCollector } from "@origin-regions/testkit/OtlpCollector"
import { Effect, Layer, Redacted } from "effect"
import { execFile, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { devNull, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { failureEnvelope, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { eventOf, recordOf, text } from "./fixtures/RequestRecords.ts"
import { linesOf, says, whileRunning } from "./fixtures/RunningConsumer.ts"
import { takenPort } from "./fixtures/TcpForwarder.ts"
import { makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { consumerSettings } from "./Settings.ts"

/** Recognisable wherever they come out, and made of characters that no encoding changes. */
const secretNames = [
  "apiToken",
  "apiKey",
  "httpToken",
  "redis",
  "sasl",
  "client",
  "accessToken",
  "privateKey",
  "collector"
] as const
const secrets = Object.fromEntries(
  secretNames.map((name) => [name, `S3CRET${name}0123456789ABCDEFGHJK`])
) as Record<typeof secretNames[number], string>

/** A broker that wants a password or a token. It believes any token that says whose it is, and these here say nothing. */
const Broker = KafkaBroker.layerJvm({
  properties: {
    "listener.security.protocol.map": "HOST:SASL_PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "listener.name.host.sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER",
    "listener.name.host.plain.sasl.jaas.config":
      `org.apache.kafka.common.security.plain.PlainLoginModule required user_user="${secrets.sasl}";`,
    "listener.name.host.oauthbearer.sasl.jaas.config":
      "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"us\";"
  }
})

// It runs on the JVM; without one, this is reported as skipped.
const javaHome = process.env["JAVA_HOME"] ?? ""
const isJavaMissing = spawnSync(javaHome === "" ? "java" : join(javaHome, "bin", "java"), ["-version"]).status !== 0

const Surroundings = Layer.unwrap(
  Effect.map(KafkaBroker, ({ brokers }) => {
    const password = Redacted.make(secrets.sasl)
    const settings = { brokers, tls: undefined, sasl: { mechanism: "PLAIN", username: "user", password } } as const
    return Layer.mergeAll(KafkaAdmin.layer(settings), KafkaProducer.layer(settings), KafkaTopicReader.layer(settings))
  })
).pipe(Layer.provideMerge(Layer.mergeAll(Broker, Leash.layer)))

const saslPlain = {
  KAFKA_SASL_MECHANISM: "PLAIN",
  KAFKA_SASL_USERNAME: "user",
  KAFKA_SASL_PASSWORD: secrets.sasl
}

const collectorCredential = { OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${secrets.collector}` }

/** The names of all settings that are secrets. */
const secretSettings = Object.values<Declarations>(consumerSettings).flatMap((declared) => Object.values(declared))
  .filter(({ type }) => type.secret).map(({ name }) => name)

/** As they are, and as an authorization has them. */
const forms = Object.values(secrets).flatMap((secret) => [
  secret,
  ...["", "x", "xy", "client:", "user:"].map((before) =>
    // Without its ends, where what stands beside it counts.
    Buffer.from(before + secret).toString("base64").slice(before.length === 0 ? 0 : 12, -4)
  )
])

/** Everything that came out, by where it did. */
class Seen {
  readonly #all = new Map<string, string>()

  add(where: string, what: string) {
    this.#all.set(where, (this.#all.get(where) ?? "") + what)
  }

  /** Nothing of this can be looked through for secrets if it isn't there. */
  has(where: string, what: string) {
    assert.include(this.#all.get(where) ?? "", what, where)
  }

  hasNoSecret() {
    for (const [where, what] of this.#all) {
      for (const form of forms) assert.isFalse(what.includes(form), `${where} has ${form}:\n${what}`)
    }
  }
}

const program = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url))

const configCheck = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    const env = { PATH: process.env["PATH"], ENV_FILE: devNull, ...environment }
    const child = execFile(process.execPath, [program, "config", "check", ...args], { env }, (_, stdout, stderr) => {
      resume(Effect.succeed(`${stdout}\n${stderr}`))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const directoryOf = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "consumer-secrets-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Gives its callers back what they have sent, as something that wants to help may. */
const tokenEndpoint = Effect.map(
  serveOnLoopback((request, response) => {
    const [, basic = ""] = request.headers.authorization?.split(" ") ?? []
    response.writeHead(400, { "content-type": "application/json" })
    response.end(JSON.stringify({
      error: "invalid_client",
      error_description: `not known: ${Buffer.from(basic, "base64").toString()}`
    }))
  }),
  (origin) => `${origin}/token`
)

const everythingOf = ({ headers, key, value }: SourceRecord) =>
  [text(key), text(value), ...headers.map(({ name, value }) => `${name}: ${text(value)}`)].join("\n")

const pem = (label: string, content: string) => `-----BEGIN ${label}-----\n${content}\n-----END ${label}-----\n`

/** The runs whose settings are also given to the check, which costs as much as a consumer. */
const checked = new Set(["wrong password", "oauth", "wrong settings", "password in an address"])

/** Ends a process as a fault does that nobody can handle, once it is asked to. */
const CRASHING = "process.on('SIGUSR2', () => { throw new Error('crashed') })\n"

describe.skipIf(isJavaMissing)("No secret of the consumer", () => {
  layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    it.effect("comes out of one at work: in logs, outcomes, dead letters, traces, over HTTP, of a check, or of a crash", () =>
      Effect.gen(function*() {
        const { brokers } = yield* KafkaBroker
        const seen = new Seen()
        const topics = yield* makeTestTopics()
        const directory = yield* directoryOf
        const tokenFile = join(directory, "token")
        writeFileSync(tokenFile, `${secrets.apiToken}\n`)
        writeFileSync(join(directory, "crashing.mjs"), CRASHING)
        const proxy = yield* makeApiProxy()
        const collector = yield* makeOtlpCollector
        let refuses = false
        proxy.decide = (call) => {
          const message = `What do you mean by Bearer ${secrets.apiToken}?`
          if (call.path.includes("refused")) call.answer(400, failureEnvelope(1999, message))
          else call.answer(refuses ? 403 : 500, failureEnvelope(refuses ? 10000 : 1140, message))
        }
        const { CLOUDFLARE_API_TOKEN: _, ...settings } = settingsFor(
          brokers,
          topics.names,
          { baseUrl: proxy.baseUrl, token: "" },
          {
            ...saslPlain,
            CLOUDFLARE_API_TOKEN_FILE: tokenFile,
            HTTP_TOKEN: secrets.httpToken,
            API_QUOTA: "100000",
            REDIS_URL: `redis://user:${secrets.redis}@127.0.0.1:1/0`,
            REQUEST_DEADLINE: "1 second",
            ...collectedBy(collector),
            ...collectorCredential,
            LOG_LEVEL: "Trace",
            NODE_OPTIONS: `--import=${join(directory, "crashing.mjs")}`
          }
        )
        const consumer = yield* ConsumerProcess.start(settings)
        yield* topics.emit([
          recordOf(
            "bare",
            eventOf("upsert", "refused", {
              zone_id: "refused",
              ip: "192.0.2.1",
              vendor: "aws",
              region: "us-east-1"
            })
          ),
          recordOf("bare", eventOf("delete", "gave up", { zone_id: yield* uniqueZoneId, ip: "192.0.2.1" })),
          recordOf("bare", eventOf("delete", "malformed", {}))
        ])
        yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 3))
        for (const { record } of topics.outcomes.all) seen.add("outcomes", everythingOf(record))
        for (const record of yield* topics.deadLetters.until((all) => all.length >= 2)) {
          seen.add("dead letters", everythingOf(record))
        }
        seen.has("outcomes", "What do you mean by Bearer <redacted>?")
        seen.has("outcomes", "gave_up")

        refuses = true
        yield* topics.emit([
          recordOf("bare", eventOf("delete", "waits", { zone_id: yield* uniqueZoneId, ip: "192.0.2.1" }))
        ])
        yield* says(consumer, "(code 10000)")
        const origin = yield* consumer.address
        const requests = [
          ...["/health/live", "/health/ready", "/status", "/metrics", "/nowhere"].map((
            path
          ) => [path, secrets.httpToken]),
          ["/status", `${secrets.httpToken}x`],
          [`/${secrets.apiKey.slice(0, 6)}`, ""]
        ]
        for (const [path = "", token = ""] of requests) {
          const response = yield* Effect.promise(() =>
            fetch(`${origin}${path}`, { headers: { authorization: `Bearer ${token}` } })
          )
          seen.add(path, JSON.stringify([...response.headers]) + (yield* Effect.promise(() => response.text())))
        }
        seen.has("/status", "<redacted>")
        seen.has("/metrics", "origin_regions_consumer_outcomes_total")
        for (const form of [[], ["--json"]]) {
          seen.add("config check", yield* configCheck(settings, "--zone", "zone", ...form))
        }
        seen.has("config check", "(hidden)")

        yield* collector.until((spans) => spans.length > 0)
        seen.add(
          "traces",
          JSON.stringify(collector.spans, (_, value: unknown) => typeof value === "bigint" ? String(value) : value)
        )
        seen.has("traces", "192.0.2.1")

        process.kill(consumer.pid, "SIGUSR2")
        assert.notStrictEqual((yield* consumer.exit).code, 0)
        for (const line of yield* linesOf(consumer)) seen.add("log", `${line}\n`)
        seen.has("log", "The quota's pool in Redis is out of reach")
        seen.has("log", "Error: crashed")
        seen.hasNoSecret()
      }))

    it.effect("comes out of one that can't begin: by Kafka, TLS, OAuth, its port, or its settings", () =>
      Effect.gen(function*() {
        const { brokers } = yield* KafkaBroker
        const seen = new Seen()
        const topics = yield* makeTestTopics()
        const directory = yield* directoryOf
        const file = (name: string, content: string) => {
          writeFileSync(join(directory, name), content)
          return join(directory, name)
        }
        const base = settingsFor(brokers, topics.names, {
          baseUrl: "http://127.0.0.1:1/client/v4",
          token: secrets.apiToken
        }, {
          HTTP_TOKEN: secrets.httpToken,
          LOG_LEVEL: "Trace"
        })
        const { CLOUDFLARE_API_TOKEN: _, ...withoutToken } = base
        const oauth = {
          KAFKA_SASL_MECHANISM: "OAUTHBEARER",
          KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: yield* tokenEndpoint,
          KAFKA_SASL_OAUTHBEARER_CLIENT_ID: "client",
          KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: secrets.client
        }
        const oauthFile = {
          KAFKA_SASL_MECHANISM: "OAUTHBEARER",
          KAFKA_SASL_OAUTHBEARER_TOKEN_FILE: file("access-token", secrets.accessToken)
        }
        const tls = {
          KAFKA_TLS: "true",
          KAFKA_TLS_CERT_FILE: file("cert.pem", pem("CERTIFICATE", "bm90aGluZw==")),
          KAFKA_TLS_KEY_FILE: file("key.pem", pem("PRIVATE KEY", secrets.privateKey))
        }
        const all = {
          REDIS_URL: `redis://user:${secrets.redis}@127.0.0.1:1/0`,
          ...saslPlain,
          ...tls,
          ...collectedBy({ endpoint: "http://127.0.0.1:1" }),
          ...collectorCredential
        }
        /** A word that it says when it has come as far as it can, or its end. */
        const runs: ReadonlyArray<readonly [string, Readonly<Record<string, string>>, string | undefined]> = [
          ["wrong password", { ...base, ...saslPlain, KAFKA_SASL_PASSWORD: `${secrets.sasl}2` }, "Trying again"],
          ["wrong mechanism", { ...base, ...saslPlain, KAFKA_SASL_MECHANISM: "SCRAM-SHA-256" }, "Trying again"],
          ["oauth", { ...base, ...oauth }, "no token from"],
          ["oauth file", { ...base, ...oauthFile }, "Trying again"],
          ["tls", { ...base, ...saslPlain, ...tls }, "Trying again"],
          ["api key", {
            ...withoutToken,
            ...saslPlain,
            CLOUDFLARE_EMAIL: "ops@example.com",
            CLOUDFLARE_API_KEY: secrets.apiKey
          }, "Could not reach the API"],
          ["port", { ...base, ...all, HTTP_PORT: String(yield* takenPort) }, undefined],
          ["wrong settings", {
            ...base,
            ...all,
            CLOUDFLARE_API_TOKEN: `${secrets.apiToken} ${secrets.apiToken}`,
            CLOUDFLARE_API_KEY: `${secrets.apiKey} `,
            CLOUDFLARE_BASE_URL: `https://user:${secrets.apiKey}@api.example/client/v4?key=${secrets.apiKey}`,
            HTTP_TOKEN: `${secrets.httpToken} x`,
            REDIS_URL: `http://user:${secrets.redis}@example.com`,
            KAFKA_BROKERS: `kafka://user:${secrets.sasl}@example.com:9092`,
            KAFKA_SASL_MECHANISM: "GSSAPI",
            CONCURRENCY: "none"
          }, undefined],
          ["password in an address", {
            ...base,
            ...oauth,
            KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: `https://client:${secrets.client}@login.example/token`
          }, undefined]
        ]
        const given = new Set(runs.flatMap(([, settings]) => Object.keys(settings)))
        assert.deepStrictEqual(secretSettings.filter((name) => !given.has(name)), [])
        yield* Effect.forEach(runs, ([name, settings, word]) =>
          Effect.gen(function*() {
            const consumer = yield* ConsumerProcess.spawn(settings)
            if (word === undefined) assert.notStrictEqual((yield* consumer.exit).code, 0)
            else {
              yield* says(consumer, word)
              const origin = yield* consumer.address
              const get = (path: string) =>
                fetch(`${origin}${path}`, { headers: { authorization: `Bearer ${secrets.httpToken}` } })
              for (const path of ["/health/ready", "/status", "/metrics"]) {
                seen.add(`${name} ${path}`, yield* Effect.promise(() => get(path).then((response) => response.text())))
              }
              yield* consumer.terminate
            }
            for (const line of yield* linesOf(consumer)) seen.add(name, `${line}\n`)
            if (!checked.has(name)) return
            seen.add(`${name}, checked`, yield* configCheck(settings, ...(name.includes("wrong") ? [] : ["--json"])))
          }), { concurrency: 4 })
        seen.has("oauth", "<redacted>")
        seen.has("port", "HTTP_PORT")
        seen.has("wrong settings", "settings are wrong")
        seen.has("password in an address", "(hidden)@login.example")
        seen.hasNoSecret()
      }))
  })
})
