import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { readFile } from "node:fs/promises"
import { Api } from "./Api.ts"
import * as Consumer from "./Consumer.ts"
import { until } from "./internal/fixtures/Facts.ts"
import { createTopic } from "./internal/fixtures/Topics.ts"
import { KafkaBroker } from "./KafkaBroker.ts"
import { Leash } from "./Leash.ts"
import { uniqueGroup, uniqueTopic } from "./Names.ts"

const settings = Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  const { baseUrl, token } = yield* Api
  const [requests, outcomes, deadLetters] = [yield* uniqueTopic, yield* uniqueTopic, yield* uniqueTopic]
  for (const topic of [requests, outcomes, deadLetters]) yield* createTopic(brokers[0] ?? "", topic)
  return {
    KAFKA_BROKERS: brokers.join(","),
    KAFKA_GROUP_ID: yield* uniqueGroup,
    REQUESTS_TOPIC: requests,
    OUTCOMES_TOPIC: outcomes,
    DEAD_LETTERS_TOPIC: deadLetters,
    CLOUDFLARE_BASE_URL: baseUrl,
    CLOUDFLARE_API_TOKEN: token,
    HTTP_PORT: "0"
  }
})

/** The state that the kernel shows for a process: T where it was stopped. */
const stateOf = (pid: number) =>
  Effect.promise(() => readFile(`/proc/${pid}/stat`, "utf8")).pipe(
    Effect.map((stat) => stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3))
  )

describe("Consumer", () => {
  layer(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))((it) => {
    it.effect("is the real consumer, ready for requests, and ends in order", () =>
      Effect.gen(function*() {
        const consumer = yield* Consumer.start(yield* settings)
        const address = yield* consumer.address
        assert.strictEqual((yield* Effect.promise(() => fetch(`${address}/health/ready`))).status, 200)
        assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
      }))

    it.effect.skipIf(process.platform !== "linux")("can be paused, resumed and killed", () =>
      Effect.gen(function*() {
        const consumer = yield* Consumer.start(yield* settings)
        const isStopped = Effect.map(stateOf(consumer.pid), (state) => state === "T")
        yield* consumer.pause
        yield* until(isStopped)
        yield* consumer.resume
        yield* until(Effect.map(isStopped, (stopped) => !stopped))
        assert.deepStrictEqual(yield* consumer.kill, { code: undefined, signal: "SIGKILL" })
      }))
  })

  it.effect("lets a refusal be read", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.spawn({})
      assert.deepStrictEqual(yield* consumer.exit, { code: 2, signal: undefined })
      const error = yield* Effect.flip(consumer.ready)
      assert.match(error.message, /^The consumer ended with exit code 2:\n.*KAFKA_BROKERS/su)
    }).pipe(Effect.provide(Leash.layer)))
})
