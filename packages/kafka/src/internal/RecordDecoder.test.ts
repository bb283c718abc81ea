import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import { recordDecoder } from "./RecordDecoder.ts"

const require = createRequire(import.meta.url)
const decode = recordDecoder(require)

interface Encoder {
  writeInt8(value: number): Encoder
  writeVarLong(value: unknown): Encoder
  writeVarInt(value: number): Encoder
  writeVarIntBytes(value: Buffer | null): Encoder
  writeVarIntString(value: string): Encoder
  readonly buffer: Buffer
}

const Encoder = require("kafkajs/src/protocol/encoder") as new() => Encoder

const context = (firstOffset: string, firstTimestamp: string, timestampType = 0) => ({
  firstOffset,
  firstTimestamp,
  timestampType,
  maxTimestamp: "99",
  magicByte: 2
})

const encode = (sinceFirst: unknown, offsetDelta: number) =>
  new Encoder().writeInt8(0).writeVarLong(sinceFirst).writeVarInt(offsetDelta).writeVarIntBytes(Buffer.from("k"))
    .writeVarIntBytes(null).writeVarInt(3).writeVarIntString("ü").writeVarIntBytes(Buffer.from([0xff]))
    .writeVarIntString("")
    .writeVarIntBytes(null).writeVarIntString("ü").writeVarIntBytes(Buffer.alloc(300)).buffer

describe("the record decoder", () => {
  it("reads keys, values and headers, in their order", () => {
    const decoder = { buffer: encode(5, 300), offset: 0 }
    const batch = context("9000000000", "1795000000000")
    assert.deepStrictEqual<unknown>(decode(decoder, batch), {
      magicByte: 2,
      attributes: 0,
      timestamp: "1795000000005",
      offset: "9000000300",
      key: Buffer.from("k"),
      value: null,
      headers: [
        { name: "ü", value: Buffer.from([0xff]) },
        { name: "", value: null },
        { name: "ü", value: Buffer.alloc(300) }
      ],
      isControlRecord: false,
      batchContext: batch
    })
    assert.strictEqual(decoder.offset, decoder.buffer.length)
  })

  it.each([
    ["1795000000000", -1n, "1794999999999"],
    ["1795000000000", 2n ** 47n, "142532488355328"],
    ["1795000000000", 2n ** 55n, "36030592018963968"],
    ["-1", -(2n ** 62n), "-4611686018427387905"],
    ["9223372036854775807", -(2n ** 63n), "-1"],
    ["0", 2n ** 63n - 1n, "9223372036854775807"]
  ])("counts times from %s by %s", (first, sinceFirst, expected) => {
    assert.strictEqual(decode({ buffer: encode(sinceFirst, 0), offset: 0 }, context("0", first)).timestamp, expected)
  })

  it("takes the broker's time where the topic goes by that, and the right batch's offsets", () => {
    const batches = [context("10", "0", 1), context("20", "7")]
    const read = batches.map((batch) => decode({ buffer: encode(1, 2), offset: 0 }, batch))
    assert.deepStrictEqual(read.map(({ offset, timestamp }) => [offset, timestamp]), [["12", "99"], ["22", "8"]])
  })
})
