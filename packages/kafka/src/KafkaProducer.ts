import type { WritableRecord } from "@origin-regions/domain/SourceRecord"
import { Context, Duration, Effect, Layer, RcRef, Semaphore } from "effect"
import { inOrder, makeClient } from "./internal/KafkaClient.ts"
import { kafkaError } from "./internal/KafkaErrors.ts"
import { countSent, measured } from "./internal/KafkaMetrics.ts"
import { requestsOf, topicMessages } from "./internal/OutgoingRequests.ts"
import { javaCompatible } from "./internal/Partitioner.ts"
import type { KafkaError } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/** A record and the topic it goes to. */
export interface AddressedRecord {
  readonly topic: string
  readonly record: WritableRecord
}

/**
 * Writes records so that all replicas have them: one request at a time, idempotent, keys partitioned as Java clients do (murmur2).
 *
 * kafkajs loses records when requests of an idempotent producer overlap, and when another follows a failed one: hence one at a time, and a new
 * producer (with a new producer id) after every failure or interruption. After one some of the records may have been written.
 */
export class KafkaProducer extends Context.Service<KafkaProducer, {
  readonly send: (records: ReadonlyArray<AddressedRecord>) => Effect.Effect<void, KafkaError>
}>()("@origin-regions/kafka/KafkaProducer") {
  static readonly layer = (settings: KafkaSettings): Layer.Layer<KafkaProducer> =>
    Layer.effect(KafkaProducer, make(settings))
}

const make = Effect.fnUntraced(function*(settings: KafkaSettings) {
  const oneAtATime = yield* Semaphore.make(1)

  /** With a client of its own: what a send that failed or was given up has left on its connections ends with them. */
  const connected = yield* RcRef.make({
    idleTimeToLive: Duration.infinity,
    acquire: Effect.gen(function*() {
      const client = yield* makeClient(settings, "origin-regions-producer")
      const producer = client.producer({
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
        createPartitioner: javaCompatible
      })
      yield* Effect.addFinalizer(() => inOrder(Effect.tryPromise(() => producer.disconnect())))
      yield* Effect.tryPromise({
        try: () => producer.connect(),
        catch: (error) => kafkaError("connect to Kafka", error)
      })
      return producer
    })
  })

  const sendRequest = (records: ReadonlyArray<AddressedRecord>) =>
    Effect.scoped(
      Effect.flatMap(RcRef.get(connected), (producer) =>
        Effect.tryPromise({
          try: () => producer.sendBatch({ acks: -1, topicMessages: topicMessages(records) }),
          catch: (error) => kafkaError("write to Kafka", error)
        })).pipe(Effect.onError(() => RcRef.invalidate(connected)))
    ).pipe((send) => measured("send", send), Effect.tap(() => countSent(records)))

  return KafkaProducer.of({
    send: Effect.fn("KafkaProducer.send")(function*(records) {
      yield* oneAtATime.withPermit(Effect.forEach(requestsOf(records), sendRequest, { discard: true }))
    })
  })
})
