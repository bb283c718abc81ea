import { Context, Duration, Effect, Layer, Schedule } from "effect"
import { accessCluster, type Cluster, type ClusterBroker, COORDINATOR_OF } from "./internal/ClusterAccess.ts"
import { inspectionKeys, inspectionVersions } from "./internal/InspectionRequests.ts"
import { makeClient } from "./internal/KafkaClient.ts"
import { kafkaError } from "./internal/KafkaErrors.ts"
import { createErrorFromCode, inspection } from "./internal/PatchedKafkaJS.ts"
import type { KafkaError } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/** Kafka's names of operations that can be allowed, of those that matter here. */
export type Operation = "Read" | "Write" | "Alter" | "Describe"

/** By Kafka's codes of operations (`AclOperation`). */
const codes: Readonly<Record<Operation, number>> = { Read: 3, Write: 4, Alter: 7, Describe: 8 }

const operationsOf = (bits: number): ReadonlyArray<Operation> =>
  (["Read", "Write", "Alter", "Describe"] as const).filter((operation) => (bits & (1 << codes[operation])) !== 0)

/** A broker, by the address that it gives to clients. */
export interface BrokerAddress {
  readonly nodeId: number
  readonly address: string
}

/** A topic with what we may do with it. A broker without an authorizer allows everything. */
export interface TopicAccess {
  readonly partitions: number
  readonly operations: ReadonlyArray<Operation>
}

/**
 * Looks at a cluster from outside, as whoever the settings say we are, and leaves nothing behind: no member, no record, no transactional id. Where the cluster has never
 * had a group or a transaction, the topic is created in which it remembers them.
 */
export class KafkaInspection extends Context.Service<KafkaInspection, {
  /** Connects to one of the bootstrap addresses, and to no other. */
  readonly bootstrap: (address: string) => Effect.Effect<void, KafkaError>
  /** All brokers, as the cluster tells of them. */
  readonly brokers: Effect.Effect<ReadonlyArray<BrokerAddress>, KafkaError>
  /** Connects to a broker by the address that it gives to clients. */
  readonly connect: (broker: BrokerAddress) => Effect.Effect<void, KafkaError>
  /** What we may do with the cluster as a whole. */
  readonly cluster: Effect.Effect<ReadonlyArray<Operation>, KafkaError>
  readonly topic: (topic: string) => Effect.Effect<TopicAccess, KafkaError>
  /** Fetches nothing from the end of all partitions, each from its leader. */
  readonly fetch: (topic: string, ends: ReadonlyMap<number, number>) => Effect.Effect<void, KafkaError>
  /** Finds the group's coordinator, and what we may do with the group. */
  readonly group: (groupId: string) => Effect.Effect<ReadonlyArray<Operation>, KafkaError>
  /**
   * Whether transactions may be made with the id: its coordinator is asked for something impossible, a transaction that must take no time. It looks at permissions
   * first, and then refuses.
   */
  readonly transactionalId: (transactionalId: string) => Effect.Effect<void, KafkaError>
}>()("@origin-regions/kafka/KafkaInspection") {
  static readonly layer = (settings: KafkaSettings): Layer.Layer<KafkaInspection> =>
    Layer.effect(KafkaInspection, make(settings))
}

const CLIENT_ID = "origin-regions-inspection"
const ONCE = { retries: 0 }
const FEW = { initialRetryTime: 200, maxRetryTime: 1_000, retries: 3 }

/** Kafka's error code for what `transactionalId` asks for, if it is allowed. */
const INVALID_TRANSACTION_TIMEOUT = 50

/** A coordinator that is not one yet: its topic is being created, or loaded. */
const notYet: ReadonlySet<number> = new Set([14, 15])
const COORDINATOR_SPACING = Duration.millis(100)
const COORDINATOR_TRIES = 50

const failOf = (errorCode: number): void => {
  if (errorCode !== 0) throw createErrorFromCode(errorCode)
}

/** The parts of kafkajs that are used here alone. */
interface FetchingBroker extends ClusterBroker {
  fetch(request: {
    readonly replicaId: number
    readonly isolationLevel: number
    readonly maxWaitTime: number
    readonly minBytes: number
    readonly maxBytes: number
    readonly topics: ReadonlyArray<{
      readonly topic: string
      readonly partitions: ReadonlyArray<{
        readonly partition: number
        readonly currentLeaderEpoch: number
        readonly fetchOffset: number
        readonly maxBytes: number
      }>
    }>
  }): Promise<unknown>
}

const send = <A>(
  broker: ClusterBroker,
  name: keyof typeof inspectionKeys,
  request: Parameters<typeof broker.connectionPool.send<A>>[0]
): Promise<A> => {
  if ((broker.versions[inspectionKeys[name]]?.maxVersion ?? -1) < inspectionVersions[name]) {
    throw new Error(`Kafka is too old to be asked (${name} ${inspectionVersions[name]}; Kafka 2.3 has it)`)
  }
  return broker.connectionPool.send(request)
}

