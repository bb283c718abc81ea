import { Effect } from "effect"
import type { KafkaError } from "../KafkaError.ts"
import type { Cluster } from "./ClusterAccess.ts"
import { type FetchedOffset, requireStable } from "./GroupFencing.ts"
import { kafkaError } from "./KafkaErrors.ts"

/**
 * Reads a group's committed offsets partition by partition, over connections of its own: a join that waits would block the consumer's. kafkajs' own
 * way to do it gives up at the first partition with an error.
 */
export const makeOffsetReader = (connect: () => Promise<Cluster>) =>
(
  groupId: string,
  topic: string,
  partitions: ReadonlyArray<number>,
  stable: boolean
): Effect.Effect<ReadonlyArray<FetchedOffset>, KafkaError> =>
  Effect.tryPromise({
    try: async () => {
      const cluster = await connect()
      const coordinator = await cluster.findGroupCoordinator({ groupId })
      const topics = requireStable([{ topic, partitions: partitions.map((partition) => ({ partition })) }], stable)
      const { responses } = await coordinator.offsetFetch({ groupId, topics })
      return responses[0]?.partitions ?? []
    },
    catch: (error) => kafkaError(`look up what the group ${groupId} has committed`, error)
  })
