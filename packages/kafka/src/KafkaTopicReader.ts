import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { Cause, Context, Effect, Layer, Queue, Random, Stream } from "effect"
import type { EachBatchPayload } from "kafkajs"
import { inOrder, makeClient } from "./internal/KafkaClient.ts"
import { kafkaError } from "./internal/KafkaErrors.ts"
import { sourceRecord } from "./internal/SourceRecords.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import type { KafkaError } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/** Where to begin: at the first record that is there, after the last one that is there now, or at an offset for each partition. */
export type ReadFrom = "beginning" | "end" | ReadonlyMap<number, number>

/** Reads a topic outside of any lasting group, as `read_committed`: for watching and for tests. Leaves nothing behind. */
export class KafkaTopicReader extends Context.Service<KafkaTopicReader, {
  /** All partitions, each in its order, without end. */
  readonly read: (
    options: { readonly topic: string; readonly from: ReadFrom }
  ) => Stream.Stream<SourceRecord, KafkaError>
}>()("@origin-regions/kafka/KafkaTopicReader") {
  static readonly layer = (settings: KafkaSettings): Layer.Layer<KafkaTopicReader> =>
    Layer.effect(KafkaTopicReader, make(settings)).pipe(Layer.provide(KafkaAdmin.layer(settings)))
}

const BUFFERED_RECORDS = 1024

const make = Effect.fnUntraced(function*(settings: KafkaSettings) {
  const admin = yield* KafkaAdmin
  const random = yield* Random.Random

  const offsetsFrom = (topic: string, from: ReadFrom) =>
    from === "beginning"
      ? admin.beginningOffsets(topic)
      : from === "end"
      ? admin.endOffsets(topic)
      : Effect.succeed(from)

  const read = ({ from, topic }: { readonly topic: string; readonly from: ReadFrom }) =>
    Stream.callback<SourceRecord, KafkaError>((queue) =>
      Effect.gen(function*() {
        const operation = `read the topic ${topic}`
        const client = yield* makeClient(settings, "origin-regions-reader")
        const groupId = `origin-regions-reader${random.nextIntUnsafe()}${random.nextIntUnsafe()}`
        /** The next offset to read, by partition. */
        const next = new Map(yield* offsetsFrom(topic, from))
        const offer = Effect.runPromiseWith(yield* Effect.context<never>())
        let ended = false
        let firstJoin: Promise<void> = Promise.resolve()
        const consumer = client.consumer({
          groupId,
          maxWaitTimeInMs: 100,
          metadataMaxAge: 60_000,
          allowAutoTopicCreation: false,
          retry: { retries: 30, maxRetryTime: 5_000, restartOnFailure: async () => !ended }
        })

        const eachBatch = async ({ batch, heartbeat, isRunning, resolveOffset }: EachBatchPayload) => {
          for (const message of batch.messages) {
            if (!isRunning()) return
            const offset = Number(message.offset)
            if (offset < (next.get(batch.partition) ?? 0)) continue
            // A slow reader can keep us here until the group has forgotten us: we then join again, and go on after this.
            if (!(await offer(Queue.offer(queue, sourceRecord(topic, batch.partition, message))))) return
            next.set(batch.partition, offset + 1)
            await heartbeat()
          }
          resolveOffset(batch.lastOffset())
        }

        // Nothing is committed: every join would begin at the first record.
        consumer.on("consumer.group_join", () => {
          for (const [partition, offset] of next) consumer.seek({ topic, partition, offset: String(offset) })
        })
        consumer.on("consumer.crash", ({ payload }) => {
          if (!payload.restart) Queue.failCauseUnsafe(queue, Cause.fail(kafkaError(operation, payload.error)))
        })
        yield* Effect.addFinalizer(() =>
          Effect.gen(function*() {
            ended = true
            // What waits for room in it would keep the consumer.
            yield* Queue.shutdown(queue)
            yield* inOrder(Effect.tryPromise(async () => {
              await firstJoin
              await consumer.disconnect()
            }))
            yield* inOrder(admin.deleteGroup(groupId))
          })
        )
        yield* Effect.tryPromise({
          try: async () => {
            await consumer.connect()
            await consumer.subscribe({ topic, fromBeginning: true })
            firstJoin = consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch })
            await firstJoin
          },
          catch: (error) => kafkaError(operation, error)
        })
        return yield* Effect.never
      }), { bufferSize: BUFFERED_RECORDS })

  return KafkaTopicReader.of({ read })
})
