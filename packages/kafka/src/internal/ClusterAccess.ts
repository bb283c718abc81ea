import { Effect, type Scope } from "effect"
import type { Kafka } from "kafkajs"
import type { ProtocolRequest } from "./FlexibleFormat.ts"
import type { FetchedOffset } from "./GroupFencing.ts"
import { inOrder } from "./KafkaClient.ts"

/** A broker of kafkajs' own, as far as we use it by ourselves. */
export interface ClusterBroker {
  readonly nodeId: number | string
  readonly versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>
  readonly connectionPool: { send<A>(request: ProtocolRequest<A>): Promise<A> }
  disconnect(): Promise<void>
  offsetFetch(request: {
    readonly groupId: string
    readonly topics: ReadonlyArray<
      { readonly topic: string; readonly partitions: ReadonlyArray<{ readonly partition: number }> }
    >
  }): Promise<{ readonly responses: ReadonlyArray<{ readonly partitions: ReadonlyArray<FetchedOffset> }> }>
}

/** Kafka's `key_type` of a look-up of coordinators. */
export const COORDINATOR_OF = { group: 0, transaction: 1 } as const

/** What a client of kafkajs keeps to itself: its brokers. */
export interface Cluster {
  readonly brokerPool: {
    readonly metadata: {
      readonly brokers: ReadonlyArray<{ readonly nodeId: number; readonly host: string; readonly port: number }>
    } | null
  }
  findGroupCoordinator(of: { readonly groupId: string; readonly coordinatorType?: number }): Promise<ClusterBroker>
  findBroker(of: { readonly nodeId: number }): Promise<ClusterBroker>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(
    topic: string
  ): ReadonlyArray<{ readonly partitionId: number; readonly leader: number }>
}

/** The brokers behind a client, over connections of their own. They are reached through a consumer that never runs. */
export const accessCluster = Effect.fnUntraced(
  function*(client: Kafka): Effect.fn.Return<() => Promise<Cluster>, never, Scope.Scope> {
    let cluster: Cluster | undefined
    const holder = client.consumer({
      groupId: "unused",
      partitionAssigners: [(config) => {
        cluster = config.cluster as unknown as Cluster
        return {
          name: "unused",
          version: 0,
          assign: async () => [],
          protocol: () => ({ name: "unused", metadata: Buffer.alloc(0) })
        }
      }]
    })
    let connected = false
    yield* Effect.addFinalizer(() => inOrder(Effect.tryPromise(() => holder.disconnect())))

    return async () => {
      if (!connected) await holder.connect()
      connected = true
      if (cluster === undefined) throw new Error("kafkajs has not handed out its cluster")
      return cluster
    }
  }
)
