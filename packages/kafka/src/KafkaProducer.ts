import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { Context, Effect, Layer, Option, Ref, Semaphore } from "effect"
import type { Producer } from "kafkajs"
import { makeClient } from "./internal/KafkaClient.ts"
import { kafkaError } from "./internal/KafkaErrors.ts"
import { requestsOf, topicMessages } from "./internal/OutgoingRequests.ts"
import { Partitioners } from "./internal/PatchedKafkaJS.ts"
import type { KafkaError } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/** A record and the topic it goes to. */
export interface AddressedRecord {
  readonly topic: string
  readonly record: OutgoingRecord
}

/**
 * Writes records so that all replicas have them: one request at a time, idempotent, keys partitioned as Java clients do (murmur2).
 *
 * kafkajs loses records when requests of an idempotent producer overlap, and when another follows a failed one: hence one at a time, and a new
 * producer (with a new producer id) after every failure. After a failure some of the records may have been written.
 */
export class KafkaProducer extends Context.Service<KafkaProducer, {
  readonly send: (records: ReadonlyArray<AddressedRecord>) => Effect.Effect<void, KafkaError>
}>()("@origin-regions/kafka/KafkaProducer") {
  static readonly layer = (settings: KafkaSettings): Layer.Layer<KafkaProducer> =>
    Layer.effect(KafkaProducer, make(settings))
}

const make = Effect.fnUntraced(function*(settings: KafkaSettings) {
  const client = yield* makeClient(settings, "origin-regions-producer")
  const connected = yield* Ref.make(Option.none<Producer>())
  const oneAtATime = yield* Semaphore.make(1)

  const disconnect = Effect.flatMap(
    Ref.getAndSet(connected, Option.none()),
    (producer) =>
      Option.isNone(producer) ? Effect.void : Effect.ignore(Effect.tryPromise(() => producer.value.disconnect()))
  )

  const connect = Effect.flatMap(Ref.get(connected), (producer) => {
    if (Option.isSome(producer)) return Effect.succeed(producer.value)
    const fresh = client.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner
    })
    return Effect.as(
      Effect.andThen(
        Effect.tryPromise({ try: () => fresh.connect(), catch: (error) => kafkaError("connect to Kafka", error) }),
        Ref.set(connected, Option.some(fresh))
      ),
      fresh
    )
  })

  const sendRequest = (records: ReadonlyArray<AddressedRecord>) =>
    Effect.flatMap(connect, (producer) =>
      Effect.tryPromise({
        try: () => producer.sendBatch({ acks: -1, topicMessages: topicMessages(records) }),
        catch: (error) => kafkaError("write to Kafka", error)
      }))

  yield* Effect.addFinalizer(() => disconnect)
  return KafkaProducer.of({
    send: Effect.fn("KafkaProducer.send")(function*(records) {
      yield* Effect.forEach(requestsOf(records), sendRequest, { discard: true }).pipe(
        Effect.onError(() => disconnect),
        // A send that is given up half-way would leave a request in flight for the next one to overlap with.
        Effect.uninterruptible,
        oneAtATime.withPermit
      )
    })
  })
})
