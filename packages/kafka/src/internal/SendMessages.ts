import type { createRequire } from "node:module"
import { groupByPartition } from "./PartitionGroups.ts"

interface SendRequest {
  readonly acks: number
  readonly timeout?: number
  readonly compression?: number
  readonly topicMessages: ReadonlyArray<{ readonly topic: string; readonly messages: ReadonlyArray<object> }>
}

interface Placed {
  readonly topic: string
  readonly partition: number
  readonly messages: ReadonlyArray<object>
}

type TopicData = ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<object> }>

interface Broker {
  produce(request: object): Promise<unknown>
}

interface Cluster {
  addMultipleTargetTopics(topics: ReadonlyArray<string>): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): ReadonlyArray<unknown>
  findLeaderForPartitions(topic: string, partitions: ReadonlyArray<number>): Readonly<Record<string, unknown>>
  findBroker(of: { readonly nodeId: string }): Promise<Broker>
  removeBroker(address: { readonly host: string; readonly port: number }): void
  isConnected(): boolean
  connect(): Promise<void>
}

interface EosManager {
  acquireBrokerLock(broker: Broker): Promise<void>
  releaseBrokerLock(broker: Broker): Promise<void>
  isTransactional(): boolean
  addPartitionsToTransaction(topicData: TopicData): Promise<void>
  getTransactionalId(): string
  getProducerId(): unknown
  getProducerEpoch(): number
  getSequence(topic: string, partition: number): number
  updateSequence(topic: string, partition: number, increment: number): void
}

type Retrier = <A>(
  attempt: (bail: (error: unknown) => void, retryCount: number, retryTime: number) => Promise<A>
) => Promise<A>

interface Options {
  readonly cluster: Cluster
  readonly eosManager: EosManager
  readonly logger: { error(message: string, fields: object): void }
  readonly partitioner: (placement: { readonly topic: string; readonly message: object }) => number
  readonly retrier: Retrier
}

type Factory = (options: Options) => (request: SendRequest) => Promise<ReadonlyArray<object>>

/** What a failed try may mend by reading the metadata anew, by kafkajs' names. */
const passing: ReadonlySet<string> = new Set([
  "KafkaJSMetadataNotLoaded",
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError"
])

const isRetriable = (error: unknown): boolean =>
  error instanceof Error && "retriable" in error && error.retriable === true

/**
 * Our own of kafkajs' `sendMessages`: each record is written once, to the partition that it was placed in first, whatever leaders move meanwhile.
 *
 * kafkajs' keeps the answers by broker. A partition whose leader moves between two tries from a broker that has answered to one that has not is written a second time, under
 * sequence numbers of its own, and the other way round never, and the send succeeds. And it tries again while other brokers still write, which write all of it again.
 * It asks a broker that does not answer until it gives up.
 *
 * What a broker has written and not answered is sent under the same sequence numbers, by which it is known.
 */
export const sendMessages = (require: ReturnType<typeof createRequire>): Factory => {
  const answersOf = require("kafkajs/src/producer/responseSerializer") as (response: unknown) => ReadonlyArray<object>
  const { staleMetadata } = require("kafkajs/src/protocol/error") as { staleMetadata(error: unknown): boolean }
  const { KafkaJSMetadataNotLoaded } = require("kafkajs/src/errors") as {
    readonly KafkaJSMetadataNotLoaded: new(message: string) => Error
  }

  return ({ cluster, eosManager, logger, partitioner, retrier }) => async (request) => {
    const { acks, compression, timeout, topicMessages } = request
    const answers: Array<object> = []
    let left: ReadonlyArray<Placed> | undefined

    const place = (): ReadonlyArray<Placed> =>
      topicMessages.flatMap(({ messages, topic }) => {
        const partitionMetadata = cluster.findTopicPartitionMetadata(topic)
        if (partitionMetadata.length === 0) throw new KafkaJSMetadataNotLoaded(`nothing is known of the topic ${topic}`)
        const groups = groupByPartition({ topic, partitionMetadata, messages, partitioner })
        return Object.entries(groups).map(([partition, placed]) => ({
          topic,
          partition: Number(partition),
          messages: placed
        }))
      })

    const leaderOf = ({ partition, topic }: Placed): string => {
      const [leader] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
      if (leader === undefined) {
        throw new KafkaJSMetadataNotLoaded(`nothing is known of partition ${partition} of the topic ${topic}`)
      }
      return leader
    }

    const sendTo = async (nodeId: string, placed: ReadonlyArray<Placed>) => {
      const broker = await cluster.findBroker({ nodeId })
      await eosManager.acquireBrokerLock(broker)
      try {
        const topicData = [...Map.groupBy(placed, ({ topic }) => topic)].map(([topic, partitions]) => ({
          topic,
          partitions: partitions.map(({ messages, partition }) => ({
            partition,
            messages,
            firstSequence: eosManager.getSequence(topic, partition)
          }))
        }))
        if (eosManager.isTransactional()) await eosManager.addPartitionsToTransaction(topicData)
        const response = await broker.produce({
          transactionalId: eosManager.isTransactional() ? eosManager.getTransactionalId() : undefined,
          producerId: eosManager.getProducerId(),
          producerEpoch: eosManager.getProducerEpoch(),
          acks,
          timeout,
          compression,
          topicData
        })
        for (const { messages, partition, topic } of placed) {
          eosManager.updateSequence(topic, partition, messages.length)
        }
        left = left?.filter((each) => !placed.includes(each))
        if (acks !== 0) answers.push(...answersOf(response))
      } finally {
        await eosManager.releaseBrokerLock(broker)
      }
    }

    return retrier(async (bail, retryCount, retryTime) => {
      await cluster.addMultipleTargetTopics(topicMessages.map(({ topic }) => topic))
      try {
        await cluster.refreshMetadataIfNecessary()
        left ??= place()
        // All of them end before any is made again: a broker that is slow may have written.
        const sends = await Promise.allSettled(
          [...Map.groupBy(left, leaderOf)].map(([nodeId, placed]) => sendTo(nodeId, placed))
        )
        const failures = sends.flatMap((each) => each.status === "rejected" ? [each.reason as unknown] : [])
        if (failures.length > 0) throw failures.find((error) => !isRetriable(error)) ?? failures[0]
        return answers
      } catch (error) {
        if (!(error instanceof Error)) throw error
        const gone = addressOfGone(error)
        if (gone !== undefined) cluster.removeBroker(gone)
        if (!cluster.isConnected()) {
          await cluster.connect()
          await cluster.refreshMetadata()
          throw error
        }
        const isPassing = passing.has(error.name) || staleMetadata(error)
        logger.error(`Failed to send messages: ${error.message}`, { retryCount, retryTime })
        if (isPassing || error.name === "KafkaJSProtocolError" && isRetriable(error)) await cluster.refreshMetadata()
        else if (!isRetriable(error)) bail(error)
        throw error
      }
    })
  }
}

/** The address of a broker that has closed its connection, or let a request time out. */
const addressOfGone = (error: Error) => {
  if (error.name === "KafkaJSConnectionClosedError" && "host" in error && "port" in error) {
    return { host: String(error.host), port: Number(error.port) }
  }
  if (error.name !== "KafkaJSRequestTimeoutError" || !("broker" in error)) return undefined
  const [, host, port] = /^(.*):(\d+)$/.exec(String(error.broker)) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}
