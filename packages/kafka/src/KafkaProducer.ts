import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { Context, Effect, Layer, Option, Ref, Semaphore } from "effect"
import type { IHeaders, Message, Producer } from "kafkajs"
import { makeClient } from "./internal/KafkaClient.ts"
import { kafkaError } from "./internal/KafkaErrors.ts"
import { Partitioners } from "./internal/PatchedKafkaJS.ts"
import type { KafkaError } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/** A record and the topic it goes to. */
export interface AddressedRecord {
  readonly topic: string
  readonly record: OutgoingRecord
}

/** What goes into one request, so that no partition's batch outgrows the default `max.message.bytes` (1 MiB). A larger record goes alone. */
const MAX_REQUEST_BYTES = 512 * 1024

/** A record's size on the wire, rounded up. */
const sizeOf = ({ record: { headers, key, value } }: AddressedRecord): number =>
  headers.reduce((size, header) => size + header.name.length + (header.value?.length ?? 0) + 10, 32) +
  (key?.length ?? 0) + (value?.length ?? 0)

/** Splits records, in their order, into requests of a bounded size. */
const requests = (records: ReadonlyArray<AddressedRecord>): ReadonlyArray<ReadonlyArray<AddressedRecord>> => {
  const batches: Array<Array<AddressedRecord>> = []
  let current: Array<AddressedRecord> = []
  let bytes = 0
  for (const record of records) {
    const size = sizeOf(record)
    if (current.length > 0 && bytes + size > MAX_REQUEST_BYTES) {
      batches.push(current)
      current = []
      bytes = 0
    }
    current.push(record)
    bytes += size
  }
  if (current.length > 0) batches.push(current)
  return batches
}

const buffer = (bytes: Uint8Array | null): Buffer | null => bytes === null ? null : Buffer.from(bytes)

const message = ({ headers, key, value }: OutgoingRecord): Message => ({
  key: buffer(key),
  value: buffer(value),
  // The patched record format takes the list.
  headers: headers as unknown as IHeaders,
  // Without a key a partition would be drawn anew for each retry, and the record could be written twice.
  ...(key === null ? { partition: 0 } : undefined)
})

const topicMessages = (records: ReadonlyArray<AddressedRecord>) =>
  [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
    topic,
    messages: ofTopic.map(({ record }) => message(record))
  }))

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
      yield* Effect.forEach(requests(records), sendRequest, { discard: true }).pipe(
        Effect.onError(() => disconnect),
        // A send that is given up half-way would leave a request in flight for the next one to overlap with.
        Effect.uninterruptible,
        oneAtATime.withPermit
      )
    })
  })
})
