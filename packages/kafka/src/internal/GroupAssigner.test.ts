import { assert, describe, it } from "@effect/vitest"
import { type GroupSubscriber, share, subscriptionOf } from "./GroupAssigner.ts"
import { MemberMetadata } from "./PatchedKafkaJS.ts"

const member = (memberId: string, topic: string, partitions = 0): GroupSubscriber => ({
  memberId,
  topics: [topic],
  partitions
})

describe("share", () => {
  it("deals a topic's partitions to its members in turn", () => {
    assert.deepStrictEqual(
      share([member("m2", "a"), member("m1", "a"), member("m3", "a")], new Map([["a", 5]])),
      new Map([["m1", { a: [0, 3] }], ["m2", { a: [1, 4] }], ["m3", { a: [2] }]])
    )
  })

  it("leaves members in reserve where there are more of them than partitions", () => {
    assert.deepStrictEqual(
      share([member("m1", "a"), member("m2", "a")], new Map([["a", 1]])),
      new Map([["m1", { a: [0] }]])
    )
  })

  it("gives nobody a partition of a topic that it is not subscribed to, and leaves none out", () => {
    assert.deepStrictEqual(
      share([member("m1", "a", 3), member("m2", "b", 2), member("m3", "b", 4)], new Map([["a", 3]])),
      new Map([["m1", { a: [0, 1, 2] }], ["m2", { b: [0, 2] }], ["m3", { b: [1, 3] }]])
    )
  })

  it("goes by what the leader knows of its own topic, whatever others have last seen of it", () => {
    assert.deepStrictEqual(share([member("m1", "a", 9)], new Map([["a", 2]])), new Map([["m1", { a: [0, 1] }]]))
  })

  it("gives nothing of a topic of others whose partitions nobody tells", () => {
    assert.deepStrictEqual(
      share([member("m1", "a"), member("m2", "b")], new Map([["a", 1]])),
      new Map([["m1", { a: [0] }]])
    )
  })
})

const joinedWith = (userData: string) =>
  subscriptionOf(MemberMetadata.encode({ version: 0, topics: ["a"], userData: Buffer.from(userData) }))

describe("subscriptionOf", () => {
  it("reads how many partitions a member's topic has", () => {
    assert.deepStrictEqual(joinedWith("7 12"), { topics: ["a"], partitions: 12 })
  })

  it.each(["", "7", "7 1e9", "7 9999999", "7 -1", "x y"])("takes no number from %o", (userData) => {
    assert.deepStrictEqual(joinedWith(userData), { topics: ["a"], partitions: 0 })
  })

  it("takes nothing from what is no subscription", () => {
    assert.deepStrictEqual(subscriptionOf(Buffer.alloc(0)), { topics: [], partitions: 0 })
    assert.deepStrictEqual(subscriptionOf(Buffer.from([0, 0, 127, 255, 255, 255])), { topics: [], partitions: 0 })
  })
})
