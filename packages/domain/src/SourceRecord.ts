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

/** A Kafka record to be written. */
export interface OutgoingRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: ReadonlyArray<RecordHeader>
}
