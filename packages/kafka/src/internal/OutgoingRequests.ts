import type { WritableRecord } from "@origin-regions/domain/SourceRecord"
import type { Message, TopicMessages } from "kafkajs"
import type { AddressedRecord } from "../KafkaProducer.ts"

/** What goes into one request, so that no partition's batch outgrows the default `max.message.bytes` (1 MiB). A larger record goes alone. */
const MAX_REQUEST_BYTES = 512 * 1024

const bytesOf = (part: Uint8Array | string | null): number =>
  part === null ? 0 : typeof part === "string" ? Buffer.byteLength(part) : part.length

/** A record's size on the wire, rounded up. */
const sizeOf = ({ record: { headers, key, value } }: AddressedRecord): number =>
  headers.reduce((size, header) => size + bytesOf(header.name) + bytesOf(header.value) + 10, 32) + bytesOf(key) +
  bytesOf(value)

/** Splits records, in their order, into requests of a bounded size. */
export const requestsOf = (records: ReadonlyArray<AddressedRecord>): ReadonlyArray<ReadonlyArray<AddressedRecord>> => {
  const batches: Array<Array<AddressedRecord>> = []
  let current: Array<AddressedRecord> = []
  let bytes = 0
  for (const record of records) {
    const size = sizeOf(record)
    if (current.length > 0 && bytes + size > MAX_REQUEST_BYTES) {
      batches.push(current)
      current = []
      bytes = 0
    }
    current.push(record)
    bytes += size
  }
  if (current.length > 0) batches.push(current)
  return batches
}

const message = ({ headers, key, timestamp, value }: WritableRecord) => ({
  key,
  value,
  headers,
  ...(timestamp === undefined ? undefined : { timestamp }),
  // Without a key a partition would be drawn anew for each retry, and the record could be written twice.
  ...(key === null ? { partition: 0 } : undefined)
})

export const topicMessages = (records: ReadonlyArray<AddressedRecord>): Array<TopicMessages> =>
  [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
    topic,
    // Our own produce request takes bytes of any kind, and text, and headers as a list.
    messages: ofTopic.map(({ record }) => message(record)) as unknown as Array<Message>
  }))
