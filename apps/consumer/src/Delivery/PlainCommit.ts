import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { Effect } from "effect"
import type { Membership } from "../Delivery.ts"
import type { OwnedPartition } from "../Task.ts"
import { snapshotProgress } from "./ProgressSnapshot.ts"

/** One attempt to commit partitions' progress as it stands at `now` (in the API's clock), outside of any transaction, fenced by the group's generation. */
export const plainCommit = (
  partitions: ReadonlyArray<OwnedPartition>,
  { assignment, subscription }: Membership,
  now: number
): Effect.Effect<void, KafkaError> =>
  Effect.suspend(() => {
    const { offsets, settled, unsettled } = snapshotProgress(partitions.filter(({ lost }) => !lost), now)
    if (offsets.length === 0) return Effect.void
    return Effect.tapError(Effect.map(subscription.commit(assignment.epoch, offsets), settled), () =>
      Effect.sync(unsettled))
  })
