import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer, Redacted, Result } from "effect"
import { inspect } from "node:util"
import { ApiSettings, readApiSettings } from "./ApiSettings.ts"

const token = { CLOUDFLARE_API_TOKEN: "a-token-of-forty-characters-0123456789ab" }

const succeed = (environment: Record<string, string>) => Result.getOrThrow(readApiSettings(environment))

const problemsOf = (environment: Record<string, string>) => {
  const settings = readApiSettings(environment)
  return Result.isFailure(settings) ? settings.failure : []
}

describe("readApiSettings", () => {
  it("has a default for everything but the credential", () => {
    const settings = succeed(token)
    assert.strictEqual(settings.baseUrl.href, "https://api.cloudflare.com/client/v4")
    assert.strictEqual(Duration.toMillis(settings.timeout), 10_000)
    assert.strictEqual(settings.connections, 64)
    assert.strictEqual(settings.generation, "auto")
    assert.deepStrictEqual(problemsOf({}).map(({ setting }) => setting), ["CLOUDFLARE_API_TOKEN"])
  })

  it("reads a token, or an e-mail address with a key, and prints neither secret", () => {
    const byToken = succeed(token).credential
    assert.strictEqual(byToken._tag === "Token" && Redacted.value(byToken.token), token.CLOUDFLARE_API_TOKEN)
    const byKey = succeed({ CLOUDFLARE_EMAIL: "ops@example.com", CLOUDFLARE_API_KEY: "a-key" }).credential
    assert.strictEqual(byKey._tag === "Key" && `${byKey.email} ${Redacted.value(byKey.key)}`, "ops@example.com a-key")
    assert.notInclude(JSON.stringify([byToken, byKey]), token.CLOUDFLARE_API_TOKEN)
    assert.notInclude(JSON.stringify([byToken, byKey]), "a-key")
  })

  it("takes Cloudflare's published quota where it calls Cloudflare, and what is told elsewhere, unless it is set", () => {
    const elsewhere = { ...token, CLOUDFLARE_BASE_URL: "http://127.0.0.1:8787/client/v4" }
    assert.deepStrictEqual(succeed(token).quota, { calls: 1_200, share: 0.9 })
    assert.isUndefined(succeed({ ...token, API_QUOTA: "none" }).quota)
    assert.deepStrictEqual(succeed(elsewhere).quota, { calls: undefined, share: 0.9 })
    assert.deepStrictEqual(succeed({ ...elsewhere, API_QUOTA: "60", API_QUOTA_SHARE: "100" }).quota, {
      calls: 60,
      share: 1
    })
    for (const quota of ["0", "-1", "1.5", "1000000001", "many"]) {
      assert.deepStrictEqual(problemsOf({ ...token, API_QUOTA: quota }).map(({ setting }) => setting), ["API_QUOTA"])
    }
    assert.deepStrictEqual(problemsOf({ ...token, API_QUOTA_SHARE: "0" }).map(({ setting }) => setting), [
      "API_QUOTA_SHARE"
    ])
  })

  it("reads where the quota is pooled, and never shows it", () => {
    for (const url of ["redis://:s3cret@redis:6379/2", "rediss://user:s3cret@[::1]", "redis://redis"]) {
      const { quota } = succeed({ ...token, REDIS_URL: url })
      assert.strictEqual(Redacted.value(quota?.redis ?? Redacted.make("")), url)
      assert.notInclude(inspect(quota), url)
      assert.isUndefined(succeed({ ...token, API_QUOTA: "none", REDIS_URL: url }).quota)
    }
    for (const url of ["redis:6379", "http://:s3cret@redis", "redis://", "redis://redis/name", "s3cret"]) {
      const problems = problemsOf({ ...token, REDIS_URL: url })
      assert.deepStrictEqual(problems.map(({ actual, setting }) => ({ actual, setting })), [
        { actual: "(hidden)", setting: "REDIS_URL" }
      ])
      assert.notInclude(JSON.stringify(problems), "s3cret")
    }
  })

  it("reads another base URL and timeout", () => {
    const settings = succeed({
      ...token,
      CLOUDFLARE_BASE_URL: "http://127.0.0.1:8787/client/v4/",
      API_GENERATION: "1",
      API_TIMEOUT: "250 millis"
    })
    assert.strictEqual(settings.generation, 1)
    assert.strictEqual(succeed({ ...token, API_GENERATION: "2" }).generation, 2)
    assert.strictEqual(settings.baseUrl.href, "http://127.0.0.1:8787/client/v4/")
    assert.strictEqual(Duration.toMillis(settings.timeout), 250)
  })

  it.each([
    { name: "no credential", environment: {}, settings: ["CLOUDFLARE_API_TOKEN"] },
    { name: "an empty token", environment: { CLOUDFLARE_API_TOKEN: "" }, settings: ["CLOUDFLARE_API_TOKEN"] },
    {
      name: "both kinds of credential",
      environment: { ...token, CLOUDFLARE_EMAIL: "ops@example.com", CLOUDFLARE_API_KEY: "s3cret" },
      settings: ["CLOUDFLARE_API_TOKEN"]
    },
    {
      name: "an e-mail address without a key",
      environment: { CLOUDFLARE_EMAIL: "ops@example.com" },
      settings: ["CLOUDFLARE_API_KEY"]
    },
    {
      name: "a key without an e-mail address",
      environment: { CLOUDFLARE_API_KEY: "s3cret" },
      settings: ["CLOUDFLARE_EMAIL"]
    },
    {
      name: "an e-mail address that is none",
      environment: { CLOUDFLARE_EMAIL: "ops", CLOUDFLARE_API_KEY: "s3cret" },
      settings: ["CLOUDFLARE_EMAIL"]
    },
    {
      name: "a token with a line end in it",
      environment: { CLOUDFLARE_API_TOKEN: "s3cret\r\nx-evil: 1" },
      settings: ["CLOUDFLARE_API_TOKEN"]
    },
    { name: "no URL", environment: { ...token, CLOUDFLARE_BASE_URL: "localhost" }, settings: ["CLOUDFLARE_BASE_URL"] },
    {
      name: "another scheme",
      environment: { ...token, CLOUDFLARE_BASE_URL: "ftp://example.com" },
      settings: ["CLOUDFLARE_BASE_URL"]
    },
    {
      name: "a password in the URL",
      environment: { ...token, CLOUDFLARE_BASE_URL: "http://me:s3cret@example.com" },
      settings: ["CLOUDFLARE_BASE_URL"]
    },
    {
      name: "a query in the URL",
      environment: { ...token, CLOUDFLARE_BASE_URL: "http://example.com?key=s3cret" },
      settings: ["CLOUDFLARE_BASE_URL"]
    },
    { name: "a generation that is none", environment: { ...token, API_GENERATION: "3" }, settings: ["API_GENERATION"] },
    ...["10", "soon", "0 seconds", "-1 seconds", "Infinity", "11 minutes", "1 nano"].map((timeout) => ({
      name: `a timeout of ${timeout}`,
      environment: { ...token, API_TIMEOUT: timeout },
      settings: ["API_TIMEOUT"]
    })),
    {
      name: "everything at once",
      environment: { CLOUDFLARE_API_KEY: "s3 cret", CLOUDFLARE_BASE_URL: "nowhere", API_TIMEOUT: "soon" },
      settings: ["CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CLOUDFLARE_BASE_URL", "API_TIMEOUT"]
    }
  ])("tells $name", ({ environment, settings }) => {
    const problems = problemsOf(environment)
    assert.deepStrictEqual(problems.map(({ setting }) => setting), settings)
    assert.notInclude(JSON.stringify(problems), "s3cret")
  })
})

const settingsFrom = (environment: Record<string, string>) =>
  Effect.provide(
    ApiSettings,
    ApiSettings.layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))))
  )

describe("ApiSettings.layer", () => {
  it.effect("reads the configuration", () =>
    Effect.gen(function*() {
      const settings = yield* settingsFrom({ ...token, CLOUDFLARE_EMAIL: "", API_TIMEOUT: "2 seconds" })
      assert.strictEqual(settings.credential._tag, "Token")
      assert.strictEqual(Duration.toMillis(settings.timeout), 2_000)
    }))

  it.effect("fails with every problem in one message", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(settingsFrom({ CLOUDFLARE_BASE_URL: "nowhere", API_TIMEOUT: "soon" }))
      assert.strictEqual(
        error.message,
        [
          "3 settings are wrong:",
          "  CLOUDFLARE_API_TOKEN is not set: expected an API token, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY instead",
          "  CLOUDFLARE_BASE_URL is \"nowhere\": expected an http:// or https:// address",
          "  API_TIMEOUT is \"soon\": expected a duration such as \"10 seconds\" or \"500 millis\""
        ].join("\n")
      )
    }))
})
