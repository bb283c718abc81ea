import { assert, layer } from "@effect/vitest"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueTopic } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer, Result, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { Emitter } from "./Emitter.ts"
import { drafts, outcomeOf, PARTITIONS, placeOf, places } from "./fixtures/StandIn.ts"
import { layerOriginRegionsKafka } from "./OriginRegionsKafka.ts"

const Kafka = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => {
  const settings = Result.getOrThrow(readKafkaSettings({ KAFKA_BROKERS: brokers.join(",") }))
  return Layer.mergeAll(
    layerOriginRegionsKafka(settings),
    KafkaAdmin.layer(settings),
    KafkaProducer.layer(settings),
    KafkaTopicReader.layer(settings)
  )
})).pipe(Layer.provide(KafkaBroker.layer))

const newTopic = Effect.gen(function*() {
  const topic = yield* uniqueTopic
  yield* KafkaAdmin.use(({ createTopics }) => createTopics([{ topic, partitions: PARTITIONS }]))
  return topic
})

layer(Kafka, { excludeTestServices: true, timeout: "2 minutes" })("An emitter by the package kafka", (it) => {
  it.effect("has the outcomes of all that it asks for, from where Java's clients would have sent to", () =>
    Effect.gen(function*() {
      const [requestsTopic, outcomesTopic] = [yield* newTopic, yield* newTopic]
      const { send } = yield* KafkaProducer
      yield* KafkaTopicReader.use((reader) =>
        reader.read({ topic: requestsTopic, from: "beginning" }).pipe(
          Stream.runForEach((record) => send([{ topic: outcomesTopic, record: outcomeOf(record) }])),
          Effect.forkScoped
        )
      )
      const emitter = yield* Layer.build(Emitter.layerNoDeps({ source: "/test", requestsTopic, outcomesTopic })).pipe(
        Effect.map(Context.get(Emitter)),
        Effect.provide(SecureRandom.layerWebCrypto)
      )
      const outcomes = yield* Effect.forEach(drafts, (draft) => emitter.request(draft), { concurrency: "unbounded" })
      assert.deepStrictEqual<unknown>(outcomes.map(placeOf), places)
    }))
})
