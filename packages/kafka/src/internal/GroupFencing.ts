import type { createRequire } from "node:module"
import { type Decoder, type Encoder, noTags, readTopics, skipTags, writeTopics } from "./FlexibleFormat.ts"

/**
 * What kafkajs lacks of KIP-447: transactional offset commits that the group's generation fences (TxnOffsetCommit version 3), and reading committed
 * offsets only once no transaction is pending on them (OffsetFetch version 7, `require_stable`). Two protocol definitions get one version
 * more, used only where the `topics` they are called with carry one of the symbols below: kafkajs passes that array on untouched, and nothing else.
 *
 * Sources: KIP-447; Kafka's protocol guide, TxnOffsetCommit 3 and OffsetFetch 7 (both flexible versions, KIP-482).
 */

/** A member of a consumer group in one of its generations. */
export interface GroupGeneration {
  readonly memberId: string
  readonly generationId: number
}

const GENERATION = Symbol("KIP-447 generation")
const REQUIRE_STABLE = Symbol("KIP-447 require_stable")

interface CommittedPartition {
  readonly partition: number
  readonly offset: string
  readonly metadata: string | null
}

interface CommittedTopic {
  readonly topic: string
  readonly partitions: ReadonlyArray<CommittedPartition>
}

/** Marks the offsets of a transaction as those of a member, to be refused once its generation has passed. */
export const fencedBy = <T extends ReadonlyArray<unknown>>(topics: T, generation: GroupGeneration): T =>
  Object.assign(topics, { [GENERATION]: generation })

/** Marks an offset fetch as one that answers `UNSTABLE_OFFSET_COMMIT` for partitions on which a transaction is pending, or not. */
export const requireStable = <T extends ReadonlyArray<unknown>>(topics: T, stable: boolean): T =>
  Object.assign(topics, { [REQUIRE_STABLE]: stable })

/** Kafka's error code UNSTABLE_OFFSET_COMMIT. */
export const UNSTABLE_OFFSET_COMMIT = 88

/** One partition of an OffsetFetch answer; `offset` is -1 where nothing is committed. */
export interface FetchedOffset {
  readonly partition: number
  readonly offset: number
  readonly metadata: string
  readonly errorCode: number
}

interface Definition {
  versions: ReadonlyArray<string>
  protocol: (of: { readonly version: number }) => (args: Arguments) => unknown
}

interface Arguments {
  readonly topics: Marked
  readonly groupId: string
  readonly transactionalId: string
  readonly producerId: unknown
  readonly producerEpoch: number
}

type Marked = ReadonlyArray<CommittedTopic> & {
  readonly [GENERATION]?: GroupGeneration
  readonly [REQUIRE_STABLE]?: boolean
}

/** Its transactions retry on names of coordinator errors that its own table does not use. */
const retriedName: Readonly<Record<number, { readonly type: string }>> = {
  14: { type: "COORDINATOR_LOAD_IN_PROGRESS" },
  15: { type: "COORDINATOR_NOT_AVAILABLE" },
  16: { type: "NOT_COORDINATOR" }
}

