/** The encoding of Kafka's flexible versions (KIP-482) by means of kafkajs' encoder and decoder, which know most but not all of it. */

export interface Encoder {
  writeUVarInt(value: number): Encoder
  writeUVarIntString(value: string | null): Encoder
  writeInt8(value: number): Encoder
  writeInt16(value: number): Encoder
  writeInt32(value: number): Encoder
  writeInt64(value: unknown): Encoder
  writeBoolean(value: boolean): Encoder
}

export interface Decoder {
  readInt16(): number
  readInt32(): number
  readInt64(): { toString(): string }
  readUVarInt(): number
  readUVarIntString(): string | null
  readUVarIntArray<A>(read: (decoder: Decoder) => A): Array<A> | null
  forward(bytes: number): void
}

/** An empty section of tagged fields; also what makes a version 1 request header a flexible one. */
export const noTags = (encoder: Encoder): Encoder => encoder.writeUVarInt(0)

export const skipTags = (decoder: Decoder): void => {
  for (let left = decoder.readUVarInt(); left > 0; left--) {
    decoder.readUVarInt()
    decoder.forward(decoder.readUVarInt())
  }
}

export const writeList = <A>(encoder: Encoder, items: ReadonlyArray<A>, write: (item: A) => void): void => {
  encoder.writeUVarInt(items.length + 1)
  for (const item of items) write(item)
}

export const writeTopics = <P>(
  encoder: Encoder,
  topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<P> }>,
  writePartition: (partition: P) => void
): void =>
  writeList(encoder, topics, ({ partitions, topic }) => {
    encoder.writeUVarIntString(topic)
    writeList(encoder, partitions, writePartition)
    noTags(encoder)
  })

/** Reads structures, each of which ends with tagged fields. */
export const readList = <A>(decoder: Decoder, read: (decoder: Decoder) => A): ReadonlyArray<A> =>
  decoder.readUVarIntArray((item) => {
    const value = read(item)
    skipTags(item)
    return value
  }) ?? []

export const readTopics = <A>(decoder: Decoder, readPartition: (decoder: Decoder) => A) =>
  readList(decoder, (topics) => ({
    topic: topics.readUVarIntString() ?? "",
    partitions: readList(topics, readPartition)
  }))

/** A request for a broker, as kafkajs' connections take it. */
export interface ProtocolRequest<A> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    readonly encode: () => Promise<Encoder>
  }
  readonly response: {
    readonly decode: (bytes: Buffer) => Promise<A>
    readonly parse: (data: A) => Promise<A>
  }
}
