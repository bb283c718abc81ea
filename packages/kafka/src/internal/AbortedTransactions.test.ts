import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import { filterAborted } from "./AbortedTransactions.ts"

const require = createRequire(import.meta.url)

interface Message {
  readonly offset: string
  readonly key: Uint8Array | null
  readonly isControlRecord: boolean
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean }
}

const record = (offset: number, producerId: string, key: Uint8Array | null = null): Message => ({
  offset: String(offset),
  key,
  isControlRecord: false,
  batchContext: { producerId, inTransaction: true }
})
const plain = (offset: number, producerId = "-1"): Message => ({
  ...record(offset, producerId),
  batchContext: { producerId, inTransaction: false }
})
const marker = (offset: number, producerId: string, type: "abort" | "commit"): Message => ({
  ...record(offset, producerId, new Uint8Array([0, 0, 0, type === "abort" ? 0 : 1])),
  isControlRecord: true
})
const aborted = (producerId: string, firstOffset: number) => ({ producerId, firstOffset: String(firstOffset) })

type Filter = typeof filterAborted

const left = (
  messages: ReadonlyArray<Message>,
  abortedTransactions: ReadonlyArray<ReturnType<typeof aborted>> | null,
  filter: Filter = filterAborted
) => filter({ messages, abortedTransactions }).map(({ offset }) => Number(offset))

describe("filterAborted", () => {
  // Both begin before the first record that is looked at.
  const twoAtOnce = [
    record(10, "2"),
    record(11, "2"),
    record(12, "1"),
    marker(13, "1", "abort"),
    marker(14, "2", "abort")
  ]
  const both = [aborted("1", 5), aborted("2", 10)]

  it("leaves nothing of several aborted transactions that are open at once", () => {
    assert.deepStrictEqual(left(twoAtOnce, both), [13, 14])
  })

  it("is needed: kafkajs' own lets the first record of every second one through", () => {
    const own = require("kafkajs/src/consumer/filterAbortedMessages") as Filter
    assert.deepStrictEqual(left(twoAtOnce, both, own), [10, 13, 14])
  })

  it("takes the list in any order", () => {
    assert.deepStrictEqual(left(twoAtOnce, both.toReversed()), [13, 14])
  })

  it("ends a transaction with its marker, and not with a record that has a marker's key", () => {
    const markerLike = new Uint8Array([0, 0, 0, 0])
    assert.deepStrictEqual(
      left([
        record(0, "1"),
        record(1, "1", markerLike),
        record(2, "1"),
        marker(3, "1", "abort"),
        record(4, "1", markerLike),
        marker(5, "1", "commit")
      ], [aborted("1", 0)]),
      [3, 4, 5]
    )
  })

  it("tells the transactions of one producer apart", () => {
    assert.deepStrictEqual(
      left([
        record(0, "1"),
        marker(1, "1", "commit"),
        record(2, "1"),
        marker(3, "1", "abort"),
        record(4, "1"),
        marker(5, "1", "commit"),
        record(6, "1"),
        marker(7, "1", "abort")
      ], [aborted("1", 2), aborted("1", 6)]),
      [0, 1, 3, 4, 5, 7]
    )
  })

  it("leaves alone what is committed, and what is in no transaction, also of a producer that aborts another", () => {
    assert.deepStrictEqual(left([record(0, "2"), plain(1), plain(2, "1"), record(3, "1")], [aborted("1", 0)]), [
      0,
      1,
      2
    ])
    assert.deepStrictEqual(left([record(0, "1"), plain(1)], []), [0, 1])
    assert.deepStrictEqual(left([record(0, "1"), plain(1)], null), [0, 1])
  })

  it("compares offsets beyond what a double can hold", () => {
    const beyond = "9007199254740993"
    const messages = [{ ...record(0, "1"), offset: "9007199254740992" }, { ...record(0, "1"), offset: beyond }]
    assert.deepStrictEqual(
      filterAborted({ messages, abortedTransactions: [{ producerId: "1", firstOffset: beyond }] }),
      messages.slice(0, 1)
    )
  })
})
