import type { RecordHeader } from "@origin-regions/domain/SourceRecord"
import type { createRequire } from "node:module"
import type { AbortedTransaction, FetchedPartition } from "./FetchRequest.ts"
import { RecordFields } from "./RecordFields.ts"

/** A record while it is looked at. Its bytes are those of the whole answer that it came in: who keeps them must copy them. */
export class ScannedRecord {
  readonly offset: number
  /** In milliseconds since 1970. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly #buffer: Buffer
  readonly #headersAt: number

  constructor(fields: {
    readonly offset: number
    readonly timestamp: number
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly buffer: Buffer
    readonly headersAt: number
  }) {
    this.offset = fields.offset
    this.timestamp = fields.timestamp
    this.key = fields.key
    this.value = fields.value
    this.#buffer = fields.buffer
    this.#headersAt = fields.headersAt
  }

  /** Read when they are asked for: many records are told apart by their values alone. */
  get headers(): ReadonlyArray<RecordHeader> {
    const fields = new RecordFields()
    fields.buffer = this.#buffer
    fields.at = this.#headersAt
    return fields.headers()
  }
}

/** Where the fields of a batch are. Source: Kafka's message format, "Record Batch". */
const AT = { length: 8, magic: 16, attributes: 21, lastDelta: 23, firstTime: 27, maxTime: 35, producer: 43, count: 57 }
const HEAD = 61
/** Bytes before what the batch's length counts. */
const UNCOUNTED = 12
const MAGIC = 2

const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const CODEC = 0x07

interface Codec {
  readonly decompress: (bytes: Buffer) => Promise<Buffer>
}

/** A commit's marker is of type 1; an abort's of type 0. */
const isAbort = (control: ScannedRecord): boolean => control.key?.length === 4 && control.key.readInt16BE(2) === 0

export const recordBatches = (require: ReturnType<typeof createRequire>) => {
  const { lookupCodecByAttributes } = require("kafkajs/src/protocol/message/compression") as {
    readonly lookupCodecByAttributes: (attributes: number) => Codec | null
  }

  /**
   * Hands over the records of a partition's answer from an offset on, in their order and without those of aborted transactions and markers, and
   * says where to go on: beyond what compaction has left nothing of, too.
   */
  return async (
    { aborted, records }: FetchedPartition,
    from: number,
    take: (record: ScannedRecord) => void
  ): Promise<number> => {
    const ahead: Array<AbortedTransaction> = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
    const aborting = new Set<bigint>()
    let next = from
    for (let at = 0; at + HEAD <= records.length;) {
      const end = at + UNCOUNTED + records.readInt32BE(at + AT.length)
      if (end > records.length) break
      const batch = records.subarray(at, end)
      at = end
      if (batch.readInt8(AT.magic) !== MAGIC) throw new Error("records of Kafka before 0.11 can't be read")
      const attributes = batch.readInt16BE(AT.attributes)
      const last = Number(batch.readBigInt64BE(0)) + batch.readInt32BE(AT.lastDelta)
      const producer = batch.readBigInt64BE(AT.producer)
      for (let first = ahead[0]; first !== undefined && first.firstOffset <= last; first = ahead[0]) {
        aborting.add(first.producerId)
        ahead.shift()
      }
      if ((attributes & CONTROL) !== 0) {
        eachRecord(batch, batch, HEAD, (marker) => {
          if (isAbort(marker)) aborting.delete(producer)
        })
      } else if ((attributes & TRANSACTIONAL) === 0 || !aborting.has(producer)) {
        const codec = (attributes & CODEC) === 0 ? null : lookupCodecByAttributes(attributes)
        const bytes = codec === null ? batch : await codec.decompress(batch.subarray(HEAD))
        eachRecord(batch, bytes, codec === null ? HEAD : 0, (record) => {
          if (record.offset >= from) take(record)
        })
      }
      next = Math.max(next, last + 1)
    }
    return next
  }
}

/** The records of a batch, which are in `bytes` from `start` on. */
const eachRecord = (batch: Buffer, bytes: Buffer, start: number, take: (record: ScannedRecord) => void): void => {
  const fields = new RecordFields()
  fields.buffer = bytes
  fields.at = start
  const firstOffset = Number(batch.readBigInt64BE(0))
  const firstTime = batch.readBigInt64BE(AT.firstTime)
  const exactTime = Number(firstTime)
  const appended = (batch.readInt16BE(AT.attributes) & LOG_APPEND_TIME) === 0
    ? undefined
    : Number(batch.readBigInt64BE(AT.maxTime))
  for (let left = batch.readInt32BE(AT.count); left > 0; left--) {
    const length = fields.varint()
    const end = fields.at + length
    fields.at += 1
    const sinceFirst = fields.varlong()
    const timestamp = appended ??
      (typeof sinceFirst === "number" ? exactTime + sinceFirst : Number(firstTime + sinceFirst))
    const offset = firstOffset + fields.varint()
    const key = fields.bytes()
    const value = fields.bytes()
    take(new ScannedRecord({ offset, timestamp, key, value, buffer: bytes, headersAt: fields.at }))
    fields.at = end
  }
}
