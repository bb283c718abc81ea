import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import type { IHeaders, Message } from "kafkajs"
import type { AddressedRecord } from "../KafkaProducer.ts"

/** What goes into one request, so that no partition's batch outgrows the default `max.message.bytes` (1 MiB). A larger record goes alone. */
const MAX_REQUEST_BYTES = 512 * 1024

/** A record's size on the wire, rounded up. */
const sizeOf = ({ record: { headers, key, value } }: AddressedRecord): number =>
  headers.reduce((size, header) => size + header.name.length + (header.value?.length ?? 0) + 10, 32) +
  (key?.length ?? 0) + (value?.length ?? 0)

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

const buffer = (bytes: Uint8Array | null): Buffer | null => bytes === null ? null : Buffer.from(bytes)

const message = ({ headers, key, value }: OutgoingRecord): Message => ({
  key: buffer(key),
  value: buffer(value),
  // The patched record format takes the list.
  headers: headers as unknown as IHeaders,
  // Without a key a partition would be drawn anew for each retry, and the record could be written twice.
  ...(key === null ? { partition: 0 } : undefined)
})

export const topicMessages = (records: ReadonlyArray<AddressedRecord>) =>
  [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
    topic,
    messages: ofTopic.map(({ record }) => message(record))
  }))
