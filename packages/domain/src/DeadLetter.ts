import type { OutgoingRecord, RecordHeader, SourceRecord } from "./SourceRecord.ts"
import { formatRecordTimestamp } from "./Timestamp.ts"

/** The headers that a dead letter has in front of the record's own. */
export const deadLetterHeaders = {
  "origin-regions-outcome-id": "The id of the record's outcome",
  "origin-regions-reason": "The outcomecode of the record's outcome",
  "origin-regions-topic": "The topic the record was read from",
  "origin-regions-partition": "The partition the record was read from",
  "origin-regions-offset": "The record's offset",
  "origin-regions-timestamp": "The record's timestamp (RFC 3339), without a value where it has none",
  "origin-regions-truncated": "true where parts were cut off because the record left no room for these headers"
} as const

const encoder = new TextEncoder()

/** Room that a record takes beyond its key, value and headers, with room to spare for the batch around it. */
const RECORD_OVERHEAD = 128
/** A header's two lengths, each at most five bytes as a varint. */
const HEADER_OVERHEAD = 10

const headerSize = (header: RecordHeader): number =>
  HEADER_OVERHEAD + encoder.encode(header.name).length + (header.value?.length ?? 0)

const size = (headers: ReadonlyArray<RecordHeader>): number =>
  headers.reduce((sum, header) => sum + headerSize(header), 0)

/**
 * The dead letter of a record that could not be read or was given up: key, value and headers byte for byte, behind headers that say where it
 * came from and why. What does not fit into `maxBytes` (the topic's `max.message.bytes`) is cut off the end, and `origin-regions-truncated` says so.
 */
export const deadLetter = (
  record: SourceRecord,
  outcome: { readonly id: string; readonly code: string },
  maxBytes: number
): OutgoingRecord => {
  const added = headersOf({
    "origin-regions-outcome-id": outcome.id,
    "origin-regions-reason": outcome.code,
    "origin-regions-topic": record.topic,
    "origin-regions-partition": String(record.partition),
    "origin-regions-offset": String(record.offset),
    "origin-regions-timestamp": formatRecordTimestamp(record.timestamp)
  })
  const fixed = RECORD_OVERHEAD + (record.key?.length ?? 0)
  if (fixed + size(added) + size(record.headers) + (record.value?.length ?? 0) <= maxBytes) {
    return { key: record.key, value: record.value, headers: [...added, ...record.headers] }
  }
  const headers = [...added, ...headersOf({ "origin-regions-truncated": "true" })]
  let room = maxBytes - RECORD_OVERHEAD - size(headers)
  const key = record.key?.subarray(0, Math.max(0, room)) ?? null
  room -= key?.length ?? 0
  for (const header of record.headers) {
    const needed = headerSize(header)
    if (needed > room) continue
    headers.push(header)
    room -= needed
  }
  return { key, value: record.value?.subarray(0, Math.max(0, room)) ?? null, headers }
}

const headersOf = (
  texts: Partial<Readonly<Record<keyof typeof deadLetterHeaders, string | null>>>
): Array<RecordHeader> =>
  Object.entries(texts).map(([name, text]) => ({ name, value: text === null ? null : encoder.encode(text) }))
