import { assert, describe, it } from "@effect/vitest"
import type { WritableRecord } from "@origin-regions/domain/SourceRecord"
import { seededChoices } from "@origin-regions/testkit/SeededChoices"
import { createRequire } from "node:module"
import { CompressionTypes } from "./PatchedKafkaJS.ts"
import { type Encoder, type Produce, produceRequest, requestEncoder } from "./ProduceRequest.ts"

const require = createRequire(import.meta.url)

/** A module of kafkajs as it comes, and not as we have replaced it. */
const original = (path: string): unknown => {
  const id = require.resolve(path)
  const replaced = require.cache[id]
  delete require.cache[id]
  const theirs = require(path)
  require.cache[id] = replaced
  return theirs
}

interface Request {
  readonly apiKey: number
  readonly apiVersion: number
  readonly encode: () => Promise<Encoder>
}

const theirs = original("kafkajs/src/protocol/requests/produce/v3/request") as (produce: object) => Request
const ours = produceRequest(require)
const theirRequest = original("kafkajs/src/protocol/request") as typeof ourRequest
const ourRequest = requestEncoder(require)

const now = Date.UTC(2026, 10, 24)

/** kafkajs takes buffers and text, and headers by name. */
const asTheyTakeIt = (produce: Produce) => ({
  ...produce,
  topicData: produce.topicData.map(({ partitions, topic }) => ({
    topic,
    partitions: partitions.map((partition) => ({
      ...partition,
      messages: partition.messages.map(({ headers = [], key = null, timestamp, value = null }) => ({
        key: typeof key === "string" || key === null ? key : Buffer.from(key),
        value: typeof value === "string" || value === null ? value : Buffer.from(value),
        timestamp,
        headers: Object.fromEntries(headers.map((header) => [header.name, Buffer.from(header.value ?? "")]))
      }))
    }))
  }))
})

const { below } = seededChoices("produce requests")

const texts = ["", "a", "zone/10.0.0.1", "ü€😀", "x".repeat(63), "x".repeat(64), "x".repeat(8191), "x".repeat(20_000)]
const text = () => texts[below(texts.length)] ?? ""
const part = () => [null, text(), new TextEncoder().encode(text())][below(3)] ?? null

const record = (): WritableRecord & { readonly timestamp: number } => ({
  key: part(),
  value: part(),
  headers: Array.from({ length: below(5) }, (_, index) => ({ name: `h${index}${text()}`, value: text() })),
  timestamp: now + below(3) * 100_000_000
})

const produce = (overrides: Partial<Produce> = {}): Produce => ({
  acks: -1,
  timeout: 30_000,
  transactionalId: [null, "id-ü"][below(2)] ?? null,
  producerId: [-1, 4_000, "9007199254740993"][below(3)] ?? -1,
  producerEpoch: below(100),
  topicData: Array.from({ length: 1 + below(2) }, (_, topic) => ({
    topic: `topic-${topic}`,
    partitions: Array.from({ length: 1 + below(3) }, (_, partition) => ({
      partition,
      firstSequence: below(1000),
      messages: Array.from({ length: 1 + below(60) }, record)
    }))
  })),
  ...overrides
})

const encoded = async (request: Request) => (await request.encode()).buffer

describe("a produce request", () => {
  it("is byte for byte what kafkajs makes of it", async () => {
    for (let round = 0; round < 10; round++) {
      const request = produce()
      const [expected, actual] = [await encoded(theirs(asTheyTakeIt(request))), await encoded(ours(request))]
      assert.isTrue(actual.equals(expected), `round ${round}`)
    }
  })

  it("is so where its records are compressed", async () => {
    const request = produce({ compression: CompressionTypes.GZIP })
    assert.isTrue((await encoded(ours(request))).equals(await encoded(theirs(asTheyTakeIt(request)))))
  })

  it("has headers in their order, repeated, and without a value", async () => {
    const headers = [{ name: "b", value: "1" }, { name: "1", value: null }, {
      name: "b",
      value: new Uint8Array([0xff])
    }]
    const bytes = await encoded(
      ours(produce({
        topicData: [{ topic: "t", partitions: [{ partition: 0, messages: [{ key: null, value: null, headers }] }] }]
      }))
    )
    // Length, attributes, time, offset, no key, no value, three headers; lengths are zigzag varints.
    const expected = [28, 0, 0, 0, 1, 1, 6, 2, 0x62, 2, 0x31, 2, 0x31, 1, 2, 0x62, 2, 0xff]
    assert.deepStrictEqual([...bytes.subarray(-expected.length)], [(expected.length - 1) * 2, ...expected.slice(1)])
  })
})

describe("a request", () => {
  it.each(["client-ü", null])(
    "has the same in front of it as kafkajs puts there, for the client %s",
    async (clientId) => {
      const of = { clientId, correlationId: 77, request: ours(produce()) }
      const bytes = (await ourRequest(of)).buffer
      assert.isTrue(bytes.equals((await theirRequest(of)).buffer))
    }
  )
})
