import type { createRequire } from "node:module"
import { isUnreachable } from "./KafkaErrors.ts"

/** kafkajs' consumer group member, as far as it is used here. */
export interface ConsumerGroup {
  readonly generationId: number
  /** Ours: it must join before it fetches again. */
  owesJoin?: boolean
  commitOffsets(offsets: {
    readonly topics: ReadonlyArray<{
      readonly topic: string
      readonly partitions: ReadonlyArray<
        { readonly partition: number; readonly offset: string; readonly metadata: string }
      >
    }>
  }): Promise<void>
  heartbeat(options: { readonly interval: number }): Promise<void>
  leave(): Promise<void>
}

/** Who runs a consumer, and is asked where kafkajs asks nobody. Set on the consumer's cluster, which is all that both can reach. */
export interface GroupOwner {
  /** Before every attempt to join, which waits for it; a rejection ends the attempt. */
  readonly joining: (group: ConsumerGroup) => Promise<void>
  /** A heartbeat is about to be sent, if it is time for one. Its answer tells that the session goes on from then, and not from when it came. */
  readonly beating: () => void
  /** Records were deleted before they were read, and reading would go on at `offset`. Not yet where the answer is false: it is asked again. */
  readonly skipping: (partition: number, offset: number) => Promise<boolean>
}

export const GROUP_OWNER = Symbol("group owner")

interface Coordinator {
  isConnected(): boolean
}

/** One to be found anew. */
const UNKNOWN_COORDINATOR: Coordinator = { isConnected: () => false }

interface Cluster {
  findGroupCoordinator(group: { readonly groupId: string }): Promise<Coordinator>
  refreshMetadata(): Promise<void>
  fetchTopicsOffset(
    topics: ReadonlyArray<{ topic: string; partitions: ReadonlyArray<{ partition: number }>; fromBeginning: boolean }>
  ): Promise<ReadonlyArray<{ partitions: ReadonlyArray<{ offset: string }> }>>
  readonly [GROUP_OWNER]?: GroupOwner
}

interface PatchedGroup extends ConsumerGroup {
  /** Ours: calls that wait for a heartbeat; all of them wait for the same one. */
  waitingForHeartbeat?: number
  readonly logger: { warn(message: string): void }
  readonly cluster: Cluster
  readonly groupId: string
  memberId: string | null
  lastRequest: number
  coordinator: Coordinator
  joinAndSync(): Promise<void>
  fetch(nodeId: string): Promise<ReadonlyArray<unknown>>
  recoverFromFetch(error: unknown): Promise<void>
  recoverFromOffsetOutOfRange(error: unknown): Promise<void>
}

interface OffsetManager {
  readonly cluster: Cluster
  readonly groupId: string
  readonly resolvedOffsets: Record<string, Record<number, string>>
  coordinator: Coordinator
  getCoordinator(): Promise<Coordinator>
  commitOffsets(offsets: unknown): Promise<void>
  setDefaultOffset(at: { readonly topic: string; readonly partition: number }): Promise<void>
}

interface Batch {
  readonly rawMessages: ReadonlyArray<unknown>
  isEmpty(): boolean
}

interface Broker {
  lookupRequest(apiKey: number | undefined, definition: unknown): (fields: object) => unknown
  joinGroup(fields: object): Promise<unknown>
}

interface ConnectionPool {
  getConnection(index: number): Promise<unknown>
  getConnectionByRequest(request: { readonly request: { readonly apiKey: number } }): Promise<unknown>
}

/** Between tries to fetch from a broker that is away; besides, a connection is tried for some seconds. */
const FETCH_RETRY_MILLIS = 500

/** What a fetch fails with when the partitions' leaders may not be where they were thought to be. */
const staleMetadata: ReadonlySet<unknown> = new Set([
  "LEADER_NOT_AVAILABLE",
  "NOT_LEADER_FOR_PARTITION",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "KafkaJSTopicMetadataNotLoaded",
  "KafkaJSBrokerNotFound",
  "KafkaJSRequestTimeoutError"
])

/** Kafka's name for an error, where it is one of Kafka's, or kafkajs' name for it. */
const nameOf = (error: unknown): unknown => {
  if (!(error instanceof Error)) return undefined
  return "type" in error ? error.type : error.name
}

/** A method that kafkajs keeps to itself. */
const privateMethod = (of: object, name: string) => {
  const symbol = Object.getOwnPropertySymbols(of).find(({ description }) => description === name)
  const method: unknown = symbol === undefined ? undefined : Reflect.get(of, symbol)
  if (symbol === undefined || typeof method !== "function") throw new Error(`kafkajs has no ${name}`)
  return {
    replace: (by: (this: PatchedGroup) => Promise<void>) => Reflect.set(of, symbol, by),
    call: (self: object, ...values: ReadonlyArray<unknown>): Promise<unknown> => Reflect.apply(method, self, values)
  }
}

/** Makes kafkajs stop all fetching and join again. */
const joinAgain = () => Object.assign(new Error("The group has to be joined again"), { type: "REBALANCE_IN_PROGRESS" })

/** An outage ends one attempt to join, and not the membership: kafkajs' outer loop retries what it holds for retriable. */
const toBeRetried = (error: unknown): unknown =>
  error instanceof Error && isUnreachable(error) ? Object.assign(error, { retriable: true }) : error

