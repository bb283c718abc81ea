import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { Cause, Context, Effect, Layer, Queue, Random, Stream } from "effect"
import type { EachBatchPayload } from "kafkajs"
import { makeClient } from "./internal/KafkaClient.ts"
import { kafkaError } from "./internal/KafkaErrors.ts"
import { sourceRecord } from "./internal/SourceRecords.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import { Crashed, KafkaError } from "./KafkaError.ts"
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
        const client = yield* makeClient(settings, "origin-regions-reader")
        const groupId = `origin-regions-reader${random.nextIntUnsafe()}${random.nextIntUnsafe()}`
        const start = yield* offsetsFrom(topic, from)
        const context = yield* Effect.context<never>()
        const offer = Effect.runPromiseWith(context)
        const consumer = client.consumer({
          groupId,
          maxWaitTimeInMs: 100,
          metadataMaxAge: 60_000,
          allowAutoTopicCreation: false,
          retry: { retries: 30, maxRetryTime: 5_000 }
        })
        const attempt = (run: () => Promise<unknown>) =>
          Effect.tryPromise({ try: run, catch: (error) => kafkaError(`read the topic ${topic}`, error) })

        const eachBatch = async ({ batch, heartbeat, isRunning, resolveOffset }: EachBatchPayload) => {
          const first = start.get(batch.partition) ?? 0
          for (const message of batch.messages) {
            if (!isRunning()) return
            if (Number(message.offset) >= first) {
              await offer(Queue.offer(queue, sourceRecord(topic, batch.partition, message)))
            }
            await heartbeat()
          }
          resolveOffset(batch.lastOffset())
        }

        consumer.on("consumer.crash", ({ payload }) => {
          if (payload.restart) return
          const detail = kafkaError(`read the topic ${topic}`, payload.error).reason.detail
          Queue.failCauseUnsafe(
            queue,
            Cause.fail(new KafkaError({ operation: `read the topic ${topic}`, reason: new Crashed({ detail }) }))
          )
        })
        yield* Effect.addFinalizer(() =>
          attempt(() => consumer.disconnect()).pipe(Effect.andThen(admin.deleteGroup(groupId)), Effect.ignore)
        )
        yield* attempt(async () => {
          await consumer.connect()
          await consumer.subscribe({ topic, fromBeginning: true })
          await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch })
          for (const [partition, offset] of start) consumer.seek({ topic, partition, offset: String(offset) })
        })
        return yield* Effect.never
      }), { bufferSize: BUFFERED_RECORDS })

  return KafkaTopicReader.of({ read })
})
