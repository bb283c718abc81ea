import { assert, describe, layer } from "@effect/vitest"
import { isJavaMissing, layerGuarded, PASSWORD, settingsOf } from "@origin-regions/kafka/fixtures/GuardedBroker"
import { allow, CLUSTER } from "@origin-regions/kafka/fixtures/KafkaAcls"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { Api } from "@origin-regions/testkit/Api"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Effect, Layer, Result } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { devNull, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Finding } from "./ConfigReport.ts"

const program = fileURLToPath(new URL("main.ts", import.meta.url))

const Surroundings = Layer.unwrap(
  Effect.map(
    KafkaBroker,
    ({ brokers }) => KafkaAdmin.layer(Result.getOrThrow(readKafkaSettings({ KAFKA_BROKERS: brokers.join(",") })))
  )
).pipe(Layer.provideMerge(Layer.merge(KafkaBroker.layer, Api.layerWith({ environment: { API_GENERATIONS: "1,2" } }))))

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const run = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
  Effect.callback<Ran>((resume) => {
    const child = execFile(process.execPath, [program, "config", "check", ...args], {
      env: { PATH: process.env["PATH"], ENV_FILE: devNull, ...environment }
    }, (_, stdout, stderr) => {
      resume(Effect.succeed({ code: child.exitCode ?? -1, stdout, stderr }))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const working = Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  const { baseUrl, token } = yield* Api
  const { createTopics } = yield* KafkaAdmin
  const [requests, outcomes, deadLetters] = [yield* uniqueTopic, yield* uniqueTopic, yield* uniqueTopic]
  yield* createTopics([requests, outcomes, deadLetters].map((topic, index) => ({ topic, partitions: index + 1 })))
  return {
    KAFKA_BROKERS: brokers.join(","),
    KAFKA_GROUP_ID: yield* uniqueGroup,
    REQUESTS_TOPIC: requests,
    OUTCOMES_TOPIC: outcomes,
    DEAD_LETTERS_TOPIC: deadLetters,
    CLOUDFLARE_BASE_URL: baseUrl,
    CLOUDFLARE_API_TOKEN: token
  }
})

const findingsOf = ({ stdout }: Ran): ReadonlyArray<Finding> => JSON.parse(stdout).checks

const detailsOf = (findings: ReadonlyArray<Finding>, result: Finding["result"]) =>
  Object.fromEntries(
    findings.filter((finding) => finding.result === result).map(({ check, detail }) => [check, detail])
  )

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions config check", (it) => {
  it.effect("finds that a consumer with these settings can work", () =>
    Effect.gen(function*() {
      const environment = yield* working
      const ran = yield* run(environment, "--json")
      assert.deepStrictEqual([ran.code, ran.stderr], [0, ""])
      const group = environment.KAFKA_GROUP_ID
      const ok = detailsOf(findingsOf(ran), "ok")
      const ofBrokers = Object.keys(ok).filter((check) => /^(bootstrap )?broker /.test(check))
      assert.isAtLeast(ofBrokers.length, 2)
      for (const check of ofBrokers) delete ok[check]
      assert.deepStrictEqual(ok, {
        [`topic ${environment.REQUESTS_TOPIC}`]: "1 partition, Read is allowed",
        [`fetching from ${environment.REQUESTS_TOPIC}`]: "every partition's leader answers",
        [`topic ${environment.OUTCOMES_TOPIC}`]: "2 partitions, Write and Read are allowed",
        [`topic ${environment.DEAD_LETTERS_TOPIC}`]: "3 partitions, Write is allowed",
        [`group ${group}`]: "its coordinator answers, Read is allowed",
        "transactions": `their coordinator answers, ids that begin with ${group}- are allowed`,
        "transactions that a broker forgets": "what ends them is allowed",
        [`API at ${environment.CLOUDFLARE_BASE_URL}`]: "answers",
        "API credential": "may read, and generation 2 answered",
        "allow rules": "none: every source may change every zone"
      })
      assert.deepStrictEqual(Object.keys(detailsOf(findingsOf(ran), "unknown")), [
        "writing to topics",
        "writing to the API"
      ])

      const table = yield* run(environment)
      assert.deepStrictEqual([table.code, table.stderr], [0, ""])
      assert.match(table.stdout, /^setting +value +from\n─+\nKAFKA_BROKERS +\S+ +environment\n/)
      assert.match(table.stdout, /^CLOUDFLARE_API_TOKEN +\(hidden\) +environment$/m)
      assert.match(table.stdout, /^✓ {2}API credential +may read/m)
      for (const { stdout } of [ran, table]) assert.notInclude(stdout, environment.CLOUDFLARE_API_TOKEN)
    }))

  it.effect("tells all that is wrong at once, with what to do, and exits with 1", () =>
    Effect.gen(function*() {
      const environment = yield* working
      const wrong = {
        ...environment,
        KAFKA_BROKERS: `${environment.KAFKA_BROKERS},127.0.0.1:1`,
        OUTCOMES_TOPIC: "not-there",
        CLOUDFLARE_API_TOKEN: "a-token-that-nobody-knows"
      }
      const ran = yield* run(wrong, "--json")
      const findings = findingsOf(ran)
      assert.deepStrictEqual([ran.code, ran.stderr], [1, `3 of ${findings.length} checks failed.\n`])
      const failed = detailsOf(findings, "failed")
      assert.deepStrictEqual(Object.keys(failed), ["bootstrap broker 127.0.0.1:1", "topic not-there", "API credential"])
      assert.include(failed["bootstrap broker 127.0.0.1:1"], "Could not connect to 127.0.0.1:1: ")
      assert.match(failed["topic not-there"] ?? "", /^Could not look up the topic not-there: .*set OUTCOMES_TOPIC/)
      assert.match(failed["API credential"] ?? "", /^refused: .* \(code 10000\)\. Set CLOUDFLARE_API_TOKEN/)
    }))

  it.effect("does not look further where nothing answers", () =>
    Effect.gen(function*() {
      const environment = yield* working
      const nowhere = { KAFKA_BROKERS: "127.0.0.1:1", CLOUDFLARE_BASE_URL: "http://127.0.0.1:1/client/v4" }
      const ran = yield* run({ ...environment, ...nowhere }, "--json")
      assert.strictEqual(ran.code, 1)
      assert.deepStrictEqual(findingsOf(ran).map(({ check, result }) => [check, result]), [
        ["bootstrap broker 127.0.0.1:1", "failed"],
        ["topics, group, transactions", "unknown"],
        ["API at http://127.0.0.1:1/client/v4", "failed"],
        ["API credential", "unknown"],
        ["allow rules", "ok"]
      ])
    }))

  it.effect("speaks the generation that is set", () =>
    Effect.gen(function*() {
      const ran = yield* run({ ...(yield* working), API_GENERATION: "1", DELIVERY: "at-least-once" }, "--json")
      const ok = detailsOf(findingsOf(ran), "ok")
      assert.strictEqual(ok["API credential"], "may read, and generation 1 answered")
      assert.notProperty(ok, "transactions")
    }))

  it.effect("reads the allow rules, and checks nothing where they are wrong", () =>
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "config-check-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const rules = join(directory, "allow.json")
      const environment = { ...(yield* working), ALLOW_RULES_FILE: rules }
      writeFileSync(rules, JSON.stringify({ allow: [{ source: "/shop", zones: ["*"] }] }))
      const ran = yield* run(environment, "--json")
      assert.strictEqual(ran.code, 0)
      assert.strictEqual(
        detailsOf(findingsOf(ran), "ok")["allow rules"],
        "1 of them: what none of them names is refused"
      )
      writeFileSync(rules, JSON.stringify({ allow: [{ source: "/shop", zones: ["a/b"] }] }))
      const wrong = yield* run(environment)
      assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
      assert.include(wrong.stderr, `ALLOW_RULES_FILE is "${rules} (allow.0.zones.0: must be a zone's identifier`)
    }))

  it.effect("checks nothing where settings are wrong, says so for all of them, and exits with 2", () =>
    Effect.gen(function*() {
      const environment = { KAFKA_BROKERS: "nowhere", CLOUDFLARE_API_TOKEN: "two words", HTTP_HOST: "0.0.0.0" }
      const ran = yield* run(environment, "--json")
      assert.strictEqual(ran.code, 2)
      const { ok, problems }: { readonly ok: boolean; readonly problems: ReadonlyArray<{ readonly setting: string }> } =
        JSON.parse(ran.stdout)
      assert.isFalse(ok)
      assert.deepStrictEqual(problems.map(({ setting }) => setting), [
        "HTTP_TOKEN",
        "KAFKA_BROKERS",
        "CLOUDFLARE_API_TOKEN"
      ])
      assert.match(ran.stderr, /^3 settings are wrong:\n/)
      const person = yield* run(environment)
      assert.deepStrictEqual(person, { code: 2, stdout: "", stderr: ran.stderr })
      assert.notInclude(JSON.stringify(ran), "two words")
      assert.strictEqual((yield* run(yield* working, "--zone", "no zone")).code, 2)
    }))
})

const Guarded = Layer.unwrap(Effect.map(settingsOf("admin"), KafkaAdmin.layer)).pipe(
  Layer.provideMerge(Layer.merge(layerGuarded("unless named"), Api.layer))
)

describe.skipIf(isJavaMissing)("origin-regions config check, on a broker with an authorizer,", () => {
  layer(Guarded, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    it.effect("warns of what is not allowed that is needed rarely", () =>
      Effect.gen(function*() {
        const environment = {
          ...(yield* working),
          KAFKA_SASL_MECHANISM: "PLAIN",
          KAFKA_SASL_USERNAME: "alice",
          KAFKA_SASL_PASSWORD: PASSWORD
        }
        const owner = yield* settingsOf("admin")
        yield* allow(owner, { resource: "cluster", name: CLUSTER, operation: "Alter", principal: "User:bob" })
        const ran = yield* run(environment)
        assert.deepStrictEqual([ran.code, ran.stderr], [0, ""])
        assert.match(
          ran.stdout,
          /^! {2}transactions that a broker forgets +the consumer could not end one .* needs ACLs for Alter on the cluster$/m
        )
      }))
  })
})
