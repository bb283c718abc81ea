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

/** The lines that name one each. */
const problems = (environment: Environment) => problemsOf(environment).split("\n").slice(1)

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
      if (sasl?.mechanism !== mechanism) return assert.fail(sasl?.mechanism)
      assert.deepStrictEqual([sasl.username, Redacted.value(sasl.password)], ["alice", "s3cret"])
      assert.notInclude(JSON.stringify(sasl), "s3cret")
    }
  })

  it.effect("reads both ways to a bearer token", () =>
    Effect.gen(function*() {
      const bearer = { KAFKA_BROKERS: "one:9092", KAFKA_SASL_MECHANISM: "OAUTHBEARER" }
      const path = join(yield* temporaryDirectory, "token")
      yield* Effect.promise(() => writeFile(path, "t0ken\n"))
      const inFile = { ...bearer, KAFKA_SASL_OAUTHBEARER_TOKEN_FILE: path }
      assert.deepStrictEqual(settingsOf(inFile).sasl, {
        mechanism: "OAUTHBEARER",
        token: { _tag: "File", path },
        extensions: {}
      })
      const credentials = {
        ...bearer,
        KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: "https://login.example.com/token",
        KAFKA_SASL_OAUTHBEARER_CLIENT_ID: "us",
        KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: "s3cret",
        KAFKA_SASL_OAUTHBEARER_SCOPE: "kafka other",
        KAFKA_SASL_OAUTHBEARER_EXTENSIONS: "logicalCluster=lkc-1, identityPoolId=a=b"
      }
      const { sasl } = settingsOf(credentials)
      if (sasl?.mechanism !== "OAUTHBEARER" || sasl.token._tag !== "ClientCredentials") return assert.fail()
      const { clientId, clientSecret, scope, tokenEndpoint } = sasl.token
      assert.deepStrictEqual(
        [tokenEndpoint.href, clientId, Redacted.value(clientSecret), scope],
        ["https://login.example.com/token", "us", "s3cret", "kafka other"]
      )
      assert.deepStrictEqual(sasl.extensions, { logicalCluster: "lkc-1", identityPoolId: "a=b" })
      assert.notInclude(JSON.stringify(sasl), "s3cret")

      assert.deepStrictEqual(problems(bearer), [
        "  KAFKA_SASL_OAUTHBEARER_TOKEN_FILE is not set: expected the path of a readable file with a token (or client credentials, with KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL)"
      ])
      assert.deepStrictEqual(problems({ ...credentials, KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: "" }), [
        "  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET is not set: expected a client secret, as client credentials go together"
      ])
      assert.deepStrictEqual(problems({ ...inFile, KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: "s3cret" }), [
        "  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET is \"(hidden)\": expected nothing, as KAFKA_SASL_OAUTHBEARER_TOKEN_FILE is set"
      ])
      assert.deepStrictEqual(problems({ ...inFile, KAFKA_SASL_USERNAME: "alice" }), [
        "  KAFKA_SASL_USERNAME is \"set\": expected nothing, as KAFKA_SASL_MECHANISM is OAUTHBEARER"
      ])
      const plain = {
        ...inFile,
        KAFKA_SASL_USERNAME: "alice",
        KAFKA_SASL_PASSWORD: "s3cret",
        KAFKA_SASL_MECHANISM: "PLAIN"
      }
      assert.deepStrictEqual(problems(plain), [
        "  KAFKA_SASL_OAUTHBEARER_TOKEN_FILE is \"set\": expected nothing, as KAFKA_SASL_MECHANISM is PLAIN"
      ])
      assert.deepStrictEqual(problems({ ...inFile, KAFKA_SASL_OAUTHBEARER_EXTENSIONS: "auth=x" }), [
        "  KAFKA_SASL_OAUTHBEARER_EXTENSIONS is \"auth=x\": expected name=value with commas between"
      ])
      yield* Effect.promise(() => writeFile(path, "\n"))
      assert.deepStrictEqual(problems(inFile), [
        `  KAFKA_SASL_OAUTHBEARER_TOKEN_FILE is ${
          JSON.stringify(path)
        }: expected a file with a token, and that one is empty`
      ])
    }))

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
        { ca: "ca pem", cert: "cert pem", key: Redacted.make("key pem") }
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
        "3 settings are wrong:",
        "  KAFKA_BROKERS is \"one\": expected a list of host:port, for example 127.0.0.1:9092",
        "  KAFKA_TLS is \"yes\": expected true or false",
        "  KAFKA_SASL_MECHANISM is \"GSSAPI\": expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"
      ].join("\n")
    )
    assert.strictEqual(
      problemsOf({ KAFKA_SASL_PASSWORD: "s3cret" }),
      [
        "2 settings are wrong:",
        "  KAFKA_BROKERS is not set: expected a list of host:port, for example 127.0.0.1:9092",
        "  KAFKA_SASL_MECHANISM is not set: expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, as a user name or password is set"
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
