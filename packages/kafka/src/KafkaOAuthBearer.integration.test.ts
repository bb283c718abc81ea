import { assert, describe, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Context, Effect, Layer, Redacted, Schedule } from "effect"
import { spawnSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Provider } from "oidc-provider"
import { layerKafka, newTopic, numbered, ofText, readAll, sendValues, until } from "./internal/fixtures/TestKafka.ts"
import { joinGroup } from "./internal/fixtures/TestMember.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import type { ClientCredentials, KafkaSettings } from "./KafkaSettings.ts"

const home = process.env["JAVA_HOME"] ?? ""
// The broker that is made here runs on the JVM; without one, this is reported as skipped.
const isJavaMissing = spawnSync(home === "" ? "java" : join(home, "bin", "java"), ["-version"]).status !== 0

const CLIENT_ID = "origin-regions"
const SECRET = "s3cret/of:ours"
const AUDIENCE = "https://kafka.example.com"

const loopbackServer = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer(listener)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close().closeAllConnections())
  )

const portOf = (server: Server): number => (server.address() as AddressInfo).port

/** Of a server that has ended. */
const unusedPort = Effect.scoped(Effect.map(loopbackServer(() => undefined), portOf))

/** An OpenID provider whose tokens the broker takes, with what was asked of it. */
class Issuer extends Context.Service<Issuer, {
  readonly origin: string
  readonly tokenRequests: () => number
  /** Of the tokens that it gives out from now on, in seconds. */
  readonly setLife: (seconds: number) => void
}>()("@origin-regions/kafka/Issuer") {
  static readonly layer = Layer.effect(
    Issuer,
    Effect.gen(function*() {
      let listener: RequestListener | undefined
      const server = yield* loopbackServer((request, response) => void listener?.(request, response))
      const origin = `http://127.0.0.1:${portOf(server)}`
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
      let requests = 0
      let life = 3600
      const provider = new Provider(origin, {
        jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "test", alg: "RS256", use: "sig" }] },
        clients: [{
          client_id: CLIENT_ID,
          client_secret: SECRET,
          grant_types: ["client_credentials"],
          redirect_uris: [],
          response_types: []
        }],
        ttl: { ClientCredentials: () => life },
        features: {
          devInteractions: { enabled: false },
          clientCredentials: { enabled: true },
          resourceIndicators: {
            enabled: true,
            defaultResource: () => AUDIENCE,
            getResourceServerInfo: () => ({
              scope: "kafka",
              audience: AUDIENCE,
              accessTokenFormat: "jwt",
              jwt: { sign: { alg: "RS256" } }
            })
          }
        }
      })
      const answer = provider.callback()
      listener = (request, response) => {
        if (request.url === "/token") requests++
        return answer(request, response)
      }
      return Issuer.of({
        origin,
        tokenRequests: () => requests,
        setLife: (seconds) => {
          life = seconds
        }
      })
    })
  )
}

/** A broker that wants a token of the issuer's. */
const Broker = Layer.unwrap(Effect.gen(function*() {
  const { origin } = yield* Issuer
  // Kafka asks nobody for keys whom its JVM has not been told of.
  process.env["JAVA_TOOL_OPTIONS"] = `-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${origin}/jwks`
  return KafkaBroker.layerJvm({
    properties: {
      "listener.security.protocol.map": "HOST:SASL_PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
      "listener.name.host.sasl.enabled.mechanisms": "OAUTHBEARER",
      "listener.name.host.oauthbearer.sasl.jaas.config":
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
      "listener.name.host.oauthbearer.sasl.server.callback.handler.class":
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
      "listener.name.host.sasl.oauthbearer.jwks.endpoint.url": `${origin}/jwks`,
      "listener.name.host.sasl.oauthbearer.expected.audience": AUDIENCE,
      "listener.name.host.sasl.oauthbearer.expected.issuer": origin,
      "listener.name.host.oauthbearer.connections.max.reauth.ms": "3600000"
    }
  })
}))

const Surroundings = Broker.pipe(Layer.provideMerge(Issuer.layer))

type OAuthBearer = Extract<NonNullable<KafkaSettings["sasl"]>, { readonly mechanism: "OAUTHBEARER" }>

const settingsWith = (token: OAuthBearer["token"], extensions: OAuthBearer["extensions"] = {}) =>
  Effect.map(KafkaBroker, ({ brokers }): KafkaSettings => ({
    brokers,
    tls: undefined,
    sasl: { mechanism: "OAUTHBEARER", token, extensions }
  }))

const credentials = (change: Partial<ClientCredentials> = {}) =>
  Effect.map(Issuer, ({ origin }): ClientCredentials => ({
    _tag: "ClientCredentials",
    tokenEndpoint: new URL(`${origin}/token`),
    clientId: CLIENT_ID,
    clientSecret: Redacted.make(SECRET),
    scope: "kafka",
    ...change
  }))

