import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { Api } from "@origin-regions/testkit/Api"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer, Result, Scope } from "effect"
import { createTopics } from "../start/LocalBroker.ts"
import { readStartSettings } from "../start/StartSettings.ts"

/** What a page writes, and what it is here. */
export type Substitution = readonly [written: string, real: string]

/** Something that runs here, as a page's commands are told of it. */
export interface StartedHere {
  readonly environment: Readonly<Record<string, string>>
  readonly substitutions: ReadonlyArray<Substitution>
}

/** The shared broker, with topics and a group that nobody else has and that are not there yet. */
export const snippetKafka = Effect.gen(function*() {
  const [broker = ""] = (yield* KafkaBroker).brokers
  const requests = yield* uniqueTopic
  const outcomes = yield* uniqueTopic
  const deadLetters = yield* uniqueTopic
  const group = yield* uniqueGroup
  const kafka: StartedHere = {
    environment: {
      KAFKA_BROKERS: broker,
      REQUESTS_TOPIC: requests,
      OUTCOMES_TOPIC: outcomes,
      DEAD_LETTERS_TOPIC: deadLetters,
      KAFKA_GROUP_ID: group
    },
    substitutions: [
      ["127.0.0.1:9092", broker],
      ["kafka.example.com:9092", broker],
      ["origin-regions.requests", requests],
      ["origin-regions.outcomes", outcomes],
      ["origin-regions.dead-letters", deadLetters],
      ["group origin-regions", `group ${group}`],
      ["begin with origin-regions-", `begin with ${group}-`]
    ]
  }
  return kafka
})

const start = Effect.gen(function*() {
  const kafka = yield* snippetKafka
  yield* Effect.flatMap(readStartSettings(kafka.environment), ({ consumer }) => createTopics(consumer)).pipe(
    Effect.provide(KafkaAdmin.layer(Result.getOrThrow(readKafkaSettings(kafka.environment))))
  )
  const api = Context.get(yield* Layer.build(Api.layerWith({ environment: { API_FAULTS: "true" } })), Api)
  const environment = { ...kafka.environment, CLOUDFLARE_BASE_URL: api.baseUrl, CLOUDFLARE_API_TOKEN: api.token }
  const consumer = yield* Consumer.start({ ...environment, KAFKA_SESSION_TIMEOUT: "10 seconds", HTTP_PORT: "0" })
  const system: StartedHere = {
    environment,
    substitutions: [
      ...kafka.substitutions,
      ["127.0.0.1:8787", new URL(api.baseUrl).host],
      ["127.0.0.1:8788", new URL(yield* consumer.address).host],
      ["your-token", api.token]
    ]
  }
  return system
})

/** Kafka with its topics, the API and the consumer, as `npm start` has them, for all pages that don't start their own; when the first of them needs it. */
export class SnippetSystem extends Context.Service<SnippetSystem, {
  readonly started: Effect.Effect<StartedHere, Effect.Error<typeof start>>
}>()("@origin-regions/scripts/documents/SnippetSystem") {
  static readonly layer = Layer.effect(
    SnippetSystem,
    Effect.gen(function*() {
      const context = yield* Effect.context<Exclude<Effect.Services<typeof start>, Scope.Scope>>()
      const scope = yield* Effect.scope
      const started = yield* Effect.cached(
        start.pipe(Effect.provideService(Scope.Scope, scope), Effect.provideContext(context))
      )
      return { started }
    })
  )
}
