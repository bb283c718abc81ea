import { assert, describe, it } from "@effect/vitest"
import { keyPartition, murmur2 } from "./KeyPartition.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("keyPartition", () => {
  // Vectors of Kafka's own UtilsTest.
  it.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107]
  ])("goes by the hash of %s that Java has", (text, hash) => {
    assert.strictEqual(murmur2(bytes(text)), hash)
    // Without the sign: Java's absolute value of the smallest number is negative still.
    assert.strictEqual(keyPartition(bytes(text), 12), (hash & 0x7fffffff) % 12)
  })
})
