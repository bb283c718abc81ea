import { assert, describe, it } from "@effect/vitest"
import { describeProblems } from "@origin-regions/settings/SettingProblem"
import { Effect, Redacted, Result } from "effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readKafkaSettings } from "./KafkaSettings.ts"

type Environment = Parameters<typeof readKafkaSettings>[0]

const settingsOf = (environment: Environment) => Result.getOrThrow(readKafkaSettings(environment))

const problemsOf = (environment: Environment) => {
  const settings = readKafkaSettings(environment)
  return Result.isFailure(settings) ? describeProblems(settings.failure) : "no problem"
}

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "kafka-settings-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

describe("readKafkaSettings", () => {
  it("needs no more than the brokers, and takes a default for them", () => {
    const plain = { tls: undefined, sasl: undefined }
    assert.deepStrictEqual(settingsOf({ KAFKA_BROKERS: "one:9092, [::1]:9093,10.0.0.1:9094" }), {
      ...plain,
      brokers: ["one:9092", "[::1]:9093", "10.0.0.1:9094"]
    })
    const withDefault = readKafkaSettings({ KAFKA_BROKERS: " " }, { brokers: "127.0.0.1:9092" })
    assert.deepStrictEqual(Result.getOrThrow(withDefault), { ...plain, brokers: ["127.0.0.1:9092"] })
  })

  it("reads each way to authenticate", () => {
    for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const) {
      const { sasl } = settingsOf({
        KAFKA_BROKERS: "one:9092",
        KAFKA_SASL_MECHANISM: mechanism,
        KAFKA_SASL_USERNAME: "alice",
        KAFKA_SASL_PASSWORD: "s3cret"
      })
      assert.strictEqual(sasl?.mechanism, mechanism)
      assert.strictEqual(sasl?.username, "alice")
      assert.strictEqual(sasl === undefined ? undefined : Redacted.value(sasl.password), "s3cret")
      assert.notInclude(JSON.stringify(sasl), "s3cret")
    }
  })

  it.effect("reads TLS with the system's authorities, with an own one, and with a certificate of our own", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const file = (name: string) => join(directory, name)
      yield* Effect.promise(() =>
        Promise.all(["ca", "cert", "key"].map((name) => writeFile(file(name), `${name} pem`)))
      )
      const tls = { KAFKA_BROKERS: "one:9092", KAFKA_TLS: "true" }
      assert.deepStrictEqual(settingsOf(tls).tls, { ca: undefined, cert: undefined, key: undefined })
      assert.deepStrictEqual(
        settingsOf({
          ...tls,
          KAFKA_TLS_CA_FILE: file("ca"),
          KAFKA_TLS_CERT_FILE: file("cert"),
          KAFKA_TLS_KEY_FILE: file("key")
        }).tls,
        { ca: "ca pem", cert: "cert pem", key: "key pem" }
      )
      assert.strictEqual(
        problemsOf({ ...tls, KAFKA_TLS_CA_FILE: file("none"), KAFKA_TLS_KEY_FILE: file("key") }),
        [
          "2 settings are wrong:",
          `  KAFKA_TLS_CA_FILE is ${JSON.stringify(file("none"))}: expected the path of a readable PEM file`,
          "  KAFKA_TLS_CERT_FILE is not set: expected a PEM file, as certificate and key go together"
        ].join("\n")
      )
      assert.strictEqual(
        problemsOf({ ...tls, KAFKA_TLS: "false", KAFKA_TLS_CA_FILE: file("ca") }),
        [
          "A setting is wrong:",
          "  KAFKA_TLS_CA_FILE is \"set\": expected nothing, as KAFKA_TLS is not true"
        ].join("\n")
      )
    }))

  it("names everything that is wrong at once, and no secret", () => {
    assert.strictEqual(
      problemsOf({
        KAFKA_BROKERS: "one",
        KAFKA_TLS: "yes",
        KAFKA_SASL_MECHANISM: "GSSAPI",
        KAFKA_SASL_PASSWORD: "s3cret"
      }),
      [
        "4 settings are wrong:",
        "  KAFKA_BROKERS is \"one\": expected a list of host:port, for example 127.0.0.1:9092",
        "  KAFKA_TLS is \"yes\": expected true or false",
        "  KAFKA_SASL_MECHANISM is \"GSSAPI\": expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
        "  KAFKA_SASL_USERNAME is not set: expected a user name, as KAFKA_SASL_MECHANISM is set"
      ].join("\n")
    )
    assert.strictEqual(
      problemsOf({ KAFKA_SASL_PASSWORD: "s3cret" }),
      [
        "2 settings are wrong:",
        "  KAFKA_BROKERS is not set: expected a list of host:port, for example 127.0.0.1:9092",
        "  KAFKA_SASL_MECHANISM is not set: expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, as a user name or password is set"
      ].join("\n")
    )
    assert.strictEqual(
      problemsOf({ KAFKA_BROKERS: "one:9092", KAFKA_SASL_MECHANISM: "PLAIN", KAFKA_SASL_USERNAME: "alice" }),
      [
        "A setting is wrong:",
        "  KAFKA_SASL_PASSWORD is not set: expected a password, as KAFKA_SASL_MECHANISM is set"
      ].join("\n")
    )
  })

  it("takes no broker without a port, with a scheme, or empty", () => {
    for (const brokers of ["one:", ":9092", "one:9092,", "kafka://one:9092", "one:9092 two:9092", "one:123456"]) {
      assert.include(problemsOf({ KAFKA_BROKERS: brokers }), "KAFKA_BROKERS is", brokers)
    }
  })
})
