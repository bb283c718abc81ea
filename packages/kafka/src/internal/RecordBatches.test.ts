import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import type { AbortedTransaction } from "./FetchRequest.ts"
import { recordBatches, type ScannedRecord } from "./RecordBatches.ts"

const readBatches = recordBatches(createRequire(import.meta.url))

interface BatchParts {
  readonly first: number
  readonly lastDelta: number
  /** Each record in its bytes, with its length before it. */
  readonly records?: ReadonlyArray<Buffer>
  readonly attributes?: number
  readonly producer?: bigint
  readonly times?: readonly [bigint, bigint]
}

const batchOf = ({ attributes = 0, first, lastDelta, producer = -1n, records = [], times = [0n, 0n] }: BatchParts) => {
  const head = Buffer.alloc(61)
  const body = Buffer.concat(records)
  head.writeBigInt64BE(BigInt(first), 0)
  head.writeInt32BE(49 + body.length, 8)
  head.writeInt8(2, 16)
  head.writeInt16BE(attributes, 21)
  head.writeInt32BE(lastDelta, 23)
  head.writeBigInt64BE(times[0], 27)
  head.writeBigInt64BE(times[1], 35)
  head.writeBigInt64BE(producer, 43)
  head.writeInt32BE(records.length, 57)
  return Buffer.concat([head, body])
}

const bytes = (part: Buffer | null) => part === null ? Buffer.from([1]) : Buffer.from([part.length * 2, ...part])

/** A record of at most 63 bytes: `delta` is its offset in the batch, its key and value are as given, and it has no header. */
const recordOf = (delta: number, key: Buffer | null, value: string) => {
  const body = Buffer.concat([Buffer.from([0, 2, delta * 2]), bytes(key), bytes(Buffer.from(value)), Buffer.from([0])])
  return Buffer.concat([Buffer.from([body.length * 2]), body])
}

const readAll = async (batches: ReadonlyArray<Buffer>, from = 0, aborted: ReadonlyArray<AbortedTransaction> = []) => {
  const seen: Array<ScannedRecord> = []
  const records = Buffer.concat(batches)
  const answer = { partition: 0, errorCode: 0, highWatermark: 100, lastStableOffset: 100, aborted, records }
  const next = await readBatches(answer, from, (record) => seen.push(record))
  return { next, seen, values: seen.map(({ offset, value }) => [offset, String(value)]) }
}

const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const ABORT = Buffer.from([0, 0, 0, 0])
const COMMIT = Buffer.from([0, 0, 0, 1])

const transactional = (first: number, producer: bigint) =>
  batchOf({ first, lastDelta: 0, producer, attributes: TRANSACTIONAL, records: [recordOf(0, null, `${producer}`)] })
const marker = (first: number, producer: bigint, key: Buffer) =>
  batchOf({ first, lastDelta: 0, producer, attributes: TRANSACTIONAL | CONTROL, records: [recordOf(0, key, "")] })

describe("RecordBatches", () => {
  it("go on behind what compaction has emptied, wholly or at the end", async () => {
    const batches = [
      batchOf({ first: 0, lastDelta: 4 }),
      batchOf({ first: 5, lastDelta: 9, records: [recordOf(2, null, "left")] })
    ]
    const { next, values } = await readAll(batches)
    assert.deepStrictEqual([next, values], [15, [[7, "left"]]])
    assert.strictEqual((await readAll(batches.slice(0, 1))).next, 5)
  })

  it("leave out what lies before, and a last batch that is cut off", async () => {
    const whole = batchOf({
      first: 0,
      lastDelta: 2,
      records: ["a", "b", "c"].map((value, at) => recordOf(at, null, value))
    })
    const { next, values } = await readAll([whole, whole.subarray(0, 70)], 1)
    assert.deepStrictEqual([next, values], [3, [[1, "b"], [2, "c"]]])
    assert.strictEqual((await readAll([Buffer.alloc(20)], 1)).next, 1)
  })

  it("leave out transactions that were aborted, and no others of the same producers", async () => {
    const batches = [
      transactional(0, 1n),
      transactional(1, 2n),
      transactional(2, 1n),
      marker(3, 1n, ABORT),
      transactional(4, 1n),
      marker(5, 2n, COMMIT),
      marker(6, 1n, COMMIT),
      transactional(7, 2n),
      marker(8, 2n, ABORT)
    ]
    const aborted = [{ producerId: 2n, firstOffset: 7 }, { producerId: 1n, firstOffset: 0 }]
    const { next, values } = await readAll(batches, 0, aborted)
    assert.deepStrictEqual([next, values], [9, [[1, "2"], [4, "1"]]])
  })

  it("have the producer's times or the broker's", async () => {
    const records = [recordOf(0, null, "a")]
    const times = [1_795_000_000_000n, 1_795_000_000_999n] as const
    const produced = await readAll([batchOf({ first: 0, lastDelta: 0, records, times })])
    assert.strictEqual(produced.seen[0]?.timestamp, 1_795_000_000_001)
    const appended = await readAll([batchOf({ first: 0, lastDelta: 0, records, times, attributes: 0x08 })])
    assert.strictEqual(appended.seen[0]?.timestamp, 1_795_000_000_999)
  })

  it("are refused in a format of before Kafka 0.11", async () => {
    const old = batchOf({ first: 0, lastDelta: 0 })
    old.writeInt8(1, 16)
    const refused = await readAll([old]).then(() => undefined, (error: unknown) => error)
    assert.match(String(refused), /before 0\.11/)
  })
})