/** Mends kafkajs' consumer group: the life of a membership through rebalances and outages. */
export const patchConsumerGroup = (require: ReturnType<typeof createRequire>): void => {
  const { prototype: group } = require("kafkajs/src/consumer/consumerGroup") as { readonly prototype: PatchedGroup }
  const { fetch, heartbeat, joinAndSync } = group
  const sleep = require("kafkajs/src/utils/sleep") as (millis: number) => Promise<void>

  const join = privateMethod(group, "private:ConsumerGroup:join")

  // It has no hook that a rebalance would wait for. And a new member learns its id only with the end of the join, without which it can't leave.
  join.replace(async function() {
    await this.cluster[GROUP_OWNER]?.joining(this)
    try {
      await join.call(this)
    } catch (error) {
      if (nameOf(error) !== "MEMBER_ID_REQUIRED") throw error
      this.memberId = (error as { readonly memberId: string }).memberId
      await join.call(this)
    }
  })

  // Where a rejoin fails it goes on fetching as if it had joined, and can idle for ever.
  group.joinAndSync = async function() {
    this.owesJoin = true
    try {
      await joinAndSync.call(this)
    } catch (error) {
      throw toBeRetried(error)
    }
    this.owesJoin = false
  }

  // And a fetch that fails stops all others, for longer with every failure of the consumer's life.
  group.fetch = async function(nodeId) {
    if (this.owesJoin === true) throw joinAgain()
    try {
      return await fetch.call(this, nodeId)
    } catch (error) {
      if (!isUnreachable(error)) throw error
      // What goes wrong with a connection has been logged with it.
      if (error instanceof Error && "type" in error) this.logger.warn(`Could not fetch: ${error.message}`)
      await sleep(FETCH_RETRY_MILLIS)
      return []
    }
  }

  // It joins from inside a fetch, beside other fetches that go on, where a partition's leader has moved (which takes no join) or partitions were
  // added (which takes one that first stops all fetches). And it forgets a broker whose connection broke, without closing the other one.
  group.recoverFromFetch = async function(error) {
    const name = nameOf(error)
    if (name === "OFFSET_OUT_OF_RANGE") return this.recoverFromOffsetOutOfRange(error)
    if (name === "KafkaJSStaleTopicMetadataAssignment") throw joinAgain()
    if (staleMetadata.has(name)) await this.cluster.refreshMetadata()
    throw error
  }

  // It sends heartbeats to the broker that was the coordinator when it joined, whatever has become of it. The membership outlives an outage: only the
  // coordinator's word ends it.
  group.heartbeat = async function(options) {
    // And where the time of day is set back it would send none for as long.
    // oxlint-disable-next-line eslint/no-restricted-properties -- kafkajs' own clock
    if (Date.now() < this.lastRequest) this.lastRequest = 0
    const waiting = this.waitingForHeartbeat ?? 0
    if (waiting === 0) this.cluster[GROUP_OWNER]?.beating()
    this.waitingForHeartbeat = waiting + 1
    try {
      await heartbeat.call(this, options)
    } catch (error) {
      if (!isUnreachable(error)) throw error
      const { coordinator } = this
      this.coordinator = await this.cluster.findGroupCoordinator({ groupId: this.groupId }).catch(() => coordinator)
    } finally {
      this.waitingForHeartbeat = (this.waitingForHeartbeat ?? 1) - 1
    }
  }

  const { prototype: offsets } = require("kafkajs/src/consumer/offsetManager") as { readonly prototype: OffsetManager }
  const { commitOffsets } = offsets

  // The same for commits.
  offsets.getCoordinator = async function() {
    if (!this.coordinator.isConnected()) {
      this.coordinator = await this.cluster.findGroupCoordinator({ groupId: this.groupId })
    }
    return this.coordinator
  }

  offsets.commitOffsets = async function(committed) {
    try {
      await commitOffsets.call(this, committed)
    } catch (error) {
      if (isUnreachable(error)) this.coordinator = UNKNOWN_COORDINATOR
      throw error
    }
  }

  // When an offset is out of range it commits a placeholder over the group's offset and metadata. Reading goes on at the first record instead.
  offsets.setDefaultOffset = async function({ partition, topic }) {
    const [fetched] = await this.cluster.fetchTopicsOffset([{
      topic,
      partitions: [{ partition }],
      fromBeginning: true
    }])
    const offset = fetched?.partitions[0]?.offset
    const resolved = this.resolvedOffsets[topic]
    if (offset === undefined || resolved === undefined) return
    const owner = this.cluster[GROUP_OWNER]
    if (owner !== undefined && !(await owner.skipping(partition, Number(offset)))) return
    resolved[partition] = offset
  }

  const { prototype: batch } = require("kafkajs/src/consumer/batch") as { readonly prototype: Batch }

  // Batches of nothing but transaction markers or aborted records never reach eachBatch, so that nobody learns how far reading has got. They
  // shall, with no messages.
  batch.isEmpty = function() {
    return this.rawMessages.length === 0
  }

  const apiKeys = require("kafkajs/src/protocol/requests/apiKeys") as Readonly<Record<string, number>>
  const { requests } = require("kafkajs/src/protocol/requests") as {
    readonly requests: Readonly<Record<string, unknown>>
  }
  const { prototype: broker } = require("kafkajs/src/broker") as { readonly prototype: Broker }
  const send = privateMethod(broker, "private:Broker:sendRequest")

  // It keeps the id that the coordinator gives to a new member to itself.
  broker.joinGroup = function(fields) {
    const joinGroup = this.lookupRequest(apiKeys["JoinGroup"], requests["JoinGroup"])
    return send.call(this, joinGroup({ protocolType: "consumer", ...fields }))
  }

  const { prototype: pool } = require("kafkajs/src/network/connectionPool") as { readonly prototype: ConnectionPool }
  const { getConnectionByRequest } = pool
  const FETCH_CONNECTION = 1

  // A broker answers a connection's requests one after another: a member that leaves would wait behind its own attempt to join.
  pool.getConnectionByRequest = function(request) {
    return request.request.apiKey === apiKeys["LeaveGroup"]
      ? this.getConnection(FETCH_CONNECTION)
      : getConnectionByRequest.call(this, request)
  }
}
