import type { RecordHeader } from "@origin-regions/domain/SourceRecord"
import type { createRequire } from "node:module"

/** kafkajs' view of bytes that are read one after the other. */
interface Decoder {
  readonly buffer: Buffer
  offset: number
}

/** Of the batch that a record is in. The numbers of 64 bits are decimal. */
interface BatchContext {
  readonly firstOffset: string
  readonly firstTimestamp: string
  readonly magicByte: number
  readonly isControlBatch?: boolean
  readonly timestampType: number
  readonly maxTimestamp: string
}

/** A varint holds 7 bits in each byte, and a number is exact with 53. */
const EXACT_BYTES = 7

/** Reads a record's fields, one after the other. */
class Reader {
  buffer: Buffer = Buffer.alloc(0)
  at = 0

  #unsigned(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.buffer[this.at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  varint(): number {
    const value = this.#unsigned()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** Of up to ten bytes: a producer can put any two times into one batch. */
  varlong(): number | bigint {
    let length = 1
    while ((this.buffer[this.at + length - 1] ?? 0) >= 0x80) length += 1
    if (length <= EXACT_BYTES) return this.varint()
    let value = 0n
    for (let index = length - 1; index >= 0; index--) {
      value = (value << 7n) | BigInt((this.buffer[this.at + index] ?? 0) & 0x7f)
    }
    this.at += length
    return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
  }

  bytes(): Buffer | null {
    const length = this.varint()
    return length < 0 ? null : this.buffer.subarray(this.at, this.at += length)
  }

  text(): string {
    const length = this.varint()
    return this.buffer.toString("utf8", this.at, this.at += length)
  }

  headers(): ReadonlyArray<RecordHeader> {
    const headers: Array<RecordHeader> = []
    for (let left = this.varint(); left > 0; left--) headers.push({ name: this.text(), value: this.bytes() })
    return headers
  }
}

/** Where the records of a batch count from. */
const baseOf = (context: BatchContext) => ({
  context,
  offset: Number(context.firstOffset),
  timestamp: BigInt(context.firstTimestamp)
})

/**
 * kafkajs' record decoder with headers as the list that they are on the wire, and without its arithmetic in 64 bits, which makes a dozen objects for each
 * record. Its own keeps headers in an object by name, which loses the order of repeated and of number-like names.
 * Source: Kafka's message format, "Record" (magic 2).
 */
export const recordDecoder = (require: ReturnType<typeof createRequire>) => {
  const { LOG_APPEND_TIME } = require("kafkajs/src/protocol/timestampTypes") as { readonly LOG_APPEND_TIME: number }
  const reader = new Reader()
  /** Of the batch that was read last: records come batch by batch. */
  let base: ReturnType<typeof baseOf> | undefined

  return (decoder: Decoder, batchContext: BatchContext) => {
    if (base?.context !== batchContext) base = baseOf(batchContext)
    reader.buffer = decoder.buffer
    reader.at = decoder.offset
    const attributes = reader.buffer.readInt8(reader.at++)
    const sinceFirst = reader.varlong()
    const record = {
      magicByte: batchContext.magicByte,
      attributes,
      timestamp: batchContext.timestampType === LOG_APPEND_TIME
        ? batchContext.maxTimestamp
        : String(base.timestamp + BigInt(sinceFirst)),
      offset: String(base.offset + reader.varint()),
      key: reader.bytes(),
      value: reader.bytes(),
      headers: reader.headers(),
      isControlRecord: batchContext.isControlBatch ?? false,
      batchContext
    }
    decoder.offset = reader.at
    return record
  }
}
