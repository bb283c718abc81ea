import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import type { Subscription } from "@origin-regions/kafka/KafkaConsumer"
import { Context, type Effect } from "effect"
import type { OwnedPartition, Task } from "./Task.ts"

/** A request that has been decided and waits for its outcome to be published. `settledAt` is in milliseconds since 1970. */
export interface SettledTask {
  readonly task: Task
  readonly settlement: Settlement
  readonly settledAt: number
}

/** The membership that a commit belongs to. */
export interface Membership {
  readonly subscription: Subscription
  readonly epoch: number
}

/** Publishes outcomes and commits the progress that they make. How the two go together is what the delivery modes differ in. */
export class Delivery extends Context.Service<Delivery, {
  /**
   * Returns when the outcomes are published and the progress is committed, or the partitions are known to be lost. Waits out what trying again
   * can mend.
   */
  readonly deliver: (settled: ReadonlyArray<SettledTask>, membership: Membership) => Effect.Effect<void>
  /** Commits what has moved on without an outcome, such as past transaction markers. */
  readonly commit: (partitions: ReadonlyArray<OwnedPartition>, membership: Membership) => Effect.Effect<void>
}>()("@origin-regions/consumer/Delivery") {}
