import type { createRequire } from "node:module"
import { RecordFields } from "./RecordFields.ts"

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
  const reader = new RecordFields()
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
