import { crc32c } from "@node-rs/crc32"
import type { WritableRecord } from "@origin-regions/domain/SourceRecord"
import type { createRequire } from "node:module"

/** A record as kafkajs hands it on, with headers as the list that they are on the wire. */
interface ProducedRecord {
  readonly key?: Uint8Array | string | null
  readonly value?: Uint8Array | string | null
  readonly timestamp?: number | string | null
  readonly headers?: WritableRecord["headers"]
}

interface ProducedPartition {
  readonly partition: number
  readonly messages: ReadonlyArray<ProducedRecord>
  readonly firstSequence?: number
}

/** What kafkajs makes a produce request of. Identifiers of 64 bits come as its own kind of number, or as text. */
export interface Produce {
  readonly acks: number
  readonly timeout: number
  readonly transactionalId?: string | null
  readonly producerId?: number | string | { toString(): string }
  readonly producerEpoch?: number
  readonly compression?: number
  readonly topicData: ReadonlyArray<
    { readonly topic: string; readonly partitions: ReadonlyArray<ProducedPartition> }
  >
}

/** kafkajs' growing buffer: what is not used of `buf` begins at `offset`. */
export interface Encoder {
  buf: Buffer
  offset: number
  readonly buffer: Buffer
}

interface Request {
  readonly apiKey: number
  readonly apiVersion: number
  readonly encode: () => Promise<Encoder>
}

interface Codec {
  readonly compress: (records: { readonly buffer: Buffer }) => Promise<Buffer>
}

const MAGIC = 2
const COMPRESSION_MASK = 0x07
const TRANSACTIONAL = 0x10
/** From the length of a batch on to its records: what it is followed by is what the length counts. */
const BATCH_HEADER = 49
const BATCH_PREFIX = 12
/** Where in a batch the checksum is, and what it is of. */
const CHECKSUM_AT = 17
const CHECKED_FROM = 21

type Bytes = Uint8Array | string | null | undefined

const lengthOf = (bytes: Bytes): number =>
  bytes === null || bytes === undefined ? -1 : typeof bytes === "string" ? Buffer.byteLength(bytes) : bytes.length

const zigzag = (value: number): number => value >= 0 ? value * 2 : -value * 2 - 1

