import type { createRequire } from "node:module"
import type { ProtocolRequest } from "./FlexibleFormat.ts"

/**
 * Requests that tell what we may do, as far as kafkajs does not ask that: it speaks older versions of the first three, and checks the last one's arguments itself.
 *
 * Source: Kafka's protocol guide, Metadata 8, FindCoordinator 2, DescribeGroups 3, InitProducerId 1 (KIP-430 for authorized operations).
 */

/** Kafka's numbers of the requests. */
export const inspectionKeys = { Metadata: 3, FindCoordinator: 10, DescribeGroups: 15, InitProducerId: 22 } as const

/** Which versions are asked for. */
export const inspectionVersions = { Metadata: 8, FindCoordinator: 2, DescribeGroups: 3, InitProducerId: 1 } as const

interface Encoder {
  writeInt8(value: number): Encoder
  writeInt32(value: number): Encoder
  writeBoolean(value: boolean): Encoder
  writeString(value: string | null): Encoder
  writeArray(values: ReadonlyArray<string>): Encoder
}

interface Decoder {
  readInt16(): number
  readInt32(): number
  readInt64(): unknown
  readBoolean(): boolean
  readString(): string | null
  readBytes(): Buffer | null
  readArray<A>(read: (decoder: Decoder) => A): ReadonlyArray<A>
}

export interface InspectedTopic {
  readonly errorCode: number
  readonly partitions: ReadonlyArray<{ readonly partition: number; readonly leader: number }>
  /** A bit for each operation's code. */
  readonly operations: number
}

export interface InspectedGroup {
  readonly errorCode: number
  readonly operations: number
}

export interface FoundCoordinator {
  readonly errorCode: number
  readonly nodeId: number
}

const readMetadata = (decoder: Decoder) => {
  decoder.readInt32()
  decoder.readArray((broker) => [broker.readInt32(), broker.readString(), broker.readInt32(), broker.readString()])
  decoder.readString()
  decoder.readInt32()
  const topics = decoder.readArray((each): InspectedTopic => {
    const errorCode = each.readInt16()
    each.readString()
    each.readBoolean()
    const partitions = each.readArray((of) => {
      of.readInt16()
      const partition = of.readInt32()
      const leader = of.readInt32()
      of.readInt32()
      for (const _ of ["replicas", "in-sync replicas", "offline replicas"]) of.readArray((node) => node.readInt32())
      return { partition, leader }
    })
    return { errorCode, partitions, operations: each.readInt32() }
  })
  return { topics, operations: decoder.readInt32() }
}

export const inspectionRequests = (require: ReturnType<typeof createRequire>) => {
  const EncoderClass = require("kafkajs/src/protocol/encoder") as new() => Encoder
  const DecoderClass = require("kafkajs/src/protocol/decoder") as new(bytes: Buffer) => Decoder

  const requestOf = <A>(
    apiName: keyof typeof inspectionKeys,
    write: (encoder: Encoder) => unknown,
    read: (decoder: Decoder) => A
  ): ProtocolRequest<A> => ({
    request: {
      apiKey: inspectionKeys[apiName],
      apiVersion: inspectionVersions[apiName],
      apiName,
      encode: async () => {
        const encoder = new EncoderClass()
        write(encoder)
        // kafkajs' encoder, of which each file names what it uses.
        return encoder as unknown as Awaited<ReturnType<ProtocolRequest<A>["request"]["encode"]>>
      }
    },
    response: { decode: async (bytes) => read(new DecoderClass(bytes)), parse: async (data) => data }
  })

  return {
    describeTopic: (topic: string): ProtocolRequest<InspectedTopic | undefined> =>
      requestOf(
        "Metadata",
        (encoder) => encoder.writeArray([topic]).writeBoolean(false).writeBoolean(false).writeBoolean(true),
        (decoder) => readMetadata(decoder).topics[0]
      ),

    /** A bit for each operation that is allowed on the cluster. */
    describeCluster: (): ProtocolRequest<number> =>
      requestOf(
        "Metadata",
        (encoder) => encoder.writeArray([]).writeBoolean(false).writeBoolean(true).writeBoolean(false),
        (decoder) => readMetadata(decoder).operations
      ),

    /** `type` is Kafka's `key_type`. */
    findCoordinator: (key: string, type: number): ProtocolRequest<FoundCoordinator> =>
      requestOf(
        "FindCoordinator",
        (encoder) => encoder.writeString(key).writeInt8(type),
        (decoder) => {
          decoder.readInt32()
          const errorCode = decoder.readInt16()
          decoder.readString()
          return { errorCode, nodeId: decoder.readInt32() }
        }
      ),

    describeGroup: (groupId: string): ProtocolRequest<InspectedGroup | undefined> =>
      requestOf(
        "DescribeGroups",
        (encoder) => encoder.writeArray([groupId]).writeBoolean(true),
        (decoder) => {
          decoder.readInt32()
          return decoder.readArray((each): InspectedGroup => {
            const errorCode = each.readInt16()
            for (const _ of ["id", "state", "protocol type", "protocol"]) each.readString()
            each.readArray((member) => {
              for (const _ of ["id", "client id", "client host"]) member.readString()
              member.readBytes()
              member.readBytes()
            })
            return { errorCode, operations: each.readInt32() }
          })[0]
        }
      ),

    /** Answered with an error code. */
    initProducerId: (transactionalId: string, timeoutMillis: number): ProtocolRequest<number> =>
      requestOf(
        "InitProducerId",
        (encoder) => encoder.writeString(transactionalId).writeInt32(timeoutMillis),
        (decoder) => {
          decoder.readInt32()
          return decoder.readInt16()
        }
      )
  }
}
