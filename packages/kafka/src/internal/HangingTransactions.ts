import { Duration, Effect, Schedule } from "effect"
import type { KafkaError } from "../KafkaError.ts"
import { type Cluster, type ClusterBroker, COORDINATOR_OF } from "./ClusterAccess.ts"
import type { ProtocolRequest } from "./FlexibleFormat.ts"
import { kafkaError } from "./KafkaErrors.ts"
import { createErrorFromCode, transactions } from "./PatchedKafkaJS.ts"
import {
  type ActiveProducer,
  apiKeys,
  type PartitionsOfTopic,
  type TransactionDescription
} from "./TransactionRequests.ts"

/**
 * Transactions that stay open on partitions although their coordinator takes them for ended, and so for ever: a restarted broker skips the end on partitions whose
 * leaders it does not know yet (KAFKA-20734). Neither a group nor a `read_committed` reader gets past one. They can be ended as `kafka-transactions.sh abort` does it;
 * but one that its coordinator has committed must be committed, as some of its partitions may have been.
 */
export interface HangingTransactions {
  /** Before an id is taken: afterwards its coordinator does not tell any more how the last transaction ended, or will. */
  readonly note: (transactionalId: string) => Effect.Effect<void, KafkaError>
  /** Waits until no transaction of an id is under way, or for ten seconds: who begins others can look by itself. */
  readonly over: (transactionalId: string) => Effect.Effect<void, KafkaError>
  /**
   * Ends what the last transaction of an id has left hanging, the way its coordinator has ended the rest, whoever has the id. Succeeds with what keeps it from doing so, for
   * a log line, or with nothing.
   */
  readonly end: (transactionalId: string) => Effect.Effect<string | undefined, KafkaError>
}

/** How a transaction ends that its coordinator has in one of these states when the id is taken. Source: KIP-664, KIP-890. */
const commits: Readonly<Record<string, boolean>> = {
  Ongoing: false,
  PrepareEpochFence: false,
  PrepareAbort: false,
  CompleteAbort: false,
  PrepareCommit: true,
  CompleteCommit: true
}
const unfinished: ReadonlySet<string> = new Set(["Ongoing", "PrepareEpochFence", "PrepareAbort", "PrepareCommit"])

const OFFSETS_TOPIC = "__consumer_offsets"

/** Kafka's error codes. */
const TRANSACTIONAL_ID_NOT_FOUND = 105
const movedLeader: ReadonlySet<number> = new Set([3, 5, 6])
const movedCoordinator: ReadonlySet<number> = new Set([14, 15, 16])

/** How often a coordinator is asked that is not one yet: its topic is being created, or loaded. */
const COORDINATOR_ATTEMPTS = 100
const COORDINATOR_SPACING = Duration.millis(50)

/** How often it is asked whether a transaction is over. */
const OVER_ATTEMPTS = 10
const OVER_SPACING = Duration.seconds(1)

const send = async <A>(broker: ClusterBroker, request: ProtocolRequest<A>): Promise<A> => {
  try {
    return await broker.connectionPool.send(request)
  } catch (error) {
    if (error instanceof Error && error.name === "KafkaJSConnectionClosedError") await broker.disconnect()
    throw error
  }
}

interface OpenTransaction extends ActiveProducer {
  readonly leader: number
  readonly topic: string
  readonly partition: number
}

const isSame = (one: TransactionDescription, other: TransactionDescription | undefined): boolean =>
  other !== undefined && one.state === other.state && one.startTime === other.startTime &&
  one.producerId === other.producerId && one.producerEpoch === other.producerEpoch

const describeOnce = async (cluster: Cluster, transactionalId: string): Promise<TransactionDescription | undefined> => {
  const coordinator = await cluster.findGroupCoordinator({
    groupId: transactionalId,
    coordinatorType: COORDINATOR_OF.transaction
  })
  return coordinator.versions[apiKeys.DescribeTransactions] === undefined
    ? undefined
    : send(coordinator, transactions.describeTransaction(transactionalId))
}

/** Java's `String.hashCode`. */
const javaHash = (text: string): number => {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash, 31) + text.charCodeAt(index) | 0
  return hash
}

/** The partition that has a group's offsets: its coordinator is that partition's leader. */
const offsetsPartition = (groupId: string, partitions: number): number => Math.abs(javaHash(groupId)) % partitions

/** Where a group's transactions write: to some topics, and its offsets. */
const leadersOf = async (cluster: Cluster, groupId: string, outputTopics: ReadonlyArray<string>) => {
  const leaders = new Map<number, Array<PartitionsOfTopic>>()
  for (const topic of [OFFSETS_TOPIC, ...outputTopics]) {
    await cluster.addTargetTopic(topic)
    const all = cluster.findTopicPartitionMetadata(topic)
    const written = topic === OFFSETS_TOPIC
      ? all.filter(({ partitionId }) => partitionId === offsetsPartition(groupId, all.length))
      : all
    const byLeader = Map.groupBy(written, ({ leader }) => leader)
    for (const [leader, metadata] of byLeader) {
      const partitions = metadata.map(({ partitionId }) => partitionId)
      leaders.set(leader, [...(leaders.get(leader) ?? []), { topic, partitions }])
    }
  }
  return leaders
}

