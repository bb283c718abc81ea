import { assert, describe, it } from "@effect/vitest"
import { topicDifferences, type TopicLayout, topicLayouts } from "./TopicLayout.ts"

const topics = { requestsTopic: "requests", outcomesTopic: "outcomes", deadLettersTopic: "dead-letters" }

const asItIs = ({ configs, partitions, replicationFactor }: TopicLayout) => ({
  partitions,
  replicationFactor,
  configs: new Map(Object.entries(configs))
})

const copies = (brokers: number) =>
  topicLayouts(topics, { brokers }).map(({ configs, replicationFactor }) => [
    replicationFactor,
    configs["min.insync.replicas"]
  ])

const [requests, outcomes, deadLetters] = topicLayouts(topics, { brokers: 3 })
const differencesOf = (layout: TopicLayout | undefined, found: Parameters<typeof topicDifferences>[1]) =>
  (layout === undefined ? [] : topicDifferences(layout, found)).map(({ expected, found, setting }) =>
    `${setting}: ${found}, ${expected}`
  )
const having = (layout: TopicLayout | undefined, configs: Readonly<Record<string, string>>) => ({
  partitions: 12,
  replicationFactor: 3,
  configs: new Map([...Object.entries(layout?.configs ?? {}), ...Object.entries(configs)])
})

describe("topicLayouts", () => {
  it("keeps as many copies as there can be, up to three, of which two are written", () => {
    assert.deepStrictEqual(copies(1), [[1, "1"], [1, "1"], [1, "1"]])
    assert.deepStrictEqual(copies(2), [[2, "1"], [2, "1"], [2, "1"]])
    assert.deepStrictEqual(copies(9), [[3, "2"], [3, "2"], [3, "2"]])
  })

  it("takes partitions and copies that are asked for", () => {
    const layouts = topicLayouts(topics, { brokers: 9, partitions: 2, replicationFactor: 5 })
    assert.deepStrictEqual(layouts.map(({ partitions, replicationFactor }) => [partitions, replicationFactor]), [
      [2, 5],
      [2, 5],
      [2, 5]
    ])
  })
})

describe("topicDifferences", () => {
  it("finds none in a topic as it was created, nor in one with more of what may be more", () => {
    for (const layout of [requests, outcomes, deadLetters]) {
      if (layout !== undefined) assert.deepStrictEqual(topicDifferences(layout, asItIs(layout)), [])
      const more = { "retention.ms": "-1", "max.message.bytes": "9000000", "min.insync.replicas": "3" }
      assert.deepStrictEqual(differencesOf(layout, having(layout, more)), [])
    }
    assert.deepStrictEqual(differencesOf(outcomes, having(outcomes, { "cleanup.policy": "compact" })), [])
  })

  it("names each", () => {
    assert.deepStrictEqual(
      differencesOf(requests, {
        partitions: 6,
        replicationFactor: 1,
        configs: new Map([["cleanup.policy", "compact"], ["retention.bytes", "5"], ["retention.ms", "1000"]])
      }),
      [
        "partitions: 6, 12 or more",
        "replication factor: 1, 3 or more",
        "retention.ms: 1000, 604800000 or more",
        "cleanup.policy: compact, delete",
        "retention.bytes: 5, -1"
      ]
    )
    assert.deepStrictEqual(differencesOf(deadLetters, having(deadLetters, { "max.message.bytes": "1048588" })), [
      "max.message.bytes: 1048588, 2097152 or more"
    ])
    assert.deepStrictEqual(differencesOf(outcomes, having(outcomes, { "min.insync.replicas": "4" })), [
      "min.insync.replicas: 4, at most 3"
    ])
  })

  it("takes settings for good that may not be read", () => {
    assert.deepStrictEqual(
      differencesOf(requests, { partitions: 12, replicationFactor: 3, configs: undefined }),
      []
    )
  })
})
