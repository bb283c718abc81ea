import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import type { CommittedOffset } from "@origin-regions/kafka/KafkaAdmin"
import type { Assignment, Subscription } from "@origin-regions/kafka/KafkaConsumer"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { Context, type Effect } from "effect"
import type { OwnedPartition, Task } from "./Task.ts"

/** A request that has been decided and waits for its outcome to be published. `settledAt` is in milliseconds since 1970. */
export interface SettledTask {
  readonly task: Task
  readonly settlement: Settlement
  readonly settledAt: number
}

/** An outcome that says that a request could not be read or was given up has a dead letter beside it. */
export const isDeadLettered = ({ settlement: { _tag } }: SettledTask): boolean =>
  _tag === "Malformed" || _tag === "Failed"

/** The membership that work is taken on under, and that its commits are refused without. */
export interface Membership {
  readonly subscription: Subscription
  readonly assignment: Assignment
  /** Why nothing more is committed under it, where so: it is not known what has become of a commit, which could still take effect. The group is being joined anew. */
  over: string | undefined
}

/** `stale`: nothing of this counts, as the group has given the partitions away, or the membership is over. */
export type Delivered = "committed" | "stale"

/** Publishes outcomes and commits the progress that they make. How the two go together is what the delivery modes differ in. */
export class Delivery extends Context.Service<Delivery, {
  /** What goes into every commit, for whoever has to end what this process has left pending. Empty where nothing can be. */
  readonly owner: string
  /** What the group has committed for partitions that this process has just been assigned. */
  readonly heads: (partitions: ReadonlyArray<number>) => Effect.Effect<ReadonlyMap<number, CommittedOffset>, KafkaError>
  /**
   * Publishes outcomes and commits the progress of their partitions and of those in `also`, which is asked when the outcomes have been written. Returns when both
   * are certain, or will never be. Waits out what trying again can mend.
   */
  readonly deliver: (
    settled: ReadonlyArray<SettledTask>,
    also: () => ReadonlyArray<OwnedPartition>,
    membership: Membership
  ) => Effect.Effect<Delivered>
  /** Why outcomes can't be published just now, or `undefined`. */
  readonly problem: () => string | undefined
  /**
   * Commits progress and reservations without outcomes; of which partitions, it asks when its turn has come: no two commits of progress are under way at a time, but
   * outcomes may be written meanwhile.
   */
  readonly commit: (due: () => ReadonlyArray<OwnedPartition>, membership: Membership) => Effect.Effect<Delivered>
}>()("@origin-regions/consumer/Delivery") {}