const failOf = async (cluster: Cluster, errorCode: number): Promise<void> => {
  if (movedLeader.has(errorCode)) await cluster.refreshMetadata()
  if (errorCode !== 0) throw createErrorFromCode(errorCode)
}

const openOf = async (
  cluster: Cluster,
  groupId: string,
  outputTopics: ReadonlyArray<string>,
  producerId: string
) => {
  const open: Array<OpenTransaction> = []
  for (const [leader, ofLeader] of await leadersOf(cluster, groupId, outputTopics)) {
    const broker = await cluster.findBroker({ nodeId: leader })
    for (const { partitions, topic } of await send(broker, transactions.describeProducers(ofLeader))) {
      for (const { errorCode, partition, producers } of partitions) {
        await failOf(cluster, errorCode)
        const its = producers.filter((producer) => producer.producerId === producerId && producer.transactionStart >= 0)
        open.push(...its.map((producer) => ({ ...producer, leader, topic, partition })))
      }
    }
  }
  return open
}

const endOf = async (
  cluster: Cluster,
  { leader, partition, topic, ...producer }: OpenTransaction,
  committed: boolean
) => {
  const broker = await cluster.findBroker({ nodeId: leader })
  const marker = { ...producer, committed, topics: [{ topic, partitions: [partition] }] }
  for (const errorCode of await send(broker, transactions.writeMarker(marker))) await failOf(cluster, errorCode)
}

/** `outputTopics` are those that a group's transactions write to, besides its offsets. */
export const makeHangingTransactions = (
  connect: () => Promise<Cluster>,
  groupId: string,
  outputTopics: ReadonlyArray<string>
): HangingTransactions => {
  /** Whether the last transaction of an id was or will be committed. */
  const noted = new Map<string, boolean>()

  const ask = <A>(operation: string, of: (cluster: Cluster) => Promise<A>) =>
    Effect.tryPromise({
      try: async () => of(await connect()),
      catch: (error) => kafkaError(operation, error)
    })

  /** Nothing where there is no such transaction, or the broker is too old to tell. */
  const describe = Effect.fnUntraced(function*(operation: string, transactionalId: string) {
    const description = yield* ask(operation, (cluster) => describeOnce(cluster, transactionalId)).pipe(
      Effect.repeat({
        while: (description) => movedCoordinator.has(description?.errorCode ?? 0),
        schedule: Schedule.spaced(COORDINATOR_SPACING),
        times: COORDINATOR_ATTEMPTS
      })
    )
    const errorCode = description?.errorCode ?? 0
    if (errorCode === 0) return description
    if (errorCode === TRANSACTIONAL_ID_NOT_FOUND) return undefined
    return yield* kafkaError(operation, createErrorFromCode(errorCode))
  })

  const look = Effect.fnUntraced(function*(transactionalId: string) {
    const operation = "look for transactions that hang"
    const before = yield* describe(operation, transactionalId)
    if (before === undefined || unfinished.has(before.state)) return { open: [] }
    const open = yield* ask(operation, (cluster) => openOf(cluster, groupId, outputTopics, before.producerId))
    if (open.length === 0) return { open }
    // Who uses the id can have begun and ended transactions meanwhile.
    return isSame(before, yield* describe(operation, transactionalId))
      ? { open, committed: commits[before.state] ?? noted.get(transactionalId) }
      : { open: [] }
  })

  const end = Effect.fnUntraced(function*(transactionalId: string) {
    const { committed, open: found } = yield* look(transactionalId)
    if (found.length === 0) return undefined
    if (committed === undefined) return "whether it was committed is not known any more"
    const places = found.map(({ partition, topic }) => `${topic}-${partition}`).join(", ")
    yield* Effect.logWarning(
      `Kafka has left the last transaction of ${transactionalId} open on ${places} (KAFKA-20734), though it was ${
        committed ? "committed" : "aborted"
      }: ending it there, too`
    )
    yield* ask("end a transaction that hangs", async (cluster) => {
      for (const open of found) await endOf(cluster, open, committed)
    })
    return undefined
  })

  return {
    note: (transactionalId) =>
      Effect.map(describe("begin transactions", transactionalId), (description) => {
        const committed = commits[description?.state ?? ""]
        if (committed !== undefined) noted.set(transactionalId, committed)
      }),
    over: (transactionalId) =>
      describe("look for transactions that hang", transactionalId).pipe(
        Effect.repeat({
          while: (description) => unfinished.has(description?.state ?? ""),
          schedule: Schedule.spaced(OVER_SPACING),
          times: OVER_ATTEMPTS
        }),
        Effect.asVoid
      ),
    end: (transactionalId) =>
      Effect.catchIf(
        end(transactionalId),
        ({ reason }) => reason._tag !== "Unreachable",
        ({ message }) => Effect.succeed(message)
      )
  }
}