export const addGroupFencing = (require: ReturnType<typeof createRequire>): void => {
  const EncoderClass = require("kafkajs/src/protocol/encoder") as new() => Encoder
  const DecoderClass = require("kafkajs/src/protocol/decoder") as new(bytes: Buffer) => Decoder
  const apiKeys = require("kafkajs/src/protocol/requests/apiKeys") as Readonly<Record<string, number>>
  const { createErrorFromCode } = require("kafkajs/src/protocol/error") as { createErrorFromCode(code: number): Error }

  /** An answer's flexible header, the throttle time, and what follows. */
  const readAnswer = (bytes: Buffer) => {
    const decoder = new DecoderClass(bytes)
    skipTags(decoder)
    return { decoder, clientSideThrottleTime: decoder.readInt32() }
  }

  const raise = (code: number): void => {
    if (code !== 0) throw Object.assign(createErrorFromCode(code), retriedName[code])
  }

  const txnOffsetCommit = ({ groupId, producerEpoch, producerId, topics, transactionalId }: Arguments) => ({
    request: {
      apiKey: apiKeys["TxnOffsetCommit"],
      apiVersion: 3,
      apiName: "TxnOffsetCommit",
      encode: async () => {
        const { generationId, memberId } = topics[GENERATION] ?? { generationId: -1, memberId: "" }
        const encoder = noTags(new EncoderClass())
        encoder.writeUVarIntString(transactionalId).writeUVarIntString(groupId)
        encoder.writeInt64(producerId).writeInt16(producerEpoch)
        // The last of these is the id of a static member, which kafkajs never is.
        encoder.writeInt32(generationId).writeUVarIntString(memberId).writeUVarIntString(null)
        writeTopics(encoder, topics, ({ metadata, offset, partition }) => {
          // Without a leader epoch.
          noTags(encoder.writeInt32(partition).writeInt64(offset).writeInt32(-1).writeUVarIntString(metadata))
        })
        return noTags(encoder)
      }
    },
    response: {
      decode: async (bytes: Buffer) => {
        const { clientSideThrottleTime, decoder } = readAnswer(bytes)
        const answered = readTopics(decoder, (partition) => ({
          partition: partition.readInt32(),
          errorCode: partition.readInt16()
        }))
        return { throttleTime: 0, clientSideThrottleTime, topics: answered }
      },
      parse: async (data: { readonly topics: ReturnType<typeof readTopics<{ readonly errorCode: number }>> }) => {
        for (const { partitions } of data.topics) for (const { errorCode } of partitions) raise(errorCode)
        return data
      }
    }
  })

  const offsetFetch = ({ groupId, topics }: Arguments) => ({
    request: {
      apiKey: apiKeys["OffsetFetch"],
      apiVersion: 7,
      apiName: "OffsetFetch",
      encode: async () => {
        const encoder = noTags(new EncoderClass()).writeUVarIntString(groupId)
        writeTopics(encoder, topics, ({ partition }) => encoder.writeInt32(partition))
        return noTags(encoder.writeBoolean(topics[REQUIRE_STABLE] === true))
      }
    },
    response: {
      decode: async (bytes: Buffer) => {
        const { clientSideThrottleTime, decoder } = readAnswer(bytes)
        const responses = readTopics(decoder, (each): FetchedOffset => {
          const partition = each.readInt32()
          const offset = Number(each.readInt64().toString())
          each.readInt32()
          return { partition, offset, metadata: each.readUVarIntString() ?? "", errorCode: each.readInt16() }
        })
        return { throttleTime: 0, clientSideThrottleTime, responses, errorCode: decoder.readInt16() }
      },
      // What is wrong with single partitions is for the caller, who waits for some of them.
      parse: async (data: { readonly errorCode: number }) => {
        raise(data.errorCode)
        return data
      }
    }
  })

  const addVersion = (path: string, version: number, mark: symbol, make: (args: Arguments) => unknown): void => {
    const definition = require(path) as Definition
    const { protocol, versions } = definition
    const newest = Math.max(...versions.map(Number))
    definition.versions = [...versions, String(version)]
    definition.protocol = (of) => (args) => {
      if (!(mark in args.topics)) return protocol({ version: Math.min(of.version, newest) })(args)
      if (of.version >= version) return make(args)
      throw Object.assign(
        new Error("the broker is too old for transactions that a group fences (KIP-447, Kafka 2.5)"),
        {
          type: "UNSUPPORTED_VERSION",
          retriable: false
        }
      )
    }
  }

  addVersion("kafkajs/src/protocol/requests/txnOffsetCommit", 3, GENERATION, txnOffsetCommit)
  addVersion("kafkajs/src/protocol/requests/offsetFetch", 7, REQUIRE_STABLE, offsetFetch)
}