const brokersOf = async (cluster: Cluster): Promise<ReadonlyArray<BrokerAddress>> => {
  await cluster.refreshMetadata()
  return (cluster.brokerPool.metadata?.brokers ?? []).map(({ host, nodeId, port }) => ({
    nodeId,
    address: `${host}:${port}`
  }))
}

const make = Effect.fnUntraced(function*(settings: KafkaSettings) {
  const cluster = yield* accessCluster(yield* makeClient(settings, CLIENT_ID, FEW))

  const ask = <A>(operation: string, of: (cluster: Cluster) => Promise<A>) =>
    Effect.tryPromise({ try: async () => of(await cluster()), catch: (error) => kafkaError(operation, error) })

  const anyBroker = async (cluster: Cluster): Promise<ClusterBroker> => {
    let problem: unknown
    for (const broker of await brokersOf(cluster)) {
      try {
        return await cluster.findBroker(broker)
      } catch (error) {
        problem = error
      }
    }
    throw problem
  }

  const coordinatorOf = (operation: string, key: string, type: number) =>
    ask(operation, async (cluster) => {
      const broker = await anyBroker(cluster)
      return send(broker, "FindCoordinator", inspection.findCoordinator(key, type))
    }).pipe(
      Effect.repeat({
        while: ({ errorCode }) => notYet.has(errorCode),
        schedule: Schedule.spaced(COORDINATOR_SPACING),
        times: COORDINATOR_TRIES
      }),
      Effect.flatMap(({ errorCode, nodeId }) =>
        ask(operation, async (cluster) => {
          failOf(errorCode)
          return cluster.findBroker({ nodeId })
        })
      )
    )

  return KafkaInspection.of({
    bootstrap: Effect.fn("KafkaInspection.bootstrap")(
      (address: string) =>
        Effect.flatMap(
          makeClient({ ...settings, brokers: [address] }, CLIENT_ID, ONCE),
          (client) =>
            Effect.flatMap(accessCluster(client), (cluster) =>
              Effect.tryPromise({
                try: cluster,
                catch: (error) => kafkaError(`connect to ${address}`, error)
              }))
        ),
      Effect.scoped,
      Effect.asVoid
    ),
    brokers: ask("list the brokers", brokersOf),
    connect: Effect.fn("KafkaInspection.connect")((broker: BrokerAddress) =>
      ask(`connect to the broker ${broker.nodeId} at ${broker.address}`, async (cluster) => {
        await cluster.findBroker(broker)
      })
    ),
    cluster: ask(
      "look up what is allowed on the cluster",
      async (cluster) => operationsOf(await send(await anyBroker(cluster), "Metadata", inspection.describeCluster()))
    ),
    topic: Effect.fn("KafkaInspection.topic")((topic: string) =>
      ask(`look up the topic ${topic}`, async (cluster) => {
        const found = await send(await anyBroker(cluster), "Metadata", inspection.describeTopic(topic))
        failOf(found?.errorCode ?? 0)
        return { partitions: found?.partitions.length ?? 0, operations: operationsOf(found?.operations ?? 0) }
      })
    ),
    fetch: Effect.fn("KafkaInspection.fetch")((topic: string, ends: ReadonlyMap<number, number>) =>
      ask(`fetch from the topic ${topic}`, async (cluster) => {
        await cluster.addTargetTopic(topic)
        const byLeader = Map.groupBy(cluster.findTopicPartitionMetadata(topic), ({ leader }) => leader)
        for (const [nodeId, partitions] of byLeader) {
          // Every broker of kafkajs can fetch.
          const broker = await cluster.findBroker({ nodeId }) as FetchingBroker
          await broker.fetch({
            replicaId: -1,
            isolationLevel: 1,
            maxWaitTime: 0,
            minBytes: 0,
            maxBytes: 1,
            topics: [{
              topic,
              partitions: partitions.map(({ partitionId }) => ({
                partition: partitionId,
                currentLeaderEpoch: -1,
                fetchOffset: ends.get(partitionId) ?? 0,
                maxBytes: 1
              }))
            }]
          })
        }
      })
    ),
    group: Effect.fn("KafkaInspection.group")(function*(groupId: string) {
      const operation = `look up the group ${groupId}`
      const coordinator = yield* coordinatorOf(operation, groupId, COORDINATOR_OF.group)
      return yield* ask(operation, async () => {
        const group = await send(coordinator, "DescribeGroups", inspection.describeGroup(groupId))
        failOf(group?.errorCode ?? 0)
        return operationsOf(group?.operations ?? 0)
      })
    }),
    transactionalId: Effect.fn("KafkaInspection.transactionalId")(function*(transactionalId: string) {
      const operation = `make transactions as ${transactionalId}`
      const coordinator = yield* coordinatorOf(operation, transactionalId, COORDINATOR_OF.transaction)
      yield* ask(operation, async () => {
        const errorCode = await send(coordinator, "InitProducerId", inspection.initProducerId(transactionalId, 0))
        if (errorCode !== INVALID_TRANSACTION_TIMEOUT) failOf(errorCode)
      })
    })
  })
})
