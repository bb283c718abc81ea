import type { OwnedPartition, Task } from "../Task.ts"

/**
 * Partitions' progress as it stands at `now` (in the API's clock), with the tasks in `settling` done: what to commit for each, and `settled` to be called
 * once that has succeeded, or `unsettled` where that is not known.
 */
export const snapshotProgress = (
  owners: Iterable<OwnedPartition>,
  now: number,
  settling: ReadonlyMap<OwnedPartition, ReadonlyArray<Task>> = new Map()
) => {
  const snapshots = Array.from(owners, (owner) => ({
    owner,
    snapshot: owner.progress.snapshot(now, new Set(settling.get(owner)?.map(({ record }) => record.offset)))
  }))
  return {
    offsets: snapshots.map(({ owner: { partition }, snapshot: { metadata, offset } }) => ({
      partition,
      offset,
      metadata
    })),
    settled: (): void => {
      for (const { owner, snapshot } of snapshots) {
        owner.progress.settled(snapshot)
        owner.isDue = false
      }
    },
    unsettled: (): void => {
      for (const { owner, snapshot } of snapshots) owner.progress.unsettled(snapshot)
    }
  }
}
