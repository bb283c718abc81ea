import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import "./PatchedKafkaJS.ts"

const require = createRequire(import.meta.url)

interface Asked {
  readonly topic: string
  readonly partitions: ReadonlyArray<{ readonly partition: number }>
}

interface Cluster {
  metadata(options?: { readonly topics?: ReadonlyArray<string> }): Promise<unknown>
  fetchTopicsOffset(topics: ReadonlyArray<Asked>): Promise<ReadonlyArray<unknown>>
}

const { prototype } = require("kafkajs/src/cluster") as { readonly prototype: object }

const nameOf = (failing: Promise<unknown>) =>
  failing.then(() => "no error", (error: unknown) => error instanceof Error ? error.name : String(error))

const listOffsets = async ({ topics }: { readonly topics: ReadonlyArray<Asked> }) => ({
  responses: topics.map(({ partitions, topic }) => ({
    topic,
    partitions: partitions.map(({ partition }) => ({ partition, offset: "7" }))
  }))
})

describe("kafkajs' offsets of topics", () => {
  let refreshed = 0
  const cluster: Cluster = Object.assign(Object.create(prototype), {
    brokerPool: {
      metadata: { topicMetadata: [{ topic: "known", partitionMetadata: [{ partitionId: 0, leader: 1 }] }] }
    },
    findBroker: async () => ({ listOffsets }),
    refreshMetadata: async () => {
      refreshed += 1
    }
  })

  it("are those of all partitions that were asked for, or none", async () => {
    const first = { topic: "known", partitions: [{ partition: 0 }] }
    const offsets = [{ topic: "known", partitions: [{ partition: 0, offset: "7" }] }]
    assert.deepStrictEqual(await cluster.fetchTopicsOffset([first]), offsets)
    assert.deepStrictEqual(await cluster.fetchTopicsOffset([first, { topic: "other", partitions: [] }]), offsets)
    assert.strictEqual(refreshed, 0)
    for (
      const unknown of [
        [{ topic: "known", partitions: [{ partition: 0 }, { partition: 1 }] }],
        [first, { topic: "other", partitions: [{ partition: 0 }] }],
        [{ topic: "other", partitions: [] }]
      ]
    ) {
      refreshed = 0
      assert.strictEqual(await nameOf(cluster.fetchTopicsOffset(unknown)), "KafkaJSTopicMetadataNotLoaded")
      assert.strictEqual(refreshed, 1)
    }
  })
})

const clusterOf = (answer: unknown) => {
  const asked: Array<ReadonlyArray<string>> = []
  const cluster: Cluster = Object.assign(Object.create(prototype), {
    targetTopics: new Set(["before"]),
    retrier: async (attempt: (bail: (error: Error) => void) => Promise<unknown>) => {
      let bailed: Error | undefined
      const result = await attempt((error) => {
        bailed = error
      })
      if (bailed !== undefined) throw bailed
      return result
    },
    brokerPool: {
      refreshMetadataIfNecessary: async (topics: ReadonlyArray<string>) => void asked.push(topics),
      withBroker: async () => answer
    }
  })
  return { asked, cluster }
}

describe("kafkajs' metadata of topics", () => {
  it("forget none that was asked about before", async () => {
    const { asked, cluster } = clusterOf("metadata")
    assert.strictEqual(await cluster.metadata({ topics: ["now"] }), "metadata")
    assert.strictEqual(await cluster.metadata(), "metadata")
    assert.deepStrictEqual(asked, [["now", "before"], ["before"]])
  })

  it("are an error where no broker answers", async () => {
    assert.strictEqual(await nameOf(clusterOf(null).cluster.metadata({ topics: ["now"] })), "KafkaJSBrokerNotFound")
  })
})
