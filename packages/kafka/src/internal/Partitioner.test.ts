import { assert, describe, it } from "@effect/vitest"
import { murmur2 } from "./Murmur2.ts"
import { javaCompatible } from "./Partitioner.ts"
import { Partitioners } from "./PatchedKafkaJS.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("the partitioner", () => {
  // Vectors of Kafka's own UtilsTest.
  it.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107]
  ])("hashes %s as Java does", (text, hash) => {
    assert.strictEqual(murmur2(bytes(text)), hash)
  })

  it("chooses as kafkajs does where that is right, for keys of every length", () => {
    const partitionMetadata = Array.from({ length: 12 }, (_, partitionId) => ({ partitionId, leader: 0 }))
    const theirs = Partitioners.DefaultPartitioner()
    const ours = javaCompatible()
    for (let length = 0; length < 40; length++) {
      const key = Buffer.from(Array.from({ length }, (_, index) => (index * 37 + length * 101) % 256))
      const args = { topic: "t", partitionMetadata: partitionMetadata as never, message: { key, value: null } }
      assert.strictEqual(ours(args), theirs(args), `length ${length}`)
    }
  })
})
