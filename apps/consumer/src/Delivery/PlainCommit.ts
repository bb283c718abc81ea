import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { Effect } from "effect"
import type { Membership } from "../Delivery.ts"
import type { OwnedPartition } from "../Task.ts"

/** One attempt to commit partitions' progress as it stands at `now` (in the API's clock), outside of any transaction, fenced by the group's generation. */
export const plainCommit = (
  partitions: ReadonlyArray<OwnedPartition>,
  { assignment, subscription }: Membership,
  now: number
): Effect.Effect<void, KafkaError> =>
  Effect.suspend(() => {
    const snapshots = partitions.filter(({ lost }) => !lost).map((owner) => ({
      owner,
      snapshot: owner.progress.snapshot(now)
    }))
    if (snapshots.length === 0) return Effect.void
    return Effect.map(
      subscription.commit(
        assignment.epoch,
        snapshots.map(({ owner: { partition }, snapshot: { metadata, offset } }) => ({ partition, offset, metadata }))
      ),
      () => {
        for (const { owner, snapshot } of snapshots) owner.progress.settled(snapshot)
      }
    )
  })
