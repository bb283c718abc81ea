import type { RecordHeader } from "@origin-regions/domain/SourceRecord"
import type { createRequire } from "node:module"

interface Encoder {
  writeVarInt(value: number): Encoder
  writeInt8(value: number): Encoder
  writeVarLong(value: unknown): Encoder
  writeVarIntString(value: string): Encoder
  writeVarIntBytes(value: Uint8Array | string | null | undefined): Encoder
  writeEncoder(value: Encoder): Encoder
  size(): number
}

interface Decoder {
  readInt8(): number
  readVarInt(): number
  readVarLong(): Long
  readVarIntBytes(): Buffer | null
  readVarIntString(): string
  readVarIntArray<A>(read: (decoder: Decoder) => A): Array<A>
}

interface Long {
  add(other: Long | number): Long
  toString(): string
}

interface BatchContext {
  readonly firstOffset: unknown
  readonly firstTimestamp: unknown
  readonly magicByte: number
  readonly isControlBatch?: boolean
  readonly timestampType: number
  readonly maxTimestamp: string
}

interface OutgoingFields {
  readonly offsetDelta?: number
  readonly timestampDelta?: unknown
  readonly key?: Uint8Array | string | null
  readonly value?: Uint8Array | string | null
  readonly headers?: ReadonlyArray<RecordHeader>
}

/**
 * kafkajs' record encoder and decoder with headers as the list that they are on the wire. Its own keep them in an object by name, which loses
 * the order of repeated and of number-like names, and cannot write a header without a value at all.
 * Source: Kafka's message format, "Record" (magic 2).
 */
export const recordFormat = (require: ReturnType<typeof createRequire>) => {
  const Encoder = require("kafkajs/src/protocol/encoder") as new() => Encoder
  const Long = require("kafkajs/src/utils/long") as { fromValue(value: unknown): Long }
  const { LOG_APPEND_TIME } = require("kafkajs/src/protocol/timestampTypes") as { readonly LOG_APPEND_TIME: number }

  const encode = ({ headers = [], key, offsetDelta = 0, timestampDelta = 0, value }: OutgoingFields): Encoder => {
    const body = new Encoder()
      .writeInt8(0)
      .writeVarLong(timestampDelta)
      .writeVarInt(offsetDelta)
      .writeVarIntBytes(key)
      .writeVarIntBytes(value)
      .writeVarInt(headers.length)
    for (const header of headers) {
      body.writeVarIntString(header.name).writeVarIntBytes(header.value === null ? null : Buffer.from(header.value))
    }
    return new Encoder().writeVarInt(body.size()).writeEncoder(body)
  }

  const decode = (decoder: Decoder, batchContext: BatchContext) => {
    const attributes = decoder.readInt8()
    const timestampDelta = decoder.readVarLong()
    const offsetDelta = decoder.readVarInt()
    return {
      magicByte: batchContext.magicByte,
      attributes,
      timestamp: batchContext.timestampType === LOG_APPEND_TIME && batchContext.maxTimestamp
        ? batchContext.maxTimestamp
        : Long.fromValue(batchContext.firstTimestamp).add(timestampDelta).toString(),
      offset: Long.fromValue(batchContext.firstOffset).add(offsetDelta).toString(),
      key: decoder.readVarIntBytes(),
      value: decoder.readVarIntBytes(),
      headers: decoder.readVarIntArray((header): RecordHeader => ({
        name: header.readVarIntString(),
        value: header.readVarIntBytes()
      })),
      isControlRecord: batchContext.isControlBatch ?? false,
      batchContext
    }
  }

  return { encode, decode }
}