/** Of numbers up to 2^52, as no more are needed: lengths, and differences in milliseconds. */
const varintSize = (value: number): number => {
  let size = 1
  for (let rest = zigzag(value); rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1
  return size
}

const bytesSize = (length: number): number => varintSize(length) + Math.max(0, length)

/** Writes one field after the other into a buffer that has exactly the room. */
class Writer {
  readonly buffer: Buffer
  at = 0

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafeSlow(size)
  }

  int8(value: number): void {
    this.at = this.buffer.writeInt8(value, this.at)
  }

  int16(value: number): void {
    this.at = this.buffer.writeInt16BE(value, this.at)
  }

  int32(value: number): void {
    this.at = this.buffer.writeInt32BE(value, this.at)
  }

  int64(value: bigint): void {
    this.at = this.buffer.writeBigInt64BE(value, this.at)
  }

  varint(value: number): void {
    let rest = zigzag(value)
    while (rest >= 0x80) {
      this.buffer[this.at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.at++] = rest
  }

  raw(bytes: Uint8Array | string): void {
    if (typeof bytes === "string") this.at += this.buffer.write(bytes, this.at)
    else {
      this.buffer.set(bytes, this.at)
      this.at += bytes.length
    }
  }

  /** A length in front, as in records. */
  sized(bytes: Bytes): void {
    this.varint(lengthOf(bytes))
    if (bytes !== null && bytes !== undefined) this.raw(bytes)
  }

  /** A length of two bytes in front, as outside of records. */
  string(text: string | null): void {
    this.int16(lengthOf(text))
    if (text !== null) this.raw(text)
  }
}

const stringSize = (text: string | null): number => 2 + Math.max(0, lengthOf(text))

/** A record's size without its own length in front. */
const bodySize = ({ headers = [], key, value }: ProducedRecord, offset: number, sinceFirst: number): number => {
  let size = 1 + varintSize(sinceFirst) + varintSize(offset) + bytesSize(lengthOf(key)) + bytesSize(lengthOf(value)) +
    varintSize(headers.length)
  for (const header of headers) size += bytesSize(lengthOf(header.name)) + bytesSize(lengthOf(header.value))
  return size
}

/** Records on their way into a batch: how large each of them is, and they all. */
interface Measured {
  readonly records: ReadonlyArray<ProducedRecord>
  readonly sinceFirst: ReadonlyArray<number>
  readonly bodies: ReadonlyArray<number>
  readonly size: number
  readonly first: number
  readonly last: number
}

const measure = (records: ReadonlyArray<ProducedRecord>, now: number): Measured => {
  const times = records.map(({ timestamp }) => timestamp === undefined || timestamp === null ? now : Number(timestamp))
  const first = times.reduce((least, time) => Math.min(least, time), times[0] ?? now)
  const last = times.reduce((most, time) => Math.max(most, time), first)
  const sinceFirst = times.map((time) => time - first)
  const bodies = records.map((record, offset) => bodySize(record, offset, sinceFirst[offset] ?? 0))
  return {
    records,
    sinceFirst,
    bodies,
    size: bodies.reduce((size, body) => size + varintSize(body) + body, 0),
    first,
    last
  }
}

const writeRecords = (to: Writer, { bodies, records, sinceFirst }: Measured): void => {
  let offset = 0
  for (const { headers = [], key, value } of records) {
    to.varint(bodies[offset] ?? 0)
    to.int8(0)
    to.varint(sinceFirst[offset] ?? 0)
    to.varint(offset)
    to.sized(key)
    to.sized(value)
    to.varint(headers.length)
    for (const header of headers) {
      to.sized(header.name)
      to.sized(header.value)
    }
    offset += 1
  }
}

/** A partition's batch; `compressed` has its records where they are. */
interface Batch extends ProducedPartition {
  readonly measured: Measured
  readonly compressed: Buffer | undefined
}

const recordsSize = ({ compressed, measured }: Batch): number => compressed?.length ?? measured.size

const batchSize = (batch: Batch): number => BATCH_PREFIX + BATCH_HEADER + recordsSize(batch)

const prepare = async (codec: Codec | null, partition: ProducedPartition, now: number): Promise<Batch> => {
  const measured = measure(partition.messages, now)
  if (codec === null) return { ...partition, measured, compressed: undefined }
  const records = new Writer(measured.size)
  writeRecords(records, measured)
  return { ...partition, measured, compressed: await codec.compress(records) }
}

/**
 * kafkajs' produce request, encoded in one go into a buffer of exactly its size. kafkajs' own makes two growing buffers for each record and copies each byte
 * seven times; that was the most that the consumer did.
 * Source: Kafka's protocol guide, "Produce API" (version 3) and "Record Batch" (magic 2).
 */
export const produceRequest = (require: ReturnType<typeof createRequire>) => {
  const encoderOf = filledEncoder(require)
  const { Produce: apiKey } = require("kafkajs/src/protocol/requests/apiKeys") as { readonly Produce: number }
  const { lookupCodec } = require("kafkajs/src/protocol/message/compression") as {
    readonly lookupCodec: (type: number) => Codec | null
  }

  return (produce: Produce) => ({
    apiKey,
    apiVersion: 3,
    apiName: "Produce",
    expectResponse: () => produce.acks !== 0,
    encode: async (): Promise<Encoder> => {
      const { acks, compression = 0, producerEpoch = 0, producerId = -1, timeout, topicData, transactionalId = null } =
        produce
      const codec = (compression & COMPRESSION_MASK) === 0 ? null : lookupCodec(compression)
      // oxlint-disable-next-line eslint/no-restricted-properties -- inside kafkajs there is no Effect
      const now = Date.now()
      const topics = await Promise.all(topicData.map(async ({ partitions, topic }) => ({
        topic,
        batches: await Promise.all(partitions.map((partition) => prepare(codec, partition, now)))
      })))
      const size = topics.reduce(
        (size, { batches, topic }) =>
          batches.reduce((size, batch) => size + 8 + batchSize(batch), size + stringSize(topic) + 4),
        stringSize(transactionalId) + 10
      )
      const to = new Writer(size)
      to.string(transactionalId)
      to.int16(acks)
      to.int32(timeout)
      to.int32(topics.length)
      for (const { batches, topic } of topics) {
        to.string(topic)
        to.int32(batches.length)
        for (const batch of batches) {
          const { firstSequence = 0, measured, partition } = batch
          to.int32(partition)
          to.int32(batchSize(batch))
          const start = to.at
          to.int64(0n)
          to.int32(BATCH_HEADER + recordsSize(batch))
          to.int32(0)
          to.int8(MAGIC)
          to.at = start + CHECKED_FROM
          to.int16((compression & COMPRESSION_MASK) | (transactionalId === null ? 0 : TRANSACTIONAL))
          to.int32(batch.messages.length - 1)
          to.int64(BigInt(measured.first))
          to.int64(BigInt(measured.last))
          to.int64(BigInt(producerId.toString()))
          to.int16(producerEpoch)
          to.int32(firstSequence)
          to.int32(batch.messages.length)
          if (batch.compressed === undefined) writeRecords(to, measured)
          else to.raw(batch.compressed)
          to.buffer.writeUInt32BE(crc32c(to.buffer.subarray(start + CHECKED_FROM, to.at)), start + CHECKSUM_AT)
        }
      }
      return encoderOf(to.buffer)
    }
  })
}

/** Puts what identifies a request in front of it, with one copy instead of two, and no room to spare. */
export const requestEncoder = (require: ReturnType<typeof createRequire>) => {
  const encoderOf = filledEncoder(require)
  return async (
    { clientId, correlationId, request: { apiKey, apiVersion, encode } }: {
      readonly clientId: string | null
      readonly correlationId: number
      readonly request: Request
    }
  ): Promise<Encoder> => {
    const payload = (await encode()).buffer
    const size = 8 + stringSize(clientId) + payload.length
    const to = new Writer(4 + size)
    to.int32(size)
    to.int16(apiKey)
    to.int16(apiVersion)
    to.int32(correlationId)
    to.string(clientId)
    to.raw(payload)
    return encoderOf(to.buffer)
  }
}

const filledEncoder = (require: ReturnType<typeof createRequire>) => {
  const Encoder = require("kafkajs/src/protocol/encoder") as new(size: number) => Encoder
  return (buffer: Buffer): Encoder => Object.assign(new Encoder(0), { buf: buffer, offset: buffer.length })
}
