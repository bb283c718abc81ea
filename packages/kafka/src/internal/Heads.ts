import { Effect } from "effect"
import type { CommittedOffset } from "../KafkaAdmin.ts"

/** What is committed for partitions, or, where nothing is, their first offset without metadata. First offsets are looked up only where one is missing. */
export const headsOf = Effect.fnUntraced(function*<E>(
  partitions: ReadonlyArray<number>,
  committed: ReadonlyMap<number, CommittedOffset>,
  beginningOffsets: Effect.Effect<ReadonlyMap<number, number>, E>
) {
  const first = partitions.every((partition) => committed.has(partition))
    ? new Map<number, number>()
    : yield* beginningOffsets
  return new Map(
    partitions.map((partition) => [
      partition,
      committed.get(partition) ?? { offset: first.get(partition) ?? 0, metadata: "" }
    ])
  )
})
