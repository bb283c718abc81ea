import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueToken, uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { linesOf, says, until, whileRunning } from "./fixtures/RunningConsumer.ts"
import { forward, freePort, silentConnection, takenPort } from "./fixtures/TcpForwarder.ts"
import { createTopics, layerKafka, readTopics, settingsFor, uniqueTopicNames } from "./fixtures/TestTopics.ts"
import { codesOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Leash.layer))
)

/** Nothing at these addresses answers. */
const nowhere = { baseUrl: "http://127.0.0.1:1/client/v4", token: "a-token-of-forty-characters-0123456789ab" }

const waitsFor = (status: string) => ({
  status: 503,
  body: { status, partitions: [], explanation: [`not at work: ${status}`] }
})

const get = (consumer: ConsumerProcess.Consumer, path: string) =>
  Effect.flatMap(consumer.address, (origin) =>
    Effect.promise(async () => {
      const response = await fetch(`${origin}${path}`)
      const body: unknown = await response.json()
      return { status: response.status, body }
    }))

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("The consumer's start", (it) => {
  it.effect("waits for Kafka, its topics and the API, says what for, and then works", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const [kafkaPort, apiPort, token] = [yield* freePort, yield* freePort, yield* uniqueToken]
      const names = uniqueTopicNames()
      const baseUrl = `http://127.0.0.1:${apiPort}/client/v4`
      const consumer = yield* ConsumerProcess.spawn(settingsFor([`127.0.0.1:${kafkaPort}`], names, { baseUrl, token }))
      const ready = get(consumer, "/health/ready")

      yield* says(consumer, "Could not look up the topic")
      assert.deepStrictEqual(yield* ready, waitsFor("waiting for Kafka and its topics"))
      assert.strictEqual((yield* get(consumer, "/health/live")).status, 200)

      yield* forward(kafkaPort, brokers[0] ?? "")
      yield* says(consumer, `The topic ${names.requests} does not exist`)
      assert.deepStrictEqual(yield* ready, waitsFor("waiting for Kafka and its topics"))

      yield* createTopics(names)
      yield* says(consumer, "Could not reach the API")
      assert.deepStrictEqual(yield* ready, waitsFor(`waiting for the API at ${baseUrl}`))

      yield* Layer.build(Layer.fresh(Api.layerWith({ port: apiPort, token })))
      yield* says(consumer, `At work on ${names.requests}, partitions 0`)
      yield* consumer.ready
      assert.deepStrictEqual(yield* ready, {
        status: 200,
        body: { status: "at work", partitions: [0], explanation: [] }
      })
      const topics = yield* readTopics(names)
      yield* topics.emit(upserts(yield* uniqueZoneId, 5))
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 5))
      assert.deepStrictEqual(codesOf(outcomes), { upserted: 5 })
      assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })

      const messages = (yield* linesOf(consumer)).map((line) => JSON.parse(line)).filter(({ level }) =>
        level === "WARN"
      )
        .map(({ message }) => message)
        .filter((message): message is string => typeof message === "string")
      assert.deepStrictEqual([...new Set(messages)], [
        `Could not look up the topic ${names.requests}: Connection error: connect ECONNREFUSED 127.0.0.1:${kafkaPort}. Trying again in 2s`,
        `The topic ${names.requests} does not exist: create it, or set REQUESTS_TOPIC to one that does. Trying again in 2s`,
        `Could not reach the API at ${baseUrl}: connect ECONNREFUSED 127.0.0.1:${apiPort}. Trying again in 2s`
      ])
    }))

  it.effect("ends at once on a signal while it waits", () =>
    Effect.gen(function*() {
      const kafkaPort = yield* freePort
      const consumer = yield* ConsumerProcess.spawn(
        settingsFor([`127.0.0.1:${kafkaPort}`], uniqueTopicNames(), nowhere)
      )
      yield* until(get(consumer, "/health/ready"), ({ status }) => status === 503)
      const start = performance.now()
      assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
      assert.isBelow(performance.now() - start, 10_000)
    }))

  it.effect("is refused with one message about all settings that are wrong", () =>
    Effect.gen(function*() {
      const consumer = yield* ConsumerProcess.spawn({
        KAFKA_BROKERS: "nowhere",
        CLOUDFLARE_API_TOKEN: "a token with spaces",
        CONCURRENCY: "-1",
        LOG_LEVEL: "loud"
      })
      assert.deepStrictEqual(yield* consumer.exit, { code: 2, signal: undefined })
      assert.deepStrictEqual(yield* linesOf(consumer), [
        "4 settings are wrong:",
        "  CONCURRENCY is \"-1\": expected a whole number from 1 to 4096",
        "  LOG_LEVEL is \"loud\": expected one of Trace, Debug, Info, Warn, Error, Fatal",
        "  KAFKA_BROKERS is \"nowhere\": expected a list of host:port, for example 127.0.0.1:9092",
        "  CLOUDFLARE_API_TOKEN is \"(hidden)\": expected an API token, without spaces and control characters"
      ])
    }))

  it.effect("reads a file of settings, and is refused where that is not one", () =>
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "consumer-start-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const file = join(directory, "consumer.env")
      writeFileSync(file, "KAFKA_BROKERS=127.0.0.1:1\nCLOUDFLARE_API_TOKEN=token\nCONCURRENCY=-1\nLOG_LEVEL=loud\n")
      const consumer = yield* ConsumerProcess.spawn({ ENV_FILE: file, LOG_LEVEL: "Debug" })
      assert.deepStrictEqual(yield* consumer.exit, { code: 2, signal: undefined })
      assert.deepStrictEqual(yield* linesOf(consumer), [
        "A setting is wrong:",
        "  CONCURRENCY is \"-1\": expected a whole number from 1 to 4096"
      ])

      writeFileSync(file, "KAFKA_BROKERS: 127.0.0.1:1\n")
      const refused = yield* ConsumerProcess.spawn({ ENV_FILE: file })
      assert.deepStrictEqual(yield* refused.exit, { code: 2, signal: undefined })
      assert.deepStrictEqual(yield* linesOf(refused), [
        "A setting is wrong:",
        `  ENV_FILE is "${file}": expected a file of NAME=value lines, but line 1 is not like that`
      ])
    }))

  it.effect("is refused with a sentence where its port is taken", () =>
    Effect.gen(function*() {
      const port = yield* takenPort
      const { brokers } = yield* KafkaBroker
      const consumer = yield* ConsumerProcess.spawn({
        ...settingsFor(brokers, uniqueTopicNames(), nowhere),
        HTTP_PORT: String(port)
      })
      assert.deepStrictEqual(yield* consumer.exit, { code: 1, signal: undefined })
      const address = `127.0.0.1:${port}`
      assert.deepStrictEqual(yield* linesOf(consumer), [
        `Can't listen on port ${port} of 127.0.0.1 (listen EADDRINUSE: address already in use ${address}): set HTTP_PORT to a free port, or 0 for any, and HTTP_HOST to an address of this machine.`
      ])
    }))

  it.effect("shows others its health alone, and the rest to whoever has the token", () =>
    Effect.gen(function*() {
      const environment = settingsFor([`127.0.0.1:${yield* freePort}`], uniqueTopicNames(), nowhere)
      const refused = yield* ConsumerProcess.spawn({ ...environment, HTTP_HOST: "0.0.0.0" })
      assert.deepStrictEqual(yield* refused.exit, { code: 2, signal: undefined })
      assert.deepStrictEqual(yield* linesOf(refused), [
        "A setting is wrong:",
        "  HTTP_TOKEN is not set: expected a bearer token for /status and /metrics, as others can reach them where HTTP_HOST is 0.0.0.0"
      ])

      const consumer = yield* ConsumerProcess.spawn({ ...environment, HTTP_HOST: "0.0.0.0", HTTP_TOKEN: "t0ken" })
      const origin = (yield* consumer.address).replace("0.0.0.0", "127.0.0.1")
      const statusOf = (path: string, authorization?: string) =>
        Effect.promise(async () => {
          const response = await fetch(`${origin}${path}`, {
            headers: authorization === undefined ? {} : { authorization }
          })
          await response.text()
          return [response.status, response.headers.get("www-authenticate")]
        })
      const guarded = ["/status", "/metrics", "/events", "/outcomes", "/requests?id=1"]
      for (const path of [...guarded, "/health", "/health/", "/health/../metrics", "/../status", "/nothing"]) {
        for (const authorization of [undefined, "Bearer", "Bearer t0ke", "Bearer t0ken0", "Basic t0ken", "t0ken"]) {
          assert.deepStrictEqual(yield* statusOf(path, authorization), [401, "Bearer"], `${path} ${authorization}`)
        }
      }
      for (const path of ["/status", "/metrics"]) {
        assert.deepStrictEqual(yield* statusOf(path, "Bearer t0ken"), [200, null])
        assert.deepStrictEqual(yield* statusOf(path, "bearer t0ken"), [200, null])
      }
      assert.deepStrictEqual(yield* statusOf("/nothing", "Bearer t0ken"), [404, null])
      assert.deepStrictEqual(yield* statusOf("/health/live"), [200, null])
      assert.deepStrictEqual(yield* statusOf("/health/ready"), [503, null])
      const { body } = yield* get(consumer, "/health/ready")
      assert.deepStrictEqual(body, { status: "waiting for Kafka and its topics", partitions: [] })
    }))

  it.effect("asks for the token on loopback, too, where there is one, and for none where there is not", () =>
    Effect.gen(function*() {
      const environment = settingsFor([`127.0.0.1:${yield* freePort}`], uniqueTopicNames(), nowhere)
      for (const [token, status] of [[{ HTTP_TOKEN: "t0ken" }, 401], [{}, 200]] as const) {
        const consumer = yield* ConsumerProcess.spawn({ ...environment, ...token })
        const origin = yield* consumer.address
        assert.strictEqual((yield* Effect.promise(() => fetch(`${origin}/metrics`))).status, status)
      }
    }))

  it.effect("is not kept from its end by whoever is connected", () =>
    Effect.gen(function*() {
      const kafkaPort = yield* freePort
      const consumer = yield* ConsumerProcess.spawn(
        settingsFor([`127.0.0.1:${kafkaPort}`], uniqueTopicNames(), nowhere)
      )
      const { port } = new URL(yield* consumer.address)
      yield* silentConnection(Number(port))
      const start = performance.now()
      assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
      assert.isBelow(performance.now() - start, 5000)
    }))
})
