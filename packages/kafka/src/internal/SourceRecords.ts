import type { RecordHeader, SourceRecord } from "@origin-regions/domain/SourceRecord"
import type { KafkaMessage } from "kafkajs"

/** kafkajs cuts a record's bytes out of the whole fetch response, and one record kept would keep it all: hence copies. */
const copy = (bytes: Uint8Array | null): Uint8Array | null => bytes === null ? null : new Uint8Array(bytes)

export const sourceRecord = (topic: string, partition: number, message: KafkaMessage): SourceRecord => ({
  topic,
  partition,
  offset: Number(message.offset),
  timestamp: Number(message.timestamp),
  key: copy(message.key),
  value: copy(message.value),
  // The patched record format yields the list.
  headers: ((message.headers ?? []) as unknown as ReadonlyArray<RecordHeader>).map(({ name, value }) => ({
    name,
    value: copy(value)
  }))
})
