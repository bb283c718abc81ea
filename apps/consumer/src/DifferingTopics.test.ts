import { assert, describe, it } from "@effect/vitest"
import { differingTopics } from "./DifferingTopics.ts"

const FIX =
  "Each topic is worked on by its own members alone. Finish the roll-out of REQUESTS_TOPIC, or give each deployment its own KAFKA_GROUP_ID and carry its offsets over"

describe("differingTopics", () => {
  it("says nothing of members that are all subscribed to one topic", () => {
    assert.isUndefined(differingTopics("g", new Map([["a", ["10.0.0.1", "10.0.0.2"]]])))
    assert.isUndefined(differingTopics("g", new Map()))
  })

  it("says which topics they are, how many members each has, and where those are", () => {
    assert.strictEqual(
      differingTopics("g", new Map([["b", ["10.0.0.2", "10.0.0.1", "10.0.0.1"]], ["a", ["10.0.0.3"]]])),
      `members of the group g are subscribed to different topics: a (1 member, on 10.0.0.3); b (3 members, on 10.0.0.1 and 10.0.0.2). ${FIX}`
    )
  })

  it("names a few of many hosts", () => {
    assert.strictEqual(
      differingTopics("g", new Map([["a", ["h5", "h4", "h3", "h2", "h1"]], ["b", ["h6"]]])),
      `members of the group g are subscribed to different topics: a (5 members, on h1, h2, h3 and 2 more); b (1 member, on h6). ${FIX}`
    )
  })
})
