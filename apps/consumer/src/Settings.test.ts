import { afterAll, assert, describe, it } from "@effect/vitest"
import { topicNames } from "@origin-regions/domain/TopicNames"
import { SettingsError } from "@origin-regions/settings/SettingsError"
import { Duration, Redacted, Result, Runtime } from "effect"
import { randomUUID } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readSettings } from "./Settings.ts"

const needed = { KAFKA_BROKERS: "127.0.0.1:9092", CLOUDFLARE_API_TOKEN: "a-secret-of-ours-0123456789" }

const settingsOf = (environment: Readonly<Record<string, string>>) =>
  Result.getOrThrow(readSettings({ ...needed, ...environment }))

const problemsOf = (environment: Readonly<Record<string, string>>) => {
  const settings = readSettings(environment)
  return Result.isFailure(settings) ? settings.failure : []
}

/** The settings that are wrong, with those that are needed. */
const wrong = (environment: Readonly<Record<string, string>>) =>
  problemsOf({ ...needed, ...environment }).map(({ setting }) => setting)

const directory = mkdtempSync(join(tmpdir(), "settings-"))

const fileWith = (content: string): string => {
  const path = join(directory, `${randomUUID()}.json`)
  writeFileSync(path, content)
  return path
}

afterAll(() => rmSync(directory, { recursive: true }))

