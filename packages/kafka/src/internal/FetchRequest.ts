import type { createRequire } from "node:module"
import type { ProtocolRequest } from "./FlexibleFormat.ts"

/**
 * A fetch that leaves the records in their bytes. kafkajs' own makes an object with texts for each record, and shows nothing of batches that compaction has emptied, so that a reader
 * does not get past them.
 *
 * Source: Kafka's protocol guide, Fetch 10 (Kafka 2.1, the first that gives zstd).
 */
const FETCH = { apiKey: 1, apiVersion: 10, apiName: "Fetch" } as const

/** Where to fetch from. */
export interface FetchedFrom {
  readonly partition: number
  readonly offset: number
}

export interface FetchLimits {
  /** How long the broker waits for records where there are none. */
  readonly maxWaitMillis: number
  readonly maxBytes: number
  readonly maxBytesPerPartition: number
}

/** What a fetch has of one partition. `records` are whole batches, the last of which may be cut off. */
export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  /** Behind all that has been written. */
  readonly highWatermark: number
  /** Behind all that no open transaction can change. */
  readonly lastStableOffset: number
  readonly aborted: ReadonlyArray<AbortedTransaction>
  readonly records: Buffer
}

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

interface Encoder {
  writeInt8(value: number): Encoder
  writeInt32(value: number): Encoder
  writeInt64(value: unknown): Encoder
  writeString(value: string): Encoder
}

const NO_REPLICA = -1
const READ_COMMITTED = 1
const NO_SESSION = -1
const ANY_EPOCH = -1

export const fetchRequest = (require: ReturnType<typeof createRequire>) => {
  const EncoderClass = require("kafkajs/src/protocol/encoder") as new() => Encoder

  /** As `read_committed`, all partitions from one leader. */
  return (
    topic: string,
    from: ReadonlyArray<FetchedFrom>,
    limits: FetchLimits
  ): ProtocolRequest<ReadonlyArray<FetchedPartition>> => ({
    request: {
      ...FETCH,
      encode: async () => {
        const encoder = new EncoderClass()
        encoder.writeInt32(NO_REPLICA).writeInt32(limits.maxWaitMillis).writeInt32(1).writeInt32(limits.maxBytes)
          .writeInt8(READ_COMMITTED).writeInt32(0).writeInt32(NO_SESSION)
          .writeInt32(1).writeString(topic).writeInt32(from.length)
        for (const { offset, partition } of from) {
          encoder.writeInt32(partition).writeInt32(ANY_EPOCH).writeInt64(offset).writeInt64(-1)
            .writeInt32(limits.maxBytesPerPartition)
        }
        encoder.writeInt32(0)
        // kafkajs' encoder, of which each file names what it uses.
        return encoder as unknown as Awaited<ReturnType<ProtocolRequest<unknown>["request"]["encode"]>>
      }
    },
    response: { decode: async (bytes) => readAnswer(bytes), parse: async (data) => data }
  })
}

const readAnswer = (bytes: Buffer): ReadonlyArray<FetchedPartition> => {
  let at = 4
  const int16 = () => bytes.readInt16BE((at += 2) - 2)
  const int32 = () => bytes.readInt32BE((at += 4) - 4)
  const int64 = () => bytes.readBigInt64BE((at += 8) - 8)
  const sessionError = int16()
  at += 4
  const found: Array<FetchedPartition> = []
  for (let topics = int32(); topics > 0; topics--) {
    const nameLength = int16()
    at += nameLength
    for (let partitions = int32(); partitions > 0; partitions--) {
      const partition = int32()
      const errorCode = int16()
      const highWatermark = Number(int64())
      const lastStableOffset = Number(int64())
      at += 8
      const aborted: Array<AbortedTransaction> = []
      for (let left = int32(); left > 0; left--) {
        aborted.push({ producerId: int64(), firstOffset: Number(int64()) })
      }
      const length = Math.max(0, int32())
      const records = bytes.subarray(at, at += length)
      found.push({
        partition,
        errorCode: errorCode || sessionError,
        highWatermark,
        lastStableOffset,
        aborted,
        records
      })
    }
  }
  return found
}
