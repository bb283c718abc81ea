import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { deadLetter, deadLetterHeaders } from "./DeadLetter.ts"
import type { OutgoingRecord, RecordHeader, SourceRecord } from "./SourceRecord.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const record: SourceRecord = {
  topic: "origin-regions.requests",
  partition: 3,
  offset: 41,
  timestamp: Date.UTC(2026, 10, 24, 9, 30),
  key: Uint8Array.of(0, 255),
  value: Uint8Array.of(0xef, 0xbb, 0xbf, 0, 255),
  headers: [
    { name: "content-type", value: encoder.encode("application/json") },
    { name: "twice", value: Uint8Array.of(1) },
    { name: "Twice", value: Uint8Array.of(255) },
    { name: "twice", value: null }
  ]
}

const outcome = { id: "66a7c196-4bee-5bbe-ac6e-ad3ce114f7b8", code: "malformed_request" }

const texts = (headers: ReadonlyArray<RecordHeader>) =>
  headers.map(({ name, value }) => [name, value === null ? null : decoder.decode(value)])

const added = [
  ["origin-regions-outcome-id", outcome.id],
  ["origin-regions-reason", "malformed_request"],
  ["origin-regions-topic", "origin-regions.requests"],
  ["origin-regions-partition", "3"],
  ["origin-regions-offset", "41"],
  ["origin-regions-timestamp", "2026-11-24T09:30:00.000Z"]
]

/** An unsigned varint of Kafka's record format, zigzag included. */
const varintLength = (number: number): number => {
  let length = 1
  for (let rest = number * 2; rest > 127; rest = Math.floor(rest / 128)) length += 1
  return length
}

/**
 * What a broker counts against `max.message.bytes`: a batch of this one record, uncompressed. Source: Kafka's record batch format, version 2, with
 * timestamp and offset deltas of 0.
 */
const batchSize = ({ headers, key, value }: OutgoingRecord): number => {
  const field = (bytes: Uint8Array | null): number => varintLength(bytes?.length ?? 1) + (bytes?.length ?? 0)
  const body = 3 + field(key) + field(value) + varintLength(headers.length)
    + headers.reduce((sum, header) => sum + field(encoder.encode(header.name)) + field(header.value), 0)
  return 61 + varintLength(body) + body
}

describe("deadLetter", () => {
  it("is the record byte for byte, behind headers that say where it came from and why", () => {
    const letter = deadLetter(record, outcome, 1_000_000)
    assert.deepStrictEqual(letter.key, record.key)
    assert.deepStrictEqual(letter.value, record.value)
    assert.deepStrictEqual(texts(letter.headers.slice(0, 6)), added)
    assert.deepStrictEqual(letter.headers.slice(6), record.headers)
  })

  it("keeps null apart from empty", () => {
    const none = deadLetter({ ...record, key: null, value: null }, outcome, 1_000_000)
    assert.isNull(none.key)
    assert.isNull(none.value)
    const empty = deadLetter({ ...record, key: new Uint8Array(), value: new Uint8Array() }, outcome, 1_000_000)
    assert.deepStrictEqual(empty.key, new Uint8Array())
    assert.deepStrictEqual(empty.value, new Uint8Array())
    assert.isNull(deadLetter({ ...record, value: null, headers: bigHeaders(20) }, outcome, 1100).value)
  })

  it("has no timestamp where the record has none", () => {
    const letter = deadLetter({ ...record, timestamp: -1 }, outcome, 1_000_000)
    assert.deepStrictEqual(texts(letter.headers)[5], ["origin-regions-timestamp", null])
  })

  it("has the headers that are published, and no others", () => {
    const letter = deadLetter({ ...record, value: new Uint8Array(2000), headers: [] }, outcome, 1500)
    assert.deepStrictEqual(letter.headers.map(({ name }) => name), Object.keys(deadLetterHeaders))
  })

  it("cuts off the value where there is no room, and says so", () => {
    const value = Uint8Array.from({ length: 2000 }, (_, index) => index)
    const letter = deadLetter({ ...record, value }, outcome, 1500)
    assert.deepStrictEqual(texts(letter.headers.slice(0, 7)), [...added, ["origin-regions-truncated", "true"]])
    assert.deepStrictEqual(letter.headers.slice(7), record.headers)
    assert.deepStrictEqual(letter.key, record.key)
    const kept = letter.value?.length ?? 0
    assert.isAbove(kept, 700)
    assert.deepStrictEqual(letter.value, value.subarray(0, kept))
  })

  it("leaves out the headers that do not fit, and keeps those that do", () => {
    const [small] = record.headers
    const headers = [...bigHeaders(1, 5000), ...(small === undefined ? [] : [small])]
    const letter = deadLetter({ ...record, headers }, outcome, 1500)
    assert.deepStrictEqual(letter.headers.slice(7), [small])
    assert.deepStrictEqual(letter.value, record.value)
  })

  it("says truncated only where it is", () => {
    const limit = limitFor(record)
    const whole = deadLetter(record, outcome, limit)
    assert.deepStrictEqual(whole.value, record.value)
    assert.notInclude(whole.headers.map(({ name }) => name), "origin-regions-truncated")
    const cut = deadLetter(record, outcome, limit - 1)
    assert.include(cut.headers.map(({ name }) => name), "origin-regions-truncated")
  })

  const Size = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3000 }))
  const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
  const Headers = Schema.Array(Schema.Union([Small, Small, Small, Small, Size])).check(Schema.isMaxLength(200))
  const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1024, maximum: 6000 }))

  it.prop("never exceeds the limit", [Size, Size, Headers, Limit], ([keySize, valueSize, headerSizes, limit]) => {
    const key = new Uint8Array(keySize)
    const value = new Uint8Array(valueSize)
    const headers = headerSizes.map((size) => ({ name: "h".repeat(size % 50), value: new Uint8Array(size) }))
    const topic = "t".repeat(249)
    const source = { ...record, topic, partition: 2_147_483_647, offset: Number.MAX_SAFE_INTEGER, key, value, headers }
    const letter = deadLetter(source, outcome, limit)
    assert.isAtMost(batchSize(letter), limit)
    assert.strictEqual(letter.headers[0]?.name, "origin-regions-outcome-id")
    const truncated = letter.headers.some(({ name }) => name === "origin-regions-truncated")
    const whole = letter.key?.length === keySize && letter.value?.length === valueSize
      && letter.headers.length === headers.length + (truncated ? 7 : 6)
    assert.strictEqual(truncated, !whole)
  }, { arbitrary: { runs: 1000, size: 200 } })
})

const bigHeaders = (count: number, size = 200): ReadonlyArray<RecordHeader> =>
  Array.from({ length: count }, () => ({ name: "big", value: new Uint8Array(size) }))

/** The least limit under which the record stays whole. */
const limitFor = (source: SourceRecord): number => {
  let limit = 0
  while (deadLetter(source, outcome, limit).headers.some(({ name }) => name === "origin-regions-truncated")) limit += 1
  return limit
}