describe("The consumer's settings", () => {
  it("are few that must be set", () => {
    const { api, kafka, ...own } = settingsOf({})
    assert.deepStrictEqual(kafka, { brokers: ["127.0.0.1:9092"], tls: undefined, sasl: undefined })
    assert.deepStrictEqual([api.baseUrl.href, api.connections], ["https://api.cloudflare.com/client/v4", 64])
    assert.deepStrictEqual(own, {
      groupId: "origin-regions",
      requestsTopic: topicNames.requests,
      outcomesTopic: topicNames.outcomes,
      deadLettersTopic: topicNames.deadLetters,
      delivery: "exactly-once",
      allowRules: undefined,
      concurrency: 64,
      batchSize: 100,
      requestDeadline: Duration.hours(24),
      sessionTimeout: Duration.seconds(45),
      rebalanceTimeout: Duration.seconds(60),
      drainTimeout: Duration.seconds(30),
      httpHost: "127.0.0.1",
      httpPort: 8788,
      httpToken: undefined,
      traces: undefined,
      logFormat: "json",
      logLevel: "Info"
    })
  })

  it("can all be set", () => {
    const rules = fileWith("{\"allow\": [{\"source\": \"/provisioning\", \"zones\": [\"*\"]}]}")
    const { api, httpToken, kafka, ...own } = settingsOf({
      KAFKA_BROKERS: "a:1,b:2",
      KAFKA_GROUP_ID: "us",
      REQUESTS_TOPIC: "in",
      OUTCOMES_TOPIC: "out",
      DEAD_LETTERS_TOPIC: "dead",
      DELIVERY: "at-least-once",
      ALLOW_RULES_FILE: rules,
      CONCURRENCY: "7",
      API_BATCH_SIZE: "20",
      REQUEST_DEADLINE: "2 minutes",
      KAFKA_SESSION_TIMEOUT: "11 seconds",
      KAFKA_REBALANCE_TIMEOUT: "30 seconds",
      DRAIN_TIMEOUT: "20 seconds",
      API_TIMEOUT: "5 seconds",
      HTTP_HOST: "::1",
      HTTP_PORT: "0",
      HTTP_TOKEN: "s3cret",
      LOG_FORMAT: "logfmt",
      LOG_LEVEL: "Debug"
    })
    assert.strictEqual(httpToken === undefined ? undefined : Redacted.value(httpToken), "s3cret")
    assert.deepStrictEqual(kafka.brokers, ["a:1", "b:2"])
    assert.deepStrictEqual([api.timeout, api.connections], [Duration.seconds(5), 7])
    assert.deepStrictEqual(own, {
      groupId: "us",
      requestsTopic: "in",
      outcomesTopic: "out",
      deadLettersTopic: "dead",
      delivery: "at-least-once",
      allowRules: [{ source: "/provisioning", zones: ["*"] }],
      concurrency: 7,
      batchSize: 20,
      requestDeadline: Duration.minutes(2),
      sessionTimeout: Duration.seconds(11),
      rebalanceTimeout: Duration.seconds(30),
      drainTimeout: Duration.seconds(20),
      httpHost: "::1",
      httpPort: 0,
      traces: undefined,
      logFormat: "logfmt",
      logLevel: "Debug"
    })
  })

  it("are all looked at before any problem is reported, those of Kafka and of the API too", () => {
    const problems = problemsOf({
      KAFKA_BROKERS: "nowhere",
      KAFKA_TLS: "perhaps",
      CLOUDFLARE_BASE_URL: "ftp://example.com",
      KAFKA_GROUP_ID: "two words",
      REQUESTS_TOPIC: "a/b",
      OUTCOMES_TOPIC: "ü",
      DEAD_LETTERS_TOPIC: " x y ",
      CONCURRENCY: "0",
      REQUEST_DEADLINE: "soon",
      KAFKA_SESSION_TIMEOUT: "-1 second",
      KAFKA_REBALANCE_TIMEOUT: "1",
      DRAIN_TIMEOUT: "Infinity",
      HTTP_HOST: "here and there",
      HTTP_PORT: "65536",
      LOG_FORMAT: "loud",
      LOG_LEVEL: "verbose"
    })
    assert.deepStrictEqual(problems.map(({ setting }) => setting).toSorted(), [
      "CLOUDFLARE_API_TOKEN",
      "CLOUDFLARE_BASE_URL",
      "CONCURRENCY",
      "DEAD_LETTERS_TOPIC",
      "DRAIN_TIMEOUT",
      "HTTP_HOST",
      "HTTP_PORT",
      "KAFKA_BROKERS",
      "KAFKA_GROUP_ID",
      "KAFKA_REBALANCE_TIMEOUT",
      "KAFKA_SESSION_TIMEOUT",
      "KAFKA_TLS",
      "LOG_FORMAT",
      "LOG_LEVEL",
      "OUTCOMES_TOPIC",
      "REQUESTS_TOPIC",
      "REQUEST_DEADLINE"
    ])
    const error = new SettingsError({ problems })
    assert.strictEqual(error[Runtime.errorExitCode], 2)
    assert.match(error.message, /^17 settings are wrong:\n(  [A-Z_]+ is .+: expected .+\n?){17}$/)
  })

  it.each([
    { environment: { DRAIN_TIMEOUT: "60 seconds" }, settings: ["DRAIN_TIMEOUT"] },
    { environment: { DRAIN_TIMEOUT: "59 seconds" }, settings: [] },
    { environment: { KAFKA_REBALANCE_TIMEOUT: "30 seconds" }, settings: ["DRAIN_TIMEOUT"] },
    { environment: { API_TIMEOUT: "30 seconds" }, settings: ["API_TIMEOUT"] },
    { environment: { API_TIMEOUT: "29 seconds" }, settings: [] },
    { environment: { DRAIN_TIMEOUT: "10 seconds" }, settings: ["API_TIMEOUT"] },
    { environment: { KAFKA_SESSION_TIMEOUT: "9 seconds" }, settings: ["KAFKA_SESSION_TIMEOUT"] },
    { environment: { KAFKA_SESSION_TIMEOUT: "10 seconds" }, settings: [] },
    { environment: { OUTCOMES_TOPIC: topicNames.requests }, settings: ["REQUESTS_TOPIC"] },
    { environment: { DEAD_LETTERS_TOPIC: topicNames.requests }, settings: ["REQUESTS_TOPIC"] },
    { environment: { DEAD_LETTERS_TOPIC: topicNames.outcomes }, settings: [] },
    { environment: { REQUESTS_TOPIC: ".." }, settings: ["REQUESTS_TOPIC"] },
    { environment: { HTTP_HOST: "0.0.0.0" }, settings: ["HTTP_TOKEN"] },
    { environment: { HTTP_HOST: "::" }, settings: ["HTTP_TOKEN"] },
    { environment: { HTTP_HOST: "consumer.internal" }, settings: ["HTTP_TOKEN"] },
    { environment: { HTTP_HOST: "0.0.0.0", HTTP_TOKEN: "t0ken" }, settings: [] },
    { environment: { HTTP_HOST: "0.0.0.0", HTTP_TOKEN: "two words" }, settings: ["HTTP_TOKEN"] },
    { environment: { HTTP_HOST: "localhost" }, settings: [] },
    { environment: { HTTP_HOST: "127.8.9.10" }, settings: [] },
    { environment: { HTTP_HOST: "::1" }, settings: [] }
  ])("are checked against each other: $environment", ({ environment, settings }) => {
    assert.deepStrictEqual(wrong(environment), settings)
  })

  it("say each problem once, and do not check against a setting that is wrong itself", () => {
    assert.deepStrictEqual(wrong({ DRAIN_TIMEOUT: "later" }), ["DRAIN_TIMEOUT"])
    assert.deepStrictEqual(wrong({ API_TIMEOUT: "later" }), ["API_TIMEOUT"])
    assert.deepStrictEqual(wrong({ KAFKA_REBALANCE_TIMEOUT: "later" }), ["KAFKA_REBALANCE_TIMEOUT"])
    assert.deepStrictEqual(wrong({ KAFKA_SESSION_TIMEOUT: "later" }), ["KAFKA_SESSION_TIMEOUT"])
  })

  it("say of allow rules which file is wrong, where, and what is expected", () => {
    const expected = "a readable JSON file like {\"allow\": [{\"source\": \"/provisioning\", \"zones\": [\"*\"]}]}"
    const nowhere = join(directory, "nowhere.json")
    assert.deepStrictEqual(problemsOf({ ...needed, ALLOW_RULES_FILE: nowhere }), [
      { setting: "ALLOW_RULES_FILE", expected, actual: nowhere }
    ])
    const wrong = fileWith("{\"allow\": [{\"source\": \"/a\", \"zones\": [\"a/b\"]}]}")
    assert.deepStrictEqual(problemsOf({ ...needed, ALLOW_RULES_FILE: wrong }), [{
      setting: "ALLOW_RULES_FILE",
      expected,
      actual: `${wrong} (allow.0.zones.0: must be a zone's identifier, or the beginning of one with a * at its end)`
    }])
  })

  it("never show a secret", () => {
    const secrets = {
      CLOUDFLARE_API_TOKEN: "s3cret-token with a space",
      KAFKA_SASL_MECHANISM: "PLAIN",
      KAFKA_SASL_USERNAME: "user",
      KAFKA_SASL_PASSWORD: "s3cret-password"
    }
    const { message } = new SettingsError({ problems: problemsOf({ ...needed, ...secrets, CONCURRENCY: "many" }) })
    assert.include(message, "CLOUDFLARE_API_TOKEN")
    assert.notInclude(message, "s3cret")
    const settings = settingsOf({ ...secrets, CLOUDFLARE_API_TOKEN: "s3cret-token" })
    assert.notInclude(JSON.stringify(settings), "s3cret")
    const { sasl } = settings.kafka
    assert.strictEqual(sasl?.mechanism === "PLAIN" && Redacted.value(sasl.password), "s3cret-password")
  })
})
