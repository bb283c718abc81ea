import { assert, describe, it } from "@effect/vitest"
import { Duration, Redacted, Result } from "effect"
import { describeProblems } from "./SettingProblem.ts"
import { type Environment, SettingReader } from "./SettingReader.ts"

/** What `read` makes of the environment: its value, or the message that a person gets. */
const reading = <A>(environment: Environment, read: (settings: SettingReader) => A): A | string => {
  const settings = new SettingReader(environment)
  return Result.match(settings.result(read(settings)), { onSuccess: (value) => value, onFailure: describeProblems })
}

const wrong = (setting: string, value: string, expected: string): string =>
  `A setting is wrong:\n  ${setting} is ${JSON.stringify(value)}: expected ${expected}`

const group = (settings: SettingReader) => settings.text("GROUP", "a group id", { default: "origin-regions" })
const brokers = (settings: SettingReader) => settings.list("BROKERS", "host:port, with commas", /^\w+:\d+$/)
const logLevel = (settings: SettingReader) => settings.oneOf("LOG", ["debug", "info"], { default: "info" })
const concurrency = (settings: SettingReader) => settings.integer("CONCURRENCY", { minimum: 1, maximum: 1024 })
const tls = (settings: SettingReader) => settings.boolean("TLS", { default: false })
const millis = (environment: Environment) =>
  reading(
    environment,
    (settings) => Duration.toMillis(settings.duration("TIMEOUT", { default: Duration.seconds(1) }))
  )
const href = (environment: Environment) =>
  reading(environment, (settings) => settings.url("BASE_URL", { default: "http://127.0.0.1:8787" }).href)

describe("SettingReader", () => {
  it("reads text, trimmed, and takes an empty variable for an unset one", () => {
    assert.strictEqual(reading({ GROUP: " blue " }, group), "blue")
    assert.strictEqual(reading({ GROUP: "  " }, group), "origin-regions")
    assert.strictEqual(reading({}, group), "origin-regions")
    assert.strictEqual(
      reading({}, (settings) => settings.text("GROUP", "a group id")),
      "A setting is wrong:\n  GROUP is not set: expected a group id"
    )
    assert.strictEqual(
      reading({ GROUP: "a b" }, (settings) => settings.text("GROUP", "one word", { pattern: /^\w+$/ })),
      wrong("GROUP", "a b", "one word")
    )
  })

  it("reads lists", () => {
    assert.deepStrictEqual(reading({ BROKERS: "a:1, b:2" }, brokers), ["a:1", "b:2"])
    for (const bad of ["a:1,,b:2", "a", "a:1,"]) {
      assert.strictEqual(reading({ BROKERS: bad }, brokers), wrong("BROKERS", bad, "host:port, with commas"))
    }
    assert.deepStrictEqual(reading({}, (settings) => settings.list("BROKERS", "", /x/, { default: ["a:1"] })), ["a:1"])
  })

  it("reads one of several words", () => {
    assert.strictEqual(reading({ LOG: "debug" }, logLevel), "debug")
    assert.strictEqual(reading({}, logLevel), "info")
    assert.strictEqual(reading({ LOG: "DEBUG" }, logLevel), wrong("LOG", "DEBUG", "one of debug, info"))
    assert.strictEqual(
      reading({}, (settings) => settings.oneOf("LOG", ["debug", "info"])),
      "A setting is wrong:\n  LOG is not set: expected one of debug, info"
    )
  })

  it("reads whole numbers within their range", () => {
    assert.strictEqual(reading({ CONCURRENCY: "1" }, concurrency), 1)
    assert.strictEqual(reading({ CONCURRENCY: "1024" }, concurrency), 1024)
    for (const bad of ["0", "1025", "1.5", "-1", "1e2", "0x10", "many", "99999999999999999999"]) {
      assert.strictEqual(
        reading({ CONCURRENCY: bad }, concurrency),
        wrong("CONCURRENCY", bad, "a whole number from 1 to 1024")
      )
    }
  })

  it("reads true and false", () => {
    assert.strictEqual(reading({ TLS: "true" }, tls), true)
    assert.strictEqual(reading({ TLS: "false" }, tls), false)
    assert.strictEqual(reading({}, tls), false)
    assert.strictEqual(reading({ TLS: "yes" }, tls), wrong("TLS", "yes", "true or false"))
  })

  it("reads durations that end and are longer than nothing", () => {
    assert.strictEqual(millis({ TIMEOUT: "10 seconds" }), 10_000)
    assert.strictEqual(millis({ TIMEOUT: "500 millis" }), 500)
    assert.strictEqual(millis({}), 1000)
    for (const bad of ["10", "soon", "0 seconds", "-1 seconds", "Infinity", "10seconds"]) {
      assert.strictEqual(
        millis({ TIMEOUT: bad }),
        wrong("TIMEOUT", bad, "a duration such as \"10 seconds\" or \"500 millis\"")
      )
    }
  })

  it("reads http and https addresses", () => {
    assert.strictEqual(href({ BASE_URL: "https://api.example.com/client/v4" }), "https://api.example.com/client/v4")
    assert.strictEqual(href({}), "http://127.0.0.1:8787/")
    for (const bad of ["api.example.com", "ftp://api.example.com", "http://"]) {
      assert.strictEqual(href({ BASE_URL: bad }), wrong("BASE_URL", bad, "an http:// or https:// address"))
    }
  })

  it("keeps secrets out of sight", () => {
    const token = reading({ TOKEN: "s3cret" }, (settings) => settings.secret("TOKEN", "an API token"))
    assert.isTrue(Redacted.isRedacted(token))
    assert.notInclude(JSON.stringify({ token }) + String(token), "s3cret")
    assert.strictEqual(Redacted.isRedacted(token) ? Redacted.value(token) : token, "s3cret")
    assert.strictEqual(
      reading({}, (settings) => settings.secret("TOKEN", "an API token")),
      "A setting is wrong:\n  TOKEN is not set: expected an API token"
    )
  })

  it("tells every problem at once, those of others and those between settings too", () => {
    const kafka = new SettingReader({})
    kafka.text("KAFKA_BROKERS", "host:port")
    const settings = new SettingReader({ PORT: "x", TOKEN: "t", EMAIL: "e" })
    settings.integer("PORT", { minimum: 1, maximum: 65_535 })
    if (settings.isSet("TOKEN") && settings.isSet("EMAIL")) settings.problem("EMAIL", "nothing next to TOKEN", "e")
    const others = Result.match(kafka.result(undefined), { onSuccess: () => [], onFailure: (problems) => problems })
    assert.deepStrictEqual(
      Result.match(settings.result("never", others), { onSuccess: (value) => value, onFailure: describeProblems }),
      [
        "3 settings are wrong:",
        "  PORT is \"x\": expected a whole number from 1 to 65535",
        "  EMAIL is \"e\": expected nothing next to TOKEN",
        "  KAFKA_BROKERS is not set: expected host:port"
      ].join("\n")
    )
    assert.isFalse(settings.isSet("OTHER"))
  })
})
