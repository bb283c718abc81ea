import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import type { KafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Deferred, Effect, Layer, Stream } from "effect"
import { EmitterKafka, EmitterKafkaError } from "./EmitterKafka.ts"

const emitterKafkaError = (error: KafkaError) => new EmitterKafkaError({ detail: error.message })

const make = Effect.gen(function*() {
  const admin = yield* KafkaAdmin
  const producer = yield* KafkaProducer
  const reader = yield* KafkaTopicReader
  return EmitterKafka.of({
    send: (records) =>
      producer.send(records.map(({ headers, key, topic, value }) => ({
        topic,
        record: { key, value, headers: Object.entries(headers).map(([name, value]) => ({ name, value })) }
      }))).pipe(Effect.mapError(emitterKafkaError)),
    subscribe: Effect.fnUntraced(function*(topic, received) {
      const failed = yield* Deferred.make<never, EmitterKafkaError>()
      const from = yield* Effect.mapError(admin.endOffsets(topic), emitterKafkaError)
      yield* reader.read({ topic, from }).pipe(
        Stream.runForEach(({ headers, value }) =>
          Effect.sync(() => {
            received({ value, headers: Object.fromEntries(headers.map(({ name, value }) => [name, value])) })
          })
        ),
        Effect.mapError(emitterKafkaError),
        Effect.catchCause((cause) => Deferred.failCause(failed, cause)),
        Effect.forkScoped
      )
      return Deferred.await(failed)
    })
  })
})

/**
 * The Kafka client of `@origin-regions/kafka`: idempotent, its partitioner Java's, with kafkajs' defects fenced in; for a service that has no client yet. That package has
 * to be installed beside this one.
 */
export const layerOriginRegionsKafka = (settings: KafkaSettings): Layer.Layer<EmitterKafka> =>
  Layer.effect(EmitterKafka, make).pipe(
    Layer.provide([KafkaAdmin.layer(settings), KafkaProducer.layer(settings), KafkaTopicReader.layer(settings)])
  )
