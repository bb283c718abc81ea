import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer, Redacted, Runtime } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Settings } from "./Settings.ts"

const read = (environment: Record<string, string>) =>
  Effect.provide(
    Settings,
    Settings.layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))))
  )

const fileWith = (text: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "api-settings-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
    ),
    (directory) => {
      const file = join(directory, "tokens.json")
      writeFileSync(file, text)
      return file
    }
  )

describe("Settings", () => {
  it.effect("needs no more than a credential", () =>
    Effect.gen(function*() {
      const { keys, tokens, ...others } = yield* read({ API_TOKENS: "one" })
      assert.deepStrictEqual(tokens.map(Redacted.value), ["one"])
      assert.deepStrictEqual(keys, [])
      assert.deepStrictEqual(others, {
        host: "127.0.0.1",
        port: 8787,
        database: ".data/api.sqlite",
        databaseUrl: undefined,
        grants: [],
        rateLimit: undefined,
        maxConnections: 1024,
        requestTimeout: Duration.seconds(30),
        generations: [1, 2],
        faults: false,
        traces: undefined,
        logFormat: "json",
        logLevel: "Info"
      })
    }))

  it.effect("takes several tokens and keys, and a free port", () =>
    Effect.gen(function*() {
      const settings = yield* read({
        API_TOKENS: "one, t:w=o",
        API_KEYS: "a@example.com:k1,b@example.com:k:2",
        API_PORT: "0",
        API_HOST: "::1"
      })
      assert.deepStrictEqual(settings.tokens.map(Redacted.value), ["one", "t:w=o"])
      assert.deepStrictEqual(
        settings.keys.map(({ email, key }) => [email, Redacted.value(key)]),
        [["a@example.com", "k1"], ["b@example.com", "k:2"]]
      )
      assert.strictEqual(settings.port, 0)
      assert.strictEqual(settings.host, "::1")
    }))

  it.effect("names every wrong setting at once, and exits with 2", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read({
        API_HOST: "no host",
        API_PORT: "65536",
        API_KEYS: "nobody",
        API_FAULTS: "yes",
        API_GENERATIONS: "2,3",
        LOG_FORMAT: "loud",
        LOG_LEVEL: "Warning"
      }))
      assert.strictEqual(error[Runtime.errorExitCode], 2)
      assert.deepStrictEqual(
        error.problems.map(({ setting }) => setting).toSorted(),
        ["API_FAULTS", "API_GENERATIONS", "API_HOST", "API_KEYS", "API_PORT", "LOG_FORMAT", "LOG_LEVEL"]
      )
      assert.include(error.message, "a whole number from 0 to 65535")
    }))

  it.effect.each<{ how: string; environment: Record<string, string> }>([
    { how: "unset", environment: {} },
    { how: "empty", environment: { API_TOKENS: "", API_KEYS: "" } }
  ])("asks for a credential where both are $how", ({ environment }) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read(environment))
      assert.deepStrictEqual(error.problems.map(({ setting }) => setting), ["API_TOKENS"])
    }))

  it.effect.each<{ what: string; environment: Record<string, string> }>([
    { what: "a token with a space", environment: { API_TOKENS: "s3cret token" } },
    { what: "an empty token", environment: { API_TOKENS: "s3cret,,other" } },
    { what: "a key without an address", environment: { API_KEYS: "s3cret" } },
    {
      what: "a database that is no PostgreSQL",
      environment: { API_TOKENS: "one", DATABASE_URL: "mysql://u:s3cret@h/d" }
    },
    { what: "an address without a key", environment: { API_KEYS: "s3cret@example.com:" } }
  ])("refuses $what without repeating it", ({ environment }) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read(environment))
      assert.lengthOf(error.problems, 1)
      assert.notInclude(error.message, "s3cret")
    }))

  it.effect("reads tokens' hashes with what they may do from a file", () =>
    Effect.gen(function*() {
      const file = yield* fileWith(JSON.stringify({
        tokens: [
          { sha256: "0".repeat(64), scopes: ["read", "audit"], zones: ["zone"] },
          { email: "a@example.com", sha256: "f".repeat(64), scopes: ["write"] }
        ]
      }))
      const { grants } = yield* read({ API_TOKENS_FILE: file })
      assert.deepStrictEqual<unknown>(grants, [
        { sha256: "0".repeat(64), scopes: ["read", "audit"], zones: ["zone"] },
        { email: "a@example.com", sha256: "f".repeat(64), scopes: ["write"] }
      ])
    }))

  it.effect.each<[string, string, string]>([
    ["is no JSON", "{", ""],
    ["has a token in clear", "{\"tokens\":[{\"token\":\"s3cret\",\"scopes\":[\"read\"]}]}", "tokens.0.sha256"],
    ["has a hash that is none", "{\"tokens\":[{\"sha256\":\"s3cret\",\"scopes\":[\"read\"]}]}", "tokens.0.sha256"],
    ["has an unknown scope", `{"tokens":[{"sha256":"${"0".repeat(64)}","scopes":["all"]}]}`, "tokens.0.scopes.0"],
    [
      "has an impossible zone",
      `{"tokens":[{"sha256":"${"0".repeat(64)}","scopes":["read"],"zones":["a.b"]}]}`,
      "tokens.0.zones.0"
    ]
  ])("says what is wrong with a file that %s, and repeats no secret", ([, json, place]) =>
    Effect.gen(function*() {
      const file = yield* fileWith(json)
      const { message, problems } = yield* Effect.flip(read({ API_TOKENS_FILE: file }))
      assert.lengthOf(problems, 1)
      for (const part of ["API_TOKENS_FILE", file, place]) assert.include(message, part)
      assert.notInclude(message, "s3cret")
    }))

  it.effect("takes secrets from files", () =>
    Effect.gen(function*() {
      const file = yield* fileWith("a@example.com:k1\n")
      const { keys } = yield* read({ API_KEYS_FILE: file })
      assert.deepStrictEqual(keys.map(({ email, key }) => [email, Redacted.value(key)]), [["a@example.com", "k1"]])
      const { problems } = yield* Effect.flip(read({ API_KEYS_FILE: file, DATABASE_URL_FILE: file }))
      assert.deepStrictEqual(problems.map(({ actual, setting }) => [setting, actual]), [
        ["DATABASE_URL_FILE", "(hidden)"]
      ])
    }))

  it.effect("says that there is no such file", () =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(read({ API_TOKENS_FILE: "/nowhere/tokens.json" }))
      assert.include(message, "/nowhere/tokens.json")
    }))

  it.effect("limits requests only where it is told how many", () =>
    Effect.gen(function*() {
      const { rateLimit } = yield* read({ API_TOKENS: "one", API_RATE_LIMIT: "1200", API_RATE_LIMIT_BLOCK: "1 minute" })
      assert.deepStrictEqual(rateLimit, { requests: 1200, window: Duration.minutes(5), block: Duration.minutes(1) })
    }))
})
