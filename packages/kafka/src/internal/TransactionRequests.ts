import type { createRequire } from "node:module"
import {
  type Decoder,
  type Encoder,
  noTags,
  type ProtocolRequest,
  readList,
  readTopics,
  skipTags,
  writeList,
  writeTopics
} from "./FlexibleFormat.ts"

/**
 * Three requests about transactions that kafkajs lacks (KIP-664): what a coordinator knows of one, who has one open on a partition, and the end of one on a
 * partition whatever its coordinator knows.
 *
 * Source: Kafka's protocol guide, DescribeTransactions 0, DescribeProducers 0, WriteTxnMarkers 1.
 */

/** Kafka's numbers of the requests. */
export const apiKeys = { WriteTxnMarkers: 27, DescribeProducers: 61, DescribeTransactions: 65 } as const

export interface PartitionsOfTopic {
  readonly topic: string
  readonly partitions: ReadonlyArray<number>
}

/** What a coordinator knows of the last transaction of a transactional id. */
export interface TransactionDescription {
  readonly errorCode: number
  readonly state: string
  readonly startTime: string
  readonly producerId: string
  readonly producerEpoch: number
}

export interface ActiveProducer {
  readonly producerId: string
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  /** -1 where it has no transaction open. */
  readonly transactionStart: number
}

export interface DescribedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly producers: ReadonlyArray<ActiveProducer>
}

/** The end of a producer's transaction on partitions of one leader. */
export interface TransactionMarker extends Omit<ActiveProducer, "transactionStart"> {
  readonly committed: boolean
  readonly topics: ReadonlyArray<PartitionsOfTopic>
}

export interface TopicAnswer<A> {
  readonly topic: string
  readonly partitions: ReadonlyArray<A>
}

const readMarkers = (decoder: Decoder): ReadonlyArray<number> =>
  readList(decoder, (each) => {
    each.readInt64()
    return readTopics(each, (partition) => {
      partition.readInt32()
      return partition.readInt16()
    })
  }).flatMap((topics) => topics.flatMap(({ partitions }) => partitions))

export const transactionRequests = (require: ReturnType<typeof createRequire>) => {
  const EncoderClass = require("kafkajs/src/protocol/encoder") as new() => Encoder
  const DecoderClass = require("kafkajs/src/protocol/decoder") as new(bytes: Buffer) => Decoder

  const requestOf = <A>(
    apiName: keyof typeof apiKeys,
    apiVersion: number,
    write: (encoder: Encoder) => void,
    read: (decoder: Decoder) => A
  ): ProtocolRequest<A> => ({
    request: {
      apiKey: apiKeys[apiName],
      apiVersion,
      apiName,
      encode: async () => {
        const encoder = noTags(new EncoderClass())
        write(encoder)
        return noTags(encoder)
      }
    },
    response: {
      decode: async (bytes) => {
        const decoder = new DecoderClass(bytes)
        skipTags(decoder)
        return read(decoder)
      },
      parse: async (data) => data
    }
  })

  return {
    describeTransaction: (transactionalId: string): ProtocolRequest<TransactionDescription | undefined> =>
      requestOf(
        "DescribeTransactions",
        0,
        (encoder) => writeList(encoder, [transactionalId], (id) => encoder.writeUVarIntString(id)),
        (decoder) => {
          decoder.readInt32()
          return readList(decoder, (each): TransactionDescription => {
            const errorCode = each.readInt16()
            each.readUVarIntString()
            const state = each.readUVarIntString() ?? ""
            each.readInt32()
            const startTime = each.readInt64().toString()
            const producerId = each.readInt64().toString()
            const producerEpoch = each.readInt16()
            readList(each, (topic) => [topic.readUVarIntString(), topic.readUVarIntArray((of) => of.readInt32())])
            return { errorCode, state, startTime, producerId, producerEpoch }
          })[0]
        }
      ),

    describeProducers: (
      topics: ReadonlyArray<PartitionsOfTopic>
    ): ProtocolRequest<ReadonlyArray<TopicAnswer<DescribedPartition>>> =>
      requestOf(
        "DescribeProducers",
        0,
        (encoder) => writeTopics(encoder, topics, (partition) => encoder.writeInt32(partition)),
        (decoder) => {
          decoder.readInt32()
          return readTopics(decoder, (each): DescribedPartition => {
            const partition = each.readInt32()
            const errorCode = each.readInt16()
            each.readUVarIntString()
            const producers = readList(each, (producer): ActiveProducer => {
              const producerId = producer.readInt64().toString()
              const producerEpoch = producer.readInt32()
              producer.readInt32()
              producer.readInt64()
              const coordinatorEpoch = producer.readInt32()
              return {
                producerId,
                producerEpoch,
                coordinatorEpoch,
                transactionStart: Number(producer.readInt64().toString())
              }
            })
            return { partition, errorCode, producers }
          })
        }
      ),

    /** Answered with an error code for each partition. */
    writeMarker: (marker: TransactionMarker): ProtocolRequest<ReadonlyArray<number>> =>
      requestOf(
        "WriteTxnMarkers",
        1,
        (encoder) =>
          writeList(encoder, [marker], ({ committed, coordinatorEpoch, producerEpoch, producerId, topics }) => {
            encoder.writeInt64(producerId).writeInt16(producerEpoch).writeBoolean(committed)
            writeTopics(encoder, topics, (partition) => encoder.writeInt32(partition))
            noTags(encoder.writeInt32(Math.max(0, coordinatorEpoch)))
          }),
        readMarkers
      )
  }
}
