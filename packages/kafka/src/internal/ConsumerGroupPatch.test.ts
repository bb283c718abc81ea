import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import { GROUP_OWNER } from "./ConsumerGroupPatch.ts"
import "./PatchedKafkaJS.ts"

/*
 * What a membership does where coordinators and leaders move between brokers, for which it takes several of these. Here they are objects with no
 * more than what is asked of them.
 */
const require = createRequire(import.meta.url)

interface Group {
  memberId: string
  coordinator: unknown
  lastRequest: number
  offsetManager: Offsets
  heartbeat(options: { readonly interval: number }): Promise<void>
  joinAndSync(): Promise<void>
  recoverFromFetch(error: Error): Promise<void>
}

interface Offsets {
  commitOffsets(offsets: object): Promise<void>
}

const ConsumerGroup = require("kafkajs/src/consumer/consumerGroup") as new(options: object) => Group
const OffsetManager = require("kafkajs/src/consumer/offsetManager") as new(options: object) => Offsets
const { KafkaJSGroupCoordinatorNotFound, KafkaJSStaleTopicMetadataAssignment } = require("kafkajs/src/errors") as {
  readonly KafkaJSGroupCoordinatorNotFound: new(message: string) => Error
  readonly KafkaJSStaleTopicMetadataAssignment: new(message: string) => Error
}

const protocolError = (type: string) => Object.assign(new Error(type), { type, retriable: true })

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const logger = { namespace: () => silent }
const instrumentationEmitter = { emit: () => {} }

/** A coordinator that says whatever `answer` does, and counts how often it is asked. */
const coordinator = (answer: () => Promise<unknown>, connected = true) => {
  const asked = { times: 0 }
  const ask = () => {
    asked.times += 1
    return answer()
  }
  return { asked, isConnected: () => connected, heartbeat: ask, offsetCommit: ask }
}

const cluster = (found: () => Promise<unknown>) => {
  const calls: Array<string> = []
  return {
    calls,
    findGroupCoordinator: () => {
      calls.push("find coordinator")
      return found()
    },
    refreshMetadata: async () => {
      calls.push("refresh metadata")
    },
    findTopicPartitionMetadata: () => [],
    committedOffsets: () => ({})
  }
}

const member = (of: ReturnType<typeof cluster>, at: unknown) =>
  Object.assign(
    new ConsumerGroup({ cluster: of, groupId: "g", topics: ["t"], logger, instrumentationEmitter, assigners: [] }),
    { memberId: "m", lastRequest: 0, coordinator: at }
  )

const offsetsOf = (of: ReturnType<typeof cluster>, at: unknown) =>
  new OffsetManager({
    cluster: of,
    coordinator: at,
    memberAssignment: { t: [0] },
    topicConfigurations: {},
    instrumentationEmitter,
    groupId: "g",
    generationId: 1,
    memberId: "m"
  })

const commit = { topics: [{ topic: "t", partitions: [{ partition: 0, offset: "1", metadata: "" }] }] }

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("It should have failed"), (error: unknown) => error)

describe("A consumer group's member", () => {
  it("takes its heartbeats to the new coordinator, and joins nothing for it", async () => {
    for (const type of ["NOT_COORDINATOR_FOR_GROUP", "GROUP_LOAD_IN_PROGRESS"]) {
      const next = coordinator(async () => {})
      const group = member(cluster(async () => next), coordinator(() => Promise.reject(protocolError(type))))
      await group.heartbeat({ interval: 0 })
      assert.strictEqual(group.coordinator, next)
      await group.heartbeat({ interval: 0 })
      assert.strictEqual(next.asked.times, 1)
    }
  })

  it("outlives heartbeats that reach nobody", async () => {
    const gone = coordinator(() =>
      Promise.reject(Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }))
    )
    const group = member(cluster(() => Promise.reject(new KafkaJSGroupCoordinatorNotFound("none"))), gone)
    await group.heartbeat({ interval: 0 })
    await group.heartbeat({ interval: 0 })
    assert.strictEqual(gone.asked.times, 2)
  })

  it("tells its owner when a heartbeat is sent, and not when others only wait for it", async () => {
    const answers: Array<() => void> = []
    const slow = coordinator(() => new Promise<void>((resolve) => answers.push(resolve)))
    const answer = () => answers.shift()?.()
    let told = 0
    const owned = Object.assign(cluster(async () => slow), {
      [GROUP_OWNER]: { beating: () => (told += 1), joining: async () => {}, skipping: async () => true }
    })
    const group = member(owned, slow)
    const first = group.heartbeat({ interval: 0 })
    const second = group.heartbeat({ interval: 0 })
    assert.deepStrictEqual([told, slow.asked.times], [1, 1])
    answer()
    await Promise.all([first, second])
    const third = group.heartbeat({ interval: 0 })
    assert.deepStrictEqual([told, slow.asked.times], [2, 2])
    answer()
    await third
  })

  it("hears from its coordinator that the group is being rebalanced", async () => {
    const group = member(
      cluster(async () => undefined),
      coordinator(() => Promise.reject(Object.assign(protocolError("REBALANCE_IN_PROGRESS"), { retriable: false })))
    )
    assert.include(await rejection(group.heartbeat({ interval: 0 })), { type: "REBALANCE_IN_PROGRESS" })
  })

  it("takes its commits to the new coordinator, with the try after the one that was refused", async () => {
    const next = coordinator(async () => {})
    const old = coordinator(() => Promise.reject(protocolError("NOT_COORDINATOR_FOR_GROUP")))
    const offsets = offsetsOf(cluster(async () => next), old)
    assert.include(await rejection(offsets.commitOffsets(commit)), { type: "NOT_COORDINATOR_FOR_GROUP" })
    await offsets.commitOffsets(commit)
    assert.deepStrictEqual([old.asked.times, next.asked.times], [1, 1])
  })

  it("looks for a coordinator whose connection is gone before it commits", async () => {
    const next = coordinator(async () => {})
    const old = coordinator(async () => {}, false)
    await offsetsOf(cluster(async () => next), old).commitOffsets(commit)
    assert.deepStrictEqual([old.asked.times, next.asked.times], [0, 1])
  })

  it("looks for a partition's new leader without joining the group again", async () => {
    for (const error of [protocolError("NOT_LEADER_FOR_PARTITION"), protocolError("FENCED_LEADER_EPOCH")]) {
      const moved = cluster(() => Promise.reject(new Error("It joins")))
      assert.strictEqual(await rejection(member(moved, undefined).recoverFromFetch(error)), error)
      assert.deepStrictEqual(moved.calls, ["refresh metadata"])
    }
  })

  it("joins again for new partitions, once all fetches have ended", async () => {
    const grown = cluster(() => Promise.reject(new Error("It joins at once")))
    const error = await rejection(
      member(grown, undefined).recoverFromFetch(new KafkaJSStaleTopicMetadataAssignment("grown"))
    )
    assert.include(error, { type: "REBALANCE_IN_PROGRESS" })
    assert.deepStrictEqual(grown.calls, [])
  })

  it("has a join tried again that found no coordinator", async () => {
    const group = member(cluster(() => Promise.reject(new KafkaJSGroupCoordinatorNotFound("none"))), undefined)
    assert.include(await rejection(group.joinAndSync()), { retriable: true })
  })
})
