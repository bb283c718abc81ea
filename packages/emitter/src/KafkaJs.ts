import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import type { KafkaPort, Placement, RequestRecord } from "./EmitterKafka.ts"

/** What is needed of kafkajs' `Kafka`, described here so that nothing has to be imported. */
export interface KafkaJsClient {
  producer(config: KafkaJsProducerConfig): KafkaJsProducer
  consumer(config: {
    readonly groupId: string
    readonly maxWaitTimeInMs: number
    readonly metadataMaxAge: number
    readonly allowAutoTopicCreation: boolean
  }): KafkaJsConsumer
  admin(): KafkaJsAdmin
}

interface KafkaJsProducerConfig {
  readonly idempotent: boolean
  readonly maxInFlightRequests: number
  readonly allowAutoTopicCreation: boolean
  readonly retry: { readonly initialRetryTime: number; readonly maxRetryTime: number; readonly retries: number }
  readonly createPartitioner: () => (args: KafkaJsPartitionerArgs) => number
}

interface KafkaJsPartitionerArgs {
  readonly message: { readonly key?: Buffer | string | null }
  readonly partitionMetadata: ReadonlyArray<unknown>
}

/** kafkajs' producer. */
export interface KafkaJsProducer {
  connect(): Promise<void>
  disconnect(): Promise<void>
  sendBatch(batch: {
    acks: number
    topicMessages: Array<{
      topic: string
      messages: Array<{ key: string; value: string; headers: Record<string, string> }>
    }>
  }): Promise<ReadonlyArray<{ readonly partition: number }>>
}

interface KafkaJsConsumer {
  connect(): Promise<void>
  disconnect(): Promise<void>
  subscribe(subscription: { topic: string; fromBeginning: boolean }): Promise<void>
  seek(place: { topic: string; partition: number; offset: string }): void
  run(config: {
    autoCommit: boolean
    eachMessage: (payload: {
      readonly partition: number
      readonly message: {
        readonly offset: string
        readonly value: Buffer | null
        readonly headers?: Readonly<Record<string, unknown>>
      }
    }) => Promise<void>
  }): Promise<void>
  on(event: "consumer.group_join", listener: () => void): unknown
  on(
    event: "consumer.crash",
    listener: (event: { readonly payload: { readonly error: Error; readonly restart: boolean } }) => void
  ): unknown
}

interface KafkaJsAdmin {
  connect(): Promise<void>
  disconnect(): Promise<void>
  fetchTopicOffsets(topic: string): Promise<ReadonlyArray<{ readonly partition: number; readonly high: string }>>
  fetchTopicMetadata(options: { topics: Array<string> }): Promise<{
    readonly topics: ReadonlyArray<{ readonly partitions: ReadonlyArray<unknown> }>
  }>
  deleteGroups(groupIds: Array<string>): Promise<unknown>
}

export interface KafkaJsOptions {
  /**
   * The service's own producer, connected, instead of one that is made for the emitter; it stays connected. It must have been made with
   * `createPartitioner: Partitioners.DefaultPartitioner`: where it has written elsewhere, emitting fails with `WrongPartitions`.
   */
  readonly producer?: KafkaJsProducer | undefined
}

/**
 * kafkajs as an emitter's way to Kafka, by the `Kafka` object that a service has.
 *
 * - Its own producer is idempotent, with Java's partitioner. kafkajs loses records where another send follows a failed one, so it makes another after every failure.
 * - Outcomes are read in a group of no name that lasts, as kafkajs can't read without one; it is deleted in the end.
 * - kafkajs 2.2.4 passes single records of aborted transactions on: where a consumer dies while it publishes, an outcome can be told that is published
 *   once more. `@origin-regions/kafka` has that mended.
 */
