import { assert, describe, it } from "@effect/vitest"
import { javaCompatible } from "./Partitioner.ts"
import { Partitioners } from "./PatchedKafkaJS.ts"

describe("the partitioner", () => {
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