/** A token as somebody gets it who keeps it in a file. */
const fetchToken = Effect.flatMap(Issuer, ({ origin }) =>
  Effect.promise(async () => {
    const response = await fetch(`${origin}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${CLIENT_ID}:${encodeURIComponent(SECRET)}`)}` },
      body: new URLSearchParams({ grant_type: "client_credentials", scope: "kafka" })
    })
    const { access_token: token } = await response.json() as { readonly access_token: string }
    return token
  }))

const tokenFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "kafka-token-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
  ),
  (directory) => join(directory, "token")
)

/** Sends, reads, and lets a group work. */
const useKafka = Effect.gen(function*() {
  const topic = yield* newTopic()
  yield* sendValues(topic, numbered("v", 10))
  const member = yield* joinGroup({ topic })
  yield* until(() => member.values.length === 10)
  yield* member.commitAll()
  assert.deepStrictEqual((yield* readAll(topic, 10)).map(({ value }) => ofText(value)), numbered("v", 10))
})

const failing = (settings: KafkaSettings) =>
  Effect.flip(KafkaAdmin.use((admin) => admin.partitionCount("topic"))).pipe(
    Effect.provide(KafkaAdmin.layer(settings))
  )

describe.skipIf(isJavaMissing)("A broker that wants a bearer token", () => {
  layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    it.effect("works with one for client credentials, asked for once by each client", () =>
      Effect.gen(function*() {
        const { setLife, tokenRequests } = yield* Issuer
        setLife(3600)
        const before = tokenRequests()
        const settings = yield* settingsWith(yield* credentials(), { logicalCluster: "lkc-1" })
        yield* useKafka.pipe(Effect.scoped, Effect.provide(layerKafka(settings)))
        // Producer, admin, reader, consumer, and the admin of the member.
        assert.isAtMost(tokenRequests() - before, 6)
      }))

    it.effect("works on while tokens run out, with the next ones", () =>
      Effect.gen(function*() {
        const { setLife, tokenRequests } = yield* Issuer
        // kafkajs shows the next token ten seconds before the broker would end the session: two seconds on.
        setLife(12)
        const settings = yield* settingsWith(yield* credentials())
        yield* Effect.gen(function*() {
          const topic = yield* newTopic()
          const member = yield* joinGroup({ topic })
          const before = tokenRequests()
          let sent = 0
          yield* Effect.suspend(() => sendValues(topic, [`v${sent++}`])).pipe(
            Effect.repeat({ until: () => tokenRequests() - before >= 12, schedule: Schedule.spaced("50 millis") })
          )
          yield* until(() => member.values.length === sent)
          yield* member.commitAll()
        }).pipe(Effect.scoped, Effect.provide(layerKafka(settings)))
        setLife(3600)
      }))

    it.effect("works with one in a file, and with the one that is put there later", () =>
      Effect.gen(function*() {
        const path = yield* tokenFile
        writeFileSync(path, "no token\n")
        const settings = yield* settingsWith({ _tag: "File", path })
        const error = yield* failing(settings)
        assert.strictEqual(error.reason._tag, "Unauthorized", error.message)
        const token = yield* fetchToken
        yield* Effect.gen(function*() {
          const admin = yield* KafkaAdmin
          assert.strictEqual((yield* Effect.flip(admin.partitionCount("topic"))).reason._tag, "Unauthorized")
          writeFileSync(path, `${token}\n`)
          const later = yield* Effect.flip(admin.partitionCount("topic"))
          assert.strictEqual(later.reason._tag, "UnknownTopic", later.message)
        }).pipe(Effect.provide(KafkaAdmin.layer(settings)))
        yield* useKafka.pipe(Effect.scoped, Effect.provide(layerKafka(settings)))
      }))

    it.effect("says in a sentence that the credentials are refused", () =>
      Effect.gen(function*() {
        const { origin } = yield* Issuer
        const token = yield* credentials({ clientSecret: Redacted.make("guess") })
        const error = yield* failing(yield* settingsWith(token))
        assert.strictEqual(error.reason._tag, "Unauthorized", error.message)
        assert.include(error.message, `no token from ${origin}/token: invalid_client`)
        assert.notInclude(error.message, "guess")
      }))

    it.effect("says in a sentence that there is no token at the moment", () =>
      Effect.gen(function*() {
        const path = yield* tokenFile
        const port = yield* unusedPort
        const token = yield* credentials({ tokenEndpoint: new URL(`http://127.0.0.1:${port}/token`) })
        for (
          const [source, message] of [
            [token, `no token from http://127.0.0.1:${port}/token: connect ECONNREFUSED 127.0.0.1:${port}`],
            [{ _tag: "File", path } as const, `no token from ${path}: ENOENT`]
          ] as const
        ) {
          const error = yield* failing(yield* settingsWith(source))
          assert.strictEqual(error.reason._tag, "Unreachable", error.message)
          assert.include(error.message, message)
        }
      }))
  })
})
