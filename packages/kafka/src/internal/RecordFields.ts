import type { RecordHeader } from "@origin-regions/domain/SourceRecord"

/** A varint holds 7 bits in each byte, and a number is exact with 53. */
const EXACT_BYTES = 7

/** Reads a record's fields, one after the other. Source: Kafka's message format, "Record" (magic 2). */
export class RecordFields {
  buffer: Buffer = Buffer.alloc(0)
  at = 0

  #unsigned(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.buffer[this.at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  varint(): number {
    const value = this.#unsigned()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** Of up to ten bytes: a producer can put any two times into one batch. */
  varlong(): number | bigint {
    let length = 1
    while ((this.buffer[this.at + length - 1] ?? 0) >= 0x80) length += 1
    if (length <= EXACT_BYTES) return this.varint()
    let value = 0n
    for (let index = length - 1; index >= 0; index--) {
      value = (value << 7n) | BigInt((this.buffer[this.at + index] ?? 0) & 0x7f)
    }
    this.at += length
    return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
  }

  bytes(): Buffer | null {
    const length = this.varint()
    return length < 0 ? null : this.buffer.subarray(this.at, this.at += length)
  }

  text(): string {
    const length = this.varint()
    return this.buffer.toString("utf8", this.at, this.at += length)
  }

  headers(): ReadonlyArray<RecordHeader> {
    const headers: Array<RecordHeader> = []
    for (let left = this.varint(); left > 0; left--) headers.push({ name: this.text(), value: this.bytes() })
    return headers
  }
}