export const kafkaJs = (kafka: KafkaJsClient, { producer }: KafkaJsOptions = {}): KafkaPort => {
  const writer = producer === undefined ? ownProducer(kafka) : givenProducer(kafka, producer)
  return {
    ...writer,
    subscribe: async (topic, { failed, received }) => {
      /** The next offset to read, by partition. */
      const next = new Map(
        await withAdmin(
          kafka,
          async (admin) =>
            (await endOffsets(admin, topic)).map(({ high, partition }) => [partition, Number(high)] as const)
        )
      )
      const groupId = `origin-regions-emitter-${SecureRandom.uuidV4Unsafe()}`
      const consumer = kafka.consumer({
        groupId,
        maxWaitTimeInMs: 100,
        metadataMaxAge: 60_000,
        allowAutoTopicCreation: false
      })
      const end = async () => {
        await consumer.disconnect()
        await withAdmin(kafka, (admin) => admin.deleteGroups([groupId])).catch(() => {})
      }
      // Nothing is committed: every join would begin anywhere.
      consumer.on("consumer.group_join", () => {
        for (const [partition, offset] of next) consumer.seek({ topic, partition, offset: String(offset) })
      })
      consumer.on("consumer.crash", ({ payload }) => {
        if (!payload.restart) failed(payload.error)
      })
      try {
        await consumer.connect()
        // A partition that is new is read from its beginning.
        await consumer.subscribe({ topic, fromBeginning: true })
        await consumer.run({
          autoCommit: false,
          eachMessage: async ({ message, partition }) => {
            const offset = Number(message.offset)
            if (offset < (next.get(partition) ?? 0)) return
            received({ value: message.value, headers: message.headers })
            next.set(partition, offset + 1)
          }
        })
      } catch (error) {
        await end().catch(() => {})
        throw error
      }
      return end
    }
  }
}

type Writer = Pick<KafkaPort, "close" | "send">

const withAdmin = async <A>(kafka: KafkaJsClient, use: (admin: KafkaJsAdmin) => Promise<A>): Promise<A> => {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

/** A topic that has just been made has no leaders for a moment, of which kafkajs makes an error. */
const endOffsets = async (admin: KafkaJsAdmin, topic: string) => {
  for (let tries = 1;; tries++) {
    try {
      return await admin.fetchTopicOffsets(topic)
    } catch (error) {
      if (!isLeaderless(error) || tries === 20) throw error
    }
    await Effect.runPromise(Effect.sleep("250 millis"))
  }
}

const isLeaderless = (error: unknown): boolean =>
  error instanceof Error && "type" in error && error.type === "NOT_LEADER_FOR_PARTITION"

const write = async (producer: KafkaJsProducer, records: ReadonlyArray<RequestRecord>) => {
  const topicMessages = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
    topic,
    messages: ofTopic.map(({ headers, key, value }) => ({ key, value, headers: { ...headers } }))
  }))
  const written = await producer.sendBatch({ acks: -1, topicMessages })
  return written.map(({ partition }) => partition)
}

const ownProducer = (kafka: KafkaJsClient): Writer => {
  let partitions = 0
  let connected: KafkaJsProducer | undefined
  const connect = async () => {
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      // Some six seconds: an idempotent one would try without end.
      retry: { initialRetryTime: 200, maxRetryTime: 1_000, retries: 8 },
      createPartitioner: () => ({ message: { key }, partitionMetadata }) => {
        partitions = partitionMetadata.length
        return keyPartition(Buffer.from(key ?? ""), partitions)
      }
    })
    connected = producer
    await producer.connect()
    return producer
  }
  const disconnect = async () => {
    const producer = connected
    connected = undefined
    await producer?.disconnect()
  }
  return {
    send: async (records): Promise<Placement> => {
      try {
        connected ??= await connect()
        return { partitions: await write(connected, records), of: partitions }
      } catch (error) {
        await disconnect().catch(() => {})
        throw error
      }
    },
    close: disconnect
  }
}

const givenProducer = (kafka: KafkaJsClient, producer: KafkaJsProducer): Writer => {
  let partitions: number | undefined
  const partitionsOf = (topic: string) =>
    withAdmin(
      kafka,
      async (admin) => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions.length ?? 0
    )
  return {
    send: async (records) => {
      const topic = records[0]?.topic ?? ""
      partitions ??= await partitionsOf(topic)
      const written = await write(producer, records)
      // The topic has grown since.
      if (written.some((partition) => partition >= (partitions ?? 0))) partitions = await partitionsOf(topic)
      return { partitions: written, of: partitions }
    }
  }
}
