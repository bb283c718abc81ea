import { Effect } from "effect"
import type { Kafka } from "kafkajs"
import type { KafkaError } from "../KafkaError.ts"
import { type FetchedOffset, requireStable } from "./GroupFencing.ts"
import { inOrder } from "./KafkaClient.ts"
import { kafkaError } from "./KafkaErrors.ts"

interface Coordinator {
  offsetFetch(request: {
    readonly groupId: string
    readonly topics: ReadonlyArray<
      { readonly topic: string; readonly partitions: ReadonlyArray<{ readonly partition: number }> }
    >
  }): Promise<{ readonly responses: ReadonlyArray<{ readonly partitions: ReadonlyArray<FetchedOffset> }> }>
}

interface Cluster {
  findGroupCoordinator(group: { readonly groupId: string }): Promise<Coordinator>
}

/**
 * Reads a group's committed offsets partition by partition, over connections of its own: a join that waits would block the consumer's. kafkajs' own
 * way to do it gives up at the first partition with an error. What reaches its cluster here is a consumer that never runs.
 */
export const makeOffsetReader = Effect.fnUntraced(function*(client: Kafka) {
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

  return (
    groupId: string,
    topic: string,
    partitions: ReadonlyArray<number>,
    stable: boolean
  ): Effect.Effect<ReadonlyArray<FetchedOffset>, KafkaError> =>
    Effect.tryPromise({
      try: async () => {
        if (!connected) await holder.connect()
        connected = true
        const coordinator = await cluster?.findGroupCoordinator({ groupId })
        const topics = requireStable([{ topic, partitions: partitions.map((partition) => ({ partition })) }], stable)
        const answer = await coordinator?.offsetFetch({ groupId, topics })
        return answer?.responses[0]?.partitions ?? []
      },
      catch: (error) => kafkaError(`look up what the group ${groupId} has committed`, error)
    })
})
