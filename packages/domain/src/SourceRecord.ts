/** One header of a Kafka record. Names may repeat; their order counts. */
export interface RecordHeader {
  readonly name: string
  readonly value: Uint8Array | null
}

/** A Kafka record as it was read. `timestamp` is the record's, in milliseconds since 1970. Offsets stay below 2^53. */
export interface SourceRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: ReadonlyArray<RecordHeader>
}

/**
 * A Kafka record to be written whose parts are bytes, or text for UTF-8: text costs less than bytes that are made of it, where many records are written. Its `timestamp`, in
 * milliseconds since 1970, is left out for when it is written.
 */
export interface WritableRecord {
  readonly key: Uint8Array | string | null
  readonly value: Uint8Array | string | null
  readonly headers: ReadonlyArray<{ readonly name: string; readonly value: Uint8Array | string | null }>
  readonly timestamp?: number
}

/** A Kafka record to be written, in bytes. */
export interface OutgoingRecord extends WritableRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: ReadonlyArray<RecordHeader>
}
