import { assert, describe, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Context, Effect, Layer, Redacted } from "effect"
import { execFile, spawnSync } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { layerKafka, newTopic, numbered, ofText, readAll, sendValues, until } from "./internal/fixtures/TestKafka.ts"
import { joinGroup } from "./internal/fixtures/TestMember.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

const home = process.env["JAVA_HOME"] ?? ""
const javaTool = (name: string) => home === "" ? name : join(home, "bin", name)
// The broker that is made here runs on the JVM, and its certificate comes from there; without one, this is reported as skipped.
const isJavaMissing = spawnSync(javaTool("java"), ["-version"]).status !== 0

const PASSWORD = "s3cret"

/** A broker that wants TLS and a password, and the certificate to know it by. */
class SecureBroker extends Context.Service<SecureBroker, { readonly broker: string; readonly ca: string }>()(
  "@origin-regions/kafka/SecureBroker"
) {
  static readonly layer = Layer.unwrap(Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "kafka-security-"))),
      (path) => Effect.promise(() => rm(path, { recursive: true }))
    )
    const keystore = join(directory, "broker.p12")
    const keytool = (...args: ReadonlyArray<string>) =>
      Effect.promise(() => {
        const store = ["-alias", "broker", "-storetype", "PKCS12", "-keystore", keystore, "-storepass", PASSWORD]
        return promisify(execFile)(javaTool("keytool"), [...args, ...store])
      })
    yield* keytool("-genkeypair", "-keyalg", "EC", "-dname", "CN=broker", "-ext", "SAN=ip:127.0.0.1", "-validity", "2")
    const { stdout: ca } = yield* keytool("-exportcert", "-rfc")
    return Layer.effect(
      SecureBroker,
      Effect.map(KafkaBroker, ({ brokers }) => SecureBroker.of({ broker: brokers[0] ?? "", ca }))
    ).pipe(Layer.provide(KafkaBroker.layerJvm({
      properties: {
        "listener.security.protocol.map": "HOST:SASL_SSL,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.host.ssl.keystore.type": "PKCS12",
        "listener.name.host.ssl.keystore.location": keystore,
        "listener.name.host.ssl.keystore.password": PASSWORD,
        "listener.name.host.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.host.plain.sasl.jaas.config":
          `org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="${PASSWORD}";`
      }
    })))
  }))
}

const settings = (
  { broker, ca }: SecureBroker["Service"],
  wrong: { readonly ca?: undefined; readonly password?: string } = {}
): KafkaSettings => ({
  brokers: [broker],
  tls: { ca: "ca" in wrong ? undefined : ca, cert: undefined, key: undefined },
  sasl: { mechanism: "PLAIN", username: "alice", password: Redacted.make(wrong.password ?? PASSWORD) }
})

describe.skipIf(isJavaMissing)("A broker with TLS and a password", () => {
  layer(SecureBroker.layer, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    it.effect("takes records from one who knows both, and gives them to a group", () =>
      Effect.gen(function*() {
        const kafka = layerKafka(settings(yield* SecureBroker))
        yield* Effect.gen(function*() {
          const topic = yield* newTopic()
          yield* sendValues(topic, numbered("v", 10))
          const member = yield* joinGroup({ topic })
          yield* until(() => member.values.length === 10)
          yield* member.commitAll()
          assert.deepStrictEqual((yield* readAll(topic, 10)).map(({ value }) => ofText(value)), numbered("v", 10))
        }).pipe(Effect.scoped, Effect.provide(kafka))
      }))

    for (
      const [what, wrong, message] of [
        ["a wrong password", { password: "guess" }, "Authentication failed: Invalid username or password"],
        ["a certificate that nobody vouches for", { ca: undefined }, "self-signed certificate"]
      ] as const
    ) {
      it.effect(`says in a sentence that it is met with ${what}`, () =>
        Effect.gen(function*() {
          const errors = yield* Effect.all([
            Effect.flip(KafkaAdmin.use((admin) => admin.partitionCount("topic"))),
            Effect.flip(sendValues("topic", ["v"])),
            Effect.flip(joinGroup({ topic: "topic" }))
          ], { concurrency: "unbounded" }).pipe(
            Effect.provide(yield* Layer.build(layerKafka(settings(yield* SecureBroker, wrong))))
          )
          for (const error of errors) {
            assert.strictEqual(error.reason._tag, "Unauthorized", error.message)
            assert.include(error.message, message)
            assert.notInclude(error.message, "guess")
          }
        }))
    }
  })
})
