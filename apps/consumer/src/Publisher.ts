import { outcomeCodeOf, type Settlement } from "@origin-regions/domain/MappingOutcome"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { Clock, type Context, Duration, Effect, Latch } from "effect"
import { type Delivery, isDeadLettered, type SettledTask } from "./Delivery.ts"
import type { Lanes } from "./Lanes.ts"
import type { PartitionsInHand } from "./PartitionsInHand.ts"
import { requestFields } from "./RequestFields.ts"
import { endAbandoned, endSettled } from "./RequestTraces.ts"
import { laneOf, type OwnedPartition, type Task } from "./Task.ts"

/** Outcomes that are published together. */
const MAX_DELIVERY = 1_000
/**
 * How long outcomes gather for a delivery while all calls are under way: what nobody can be called for yet need not know them sooner, and a delivery costs much the same
 * however many there are in it.
 */
const GATHERING = Duration.millis(25)
/** Thousands of requests can be unreadable, or expire, together: one line now and then speaks for all. */
const DEAD_LETTER_LINE_SPACING = 5_000

const reasonOf = (settlement: Settlement): string =>
  settlement._tag === "Malformed"
    ? settlement.issues.map(({ message }) => message).join("; ")
    : settlement._tag === "Failed"
    ? settlement.message
    : ""

export interface PublisherOptions {
  readonly partitions: PartitionsInHand
  readonly lanes: Lanes<Task>
  /** Calls to the API at a time. */
  readonly concurrency: number
  readonly delivery: Context.Service.Shape<typeof Delivery>
  /** The partitions whose progress should be committed by itself. */
  readonly due: () => ReadonlyArray<OwnedPartition>
  /** Something has been committed, or never will be. */
  readonly goOn: () => void
  readonly log: (line: Effect.Effect<void>) => void
}

/** Publishes what is settled, and commits the progress that it makes. */
export interface Publisher {
  readonly settle: (task: Task, settlement: Settlement) => void
  /** There may be something to commit. */
  readonly wantCommit: () => void
  /** There may be something to publish or to commit that could not be before. */
  readonly wake: () => void
  /** There are calls to spare: outcomes gather no longer, as requests may wait for them and nothing else. */
  readonly hurry: () => void
  /** Requests whose outcomes wait to be published. */
  readonly unpublished: () => number
  /** The same, one by one. */
  readonly unpublishedTasks: () => ReadonlyArray<SettledTask>
  /** Why outcomes can't be published just now, or `undefined`. */
  readonly problem: () => string | undefined
  /** Whether nothing is left to publish. What can't be committed under this membership is kept for the next. */
  readonly isSettled: () => boolean
  readonly isCommitting: () => boolean
  /** Publishes what has been settled, with the progress that it makes: one publication after the other, and what is settled meanwhile goes together in the next. */
  readonly publishing: Effect.Effect<never>
  /** Commits the progress and the reservations that are due, beside publications: whoever has just received requests need not wait for the end of one. */
  readonly committing: Effect.Effect<never>
}

export const makePublisher = Effect.fnUntraced(function*(options: PublisherOptions) {
  const { concurrency, delivery, due, goOn, lanes, log, partitions } = options
  const clock = yield* Clock.Clock
  const outcomesReady = yield* Latch.make(false)
  const hurried = yield* Latch.make(false)
  const commitWanted = yield* Latch.make(false)
  const outbox: Array<SettledTask> = []
  let delivering: ReadonlyArray<SettledTask> = []
  let isCommitting = false
  let untoldDeadLetters = 0
  let nextDeadLetterLineAt = 0

  const publishNext = Effect.gen(function*() {
    yield* outcomesReady.await
    yield* Effect.timeoutOption(hurried.await, GATHERING)
    outcomesReady.closeUnsafe()
    hurried.closeUnsafe()
    const used = partitions.validMembership
    if (used === undefined || outbox.length === 0) return
    const settled = outbox.splice(0, MAX_DELIVERY)
    delivering = settled
    // A partition's first commit goes by itself: before it nobody could tell whose transaction is pending there.
    const delivered = yield* delivery.deliver(settled, () => due().filter(({ progress }) => progress.isMarked), used)
    delivering = []
    if (delivered === "stale") partitions.expel(used)
    for (const each of settled.toReversed()) conclude(each)
    goOn()
  })

  const commitNext = Effect.gen(function*() {
    yield* commitWanted.await
    commitWanted.closeUnsafe()
    const used = partitions.validMembership
    if (used === undefined || due().length === 0) return
    isCommitting = true
    const committed = yield* delivery.commit(due, used)
    isCommitting = false
    if (committed === "stale") partitions.expel(used)
    goOn()
  })

  /** A request's outcome is certain, or nobody's business here any more; or it was refused with a membership that has been renewed since. */
  const conclude = (settled: SettledTask) => {
    const { owner, record } = settled.task
    const isUndone = owner.progress.isUndone(record.offset)
    if (!owner.lost && isUndone) {
      outbox.unshift(settled)
      return
    }
    if (isUndone) endAbandoned(settled.task)
    else told(settled)
    partitions.dismiss(settled.task, settled.settlement)
    lanes.release(laneOf(settled.task))
  }

  /** Whether the rest of the request's lane, one by one, takes longer than everything else with all calls: then all wait for it in the end. */
  const isUrgent = (task: Task): boolean => lanes.queuedIn(laneOf(task)) * concurrency > lanes.size

  const told = (settled: SettledTask) => {
    endSettled(settled)
    if (isDeadLettered(settled)) tellOfDeadLetter(settled)
  }

  const tellOfDeadLetter = ({ settlement, task }: SettledTask) => {
    untoldDeadLetters += 1
    const now = steadyMillis(clock)
    if (now < nextDeadLetterLineAt) return
    const outcomecode = outcomeCodeOf(settlement)
    const which = untoldDeadLetters === 1 ? "A request is" : `${untoldDeadLetters} requests are`
    const last = untoldDeadLetters === 1 ? "" : "the last: "
    log(Effect.annotateLogs(
      Effect.logWarning(`${which} in the dead letters, ${last}${outcomecode}: ${reasonOf(settlement)}`),
      { ...requestFields(task), outcomecode }
    ))
    untoldDeadLetters = 0
    nextDeadLetterLineAt = now + DEAD_LETTER_LINE_SPACING
  }

  const publisher: Publisher = {
    settle: (task, settlement) => {
      outbox.push({ task, settlement, settledAt: clock.currentTimeMillisUnsafe() })
      if (isUrgent(task)) hurried.openUnsafe()
      outcomesReady.openUnsafe()
    },
    wantCommit: () => commitWanted.openUnsafe(),
    wake: () => {
      outcomesReady.openUnsafe()
      commitWanted.openUnsafe()
    },
    hurry: () => hurried.openUnsafe(),
    unpublished: () => outbox.length + delivering.length,
    unpublishedTasks: () => [...delivering, ...outbox],
    problem: () => {
      const over = partitions.membership?.over
      return delivery.problem() ?? (over === undefined ? undefined : `${over}, and the group is being joined again`)
    },
    isSettled: () => delivering.length === 0 && (outbox.length === 0 || partitions.validMembership === undefined),
    isCommitting: () => isCommitting,
    publishing: Effect.forever(publishNext),
    committing: Effect.forever(commitNext)
  }
  return publisher
})
