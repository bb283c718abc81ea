import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { Assignment, ConsumerHandler, RecordBatch, Subscription } from "@origin-regions/kafka/KafkaConsumer"
import { Cause, Clock, Context, Deferred, Duration, Effect, Exit, FiberSet, Latch, Layer, Schedule } from "effect"
import { Attempt, type AttemptResult, type BatchedResult } from "./Attempt.ts"
import { type Admitted, type CircuitChange, Circuits } from "./Circuits.ts"
import { Delivery, type Membership, type SettledTask } from "./Delivery.ts"
import { Lanes } from "./Lanes.ts"
import { pipelineMetrics } from "./PipelineMetrics.ts"
import { type PipelineStatus, pipelineStatus } from "./PipelineStatus.ts"
import { PartitionProgress, type Undone } from "./Progress.ts"
import { groupOf, laneOf, type OwnedPartition, sizeOf, type Task } from "./Task.ts"
import { UntimedChanges } from "./UntimedChanges.ts"

export interface PipelineOptions {
  readonly requestsTopic: string
  /** Calls to the API at a time. */
  readonly concurrency: number
  /** Requests that may go in one call. */
  readonly batchSize: number
  /** After that long without a word from the group's coordinator the partitions may be somebody else's. */
  readonly sessionTimeout: Duration.Duration
}

/**
 * Records of a partition that are kept until they are settled: beyond either limit its reading pauses, below half of it it goes on. Where all partitions together have too many,
 * each has to do with a fair share: what is kept is most of a process's memory.
 */
const MAX_UNDONE = 2_000
const MAX_KEPT_BYTES = 4 * 1024 * 1024
const MAX_UNDONE_OF_ALL = 6_000
const FAIR_SHARE = 500
/** Outcomes that are published together. */
const MAX_DELIVERY = 1_000
/** How old a reservation gets. Whatever somebody else does at an address meanwhile counts as ours, if we crash before the request is settled. */
const REFRESH_SPACING = Duration.seconds(1)
const LOOKUP_SPACING = Duration.seconds(1)
/** How soon a create is looked at again that has to wait for a commit. */
const HOLD_SPACING = Duration.millis(500)
/** An outage makes thousands of requests wait, again and again: one line now and then speaks for all. */
const WAITING_LINE_SPACING = Duration.toMillis(Duration.seconds(5))

type Waiting = Extract<AttemptResult, { _tag: "Waiting" }>

/** Nothing was changed for it. */
const isRefused = (result: BatchedResult | undefined): boolean =>
  result?._tag === "Settled" && result.settlement._tag === "Rejected"

const wantsCommit = ({ isDue, progress, unreserved }: OwnedPartition): boolean =>
  isDue || (unreserved.length > 0 && progress.wantsReservation)

const keep = (owner: OwnedPartition, record: SourceRecord, undone: Undone) => {
  const task: Task = {
    owner,
    record,
    request: readRequest(record),
    undone,
    attempts: 0,
    failures: 0,
    firstTriedAt: undefined,
    wait: undefined,
    goesAlone: false,
    inDoubt: false
  }
  owner.progress.queue(undone, laneOf(task))
  task.inDoubt = undone.attemptedSince !== undefined
  owner.keptBytes += sizeOf(record)
  owner.unreserved.push(task)
}

const assignmentLine = (topic: string, partitions: ReadonlyArray<number>): string =>
  partitions.length === 0
    ? `Waiting in reserve: other members have all partitions of ${topic}`
    : `At work on ${topic}, partitions ${partitions.toSorted((one, other) => one - other).join(", ")}`

/**
 * The way of every request: received, queued in its address's lane, attempted, settled, published, committed.
 *
 * A synchronous state machine on one thread; Effect runs the calls and the deliveries. A lane stays taken until its request's outcome is committed,
 * so that a crash can leave at most one request of an address in doubt.
 */
export class Pipeline extends Context.Service<Pipeline, {
  /** What the group's member is to be told; `assigned` says to whom pauses and commits go from then on. */
  readonly assigned: (subscription: Subscription, assignment: Assignment) => void
  readonly handler: Omit<ConsumerHandler, "assigned">
  /** Settles and commits what is in flight, as `drain` does, and starts nothing more whatever is assigned from then on. */
  readonly stop: Effect.Effect<void>
  readonly status: () => PipelineStatus
  /** Dies of a fault in the pipeline itself. Never succeeds. */
  readonly failure: Effect.Effect<never>
}>()("@origin-regions/consumer/Pipeline") {
  static readonly layer = (options: PipelineOptions) => Layer.effect(Pipeline, make(options))
}

const make = Effect.fnUntraced(function*(options: PipelineOptions) {
  const attempt = yield* Attempt
  const delivery = yield* Delivery
  const admin = yield* KafkaAdmin
  const { batchesCreates, clock: apiClock, quota } = yield* OriginRegionsApi
  const clock = yield* Clock.Clock
  const metrics = yield* pipelineMetrics
  const fork = yield* FiberSet.makeRuntime<never>()
  const failed = yield* Deferred.make<never>()

  const sessionMillis = Duration.toMillis(options.sessionTimeout)
  const owned = new Map<number, OwnedPartition>()
  const lanes = new Lanes<Task>()
  const circuits = new Circuits(lanes, quota, options.batchSize, batchesCreates)
  const untimedChanges = new UntimedChanges()
  const outbox: Array<SettledTask> = []
  const outcomesReady = yield* Latch.make(false)
  const commitWanted = yield* Latch.make(false)
  const idleListeners = new Set<() => void>()
  let membership: Membership | undefined
  let dispatching = false
  let stopping = false
  let pumping = false
  let calls = 0
  let inFlight = 0
  let delivering = 0
  let isCommitting = false
  let nextWaitingLineAt = 0
  let nextZoneLineAt = 0
  let waitsForQuota = false

  /** Nothing in here can fail: a defect ends the process, an interruption is the process ending. */
  const ended = (exit: Exit.Exit<unknown>) => {
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
      Deferred.doneUnsafe(failed, Exit.failCause(exit.cause))
    }
  }

  /** Setting the machine's time neither holds anything up nor lets it go. */
  const now = () => Math.floor(steadyMillis(clock))

  /** What can't be committed under this membership is kept for the next. */
  const isSettled = () => inFlight === 0 && delivering === 0 && (outbox.length === 0 || membership?.isOver === true)
  /** What is to be committed for at last while nothing is sent any more. */
  const toRelease = () =>
    isSettled() && membership?.isOver === false
      ? [...owned.values()].filter(({ progress }) => progress.wantsRelease)
      : []
  const isIdle = () => isSettled() && !isCommitting && toRelease().length === 0

  const notifyIdle = () => {
    if (!isIdle()) return
    for (const listener of idleListeners) listener()
    idleListeners.clear()
  }

  const lose = (owner: OwnedPartition) => {
    owner.lost = true
    owned.delete(owner.partition)
    owner.unreserved.length = 0
    lanes.drop((task) => task.owner === owner)
  }

  const own = (partition: number, progress: PartitionProgress) => {
    if (!progress.intact) {
      void fork(
        Effect.logWarning(
          `The group's metadata of partition ${partition} is not ours or damaged: what was done beyond its offset is done again`
        )
      )
    }
    owned.set(partition, { partition, progress, unreserved: [], keptBytes: 0, isDue: true, paused: false, lost: false })
  }

  const assigned = (subscription: Subscription, assignment: Assignment) => {
    const { heads } = assignment
    membership = { subscription, assignment, isOver: false }
    metrics.rebalanced()
    for (const owner of owned.values()) {
      const head = heads.get(owner.partition)
      // Kept only where nobody else has worked on it in between.
      if (head === undefined || !owner.progress.goesOnFrom(head)) lose(owner)
    }
    for (const [partition, head] of heads) {
      const owner = owned.get(partition)
      if (owner === undefined) own(partition, new PartitionProgress(head, delivery.owner))
      else if (owner.paused) subscription.pause(partition)
    }
    dispatching = !stopping
    if (dispatching) {
      for (const owner of owned.values()) {
        owner.progress.goOn()
        admit(owner)
      }
    }
    outcomesReady.openUnsafe()
    commitWanted.openUnsafe()

    void fork(Effect.logInfo(assignmentLine(options.requestsTopic, [...heads.keys()])))
    fork(shareQuota(assignment)).addObserver(ended)
    pump()
  }

  /** Of the group's quota a member has as much as of the partitions: nobody needs to be asked, and together they have the whole. */
  const shareQuota = (of: Assignment) =>
    admin.partitionCount(options.requestsTopic).pipe(
      Effect.tapError((error) => Effect.logWarning(`${error.message}. Trying again`)),
      Effect.retry(Schedule.spaced(LOOKUP_SPACING)),
      Effect.orDie,
      Effect.map((partitions) => {
        if (membership?.assignment !== of) return
        quota.own(Math.min(1, of.heads.size / partitions))
        pump()
      })
    )

  const undoneOfAll = () => {
    let sum = 0
    for (const { progress } of owned.values()) sum += progress.undone
    return sum
  }

  const isFull = ({ keptBytes, progress: { undone } }: OwnedPartition) =>
    undone >= MAX_UNDONE || keptBytes >= MAX_KEPT_BYTES || (undone >= FAIR_SHARE && undoneOfAll() >= MAX_UNDONE_OF_ALL)

  const pause = (owner: OwnedPartition) => {
    owner.paused = true
    membership?.subscription.pause(owner.partition)
  }

  const resumeIfRoom = (owner: OwnedPartition) => {
    const { keptBytes, progress } = owner
    if (!owner.paused || owner.lost || !progress.hasRoomFor(progress.position)) return
    if (progress.undone > MAX_UNDONE / 2 || keptBytes > MAX_KEPT_BYTES / 2) return
    if (progress.undone > FAIR_SHARE / 2 && undoneOfAll() > MAX_UNDONE_OF_ALL / 2) return
    owner.paused = false
    membership?.subscription.resume(owner.partition)
  }

  const received = ({ fetchedOffset, nextOffset, partition, records }: RecordBatch): number | undefined => {
    const owner = owned.get(partition)
    if (owner === undefined) return fetchedOffset
    if (!dispatching) {
      // Not `pause`: whoever is assigned the partition next reads on.
      membership?.subscription.pause(partition)
      return fetchedOffset
    }
    const { progress } = owner
    if (fetchedOffset > progress.position) return progress.position
    for (const record of records) {
      if (record.offset < progress.position) continue
      // What an owner before us had there was room for.
      if (progress.isCaughtUp && (isFull(owner) || !progress.hasRoomFor(record.offset))) {
        progress.advance(record.offset)
        pause(owner)
        admit(owner)
        pump()
        return record.offset
      }
      const undone = progress.receive(record.offset)
      if (undone !== undefined) keep(owner, record, undone)
    }
    progress.advance(nextOffset)
    admit(owner)
    pump()
    return undefined
  }

  /** Lets the requests go that are reserved by now, and asks for a commit that reserves more where few are left. */
  const admit = (owner: OwnedPartition) => {
    const { progress, unreserved } = owner
    const first = unreserved.findIndex(({ record }) => !progress.isReserved(record.offset))
    for (const task of unreserved.splice(0, first === -1 ? unreserved.length : first)) {
      lanes.add(groupOf(task), laneOf(task), task)
    }
    if (wantsCommit(owner)) commitWanted.openUnsafe()
  }

  const skipped = (partition: number, offset: number) => {
    const owner = owned.get(partition)
    if (owner === undefined) return
    const { committed, position } = owner.progress
    if (offset > position) {
      void fork(Effect.logError(
        `Kafka has deleted requests before they were read: offsets ${position} to ${
          offset - 1
        } of partition ${partition} are lost. Raise the retention of ${options.requestsTopic}`
      ))
      owner.progress.advance(offset)
    } else if (offset <= committed.offset && offset < position) {
      // Deletion would have gone beyond what is committed: kafkajs never reads before it.
      void fork(Effect.logError(
        `Partition ${partition} of ${options.requestsTopic} has lost its end, or was made anew: read up to offset ${
          position - 1
        }, it is read again from ${offset} on`
      ))
      lose(owner)
      own(partition, new PartitionProgress({ offset, metadata: "" }, delivery.owner))
      commitWanted.openUnsafe()
    }
  }

  /** A process that was stopped for a while does not know yet what it has lost: nothing is sent before it has heard of the group again. */
  const isInTouch = (): boolean => membership !== undefined && membership.subscription.state().silence < sessionMillis

  const pump = () => {
    // What is decided without a call is settled before `fork` returns, and comes back here: the loop goes on, not down.
    if (pumping) return
    pumping = true
    while (dispatching && calls < options.concurrency && isInTouch()) {
      const admitted = circuits.take(now(), options.concurrency - calls)
      if (admitted === undefined) break
      const early = admitted.tasks.filter(isTooSoon)
      if (early.length > 0) holdUp(early)
      const [first, ...others] = early.length === 0
        ? admitted.tasks
        : admitted.tasks.filter((task) => !early.includes(task))
      if (first === undefined) circuits.dismissed(admitted)
      else call({ ...admitted, tasks: [first, ...others] })
    }
    pumping = false
    if (!dispatching || calls >= options.concurrency) return
    pumpWithQuota()
    for (const owner of owned.values()) {
      if (owner.unreserved.length > 0) owner.progress.reserveMore()
      if (wantsCommit(owner)) commitWanted.openUnsafe()
    }
  }

  const call = (admitted: Admitted) => {
    const { tasks } = admitted
    const [first] = tasks
    calls += 1
    inFlight += tasks.length
    metrics.called(tasks.length)
    for (const { owner, request, undone } of tasks) if (request.verdict._tag === "Apply") owner.progress.send(undone)
    const results = tasks.length === 1 ? Effect.map(attempt.make(first), (one) => [one]) : attempt.makeTogether(tasks)
    fork(results).addObserver((exit) => attempted(admitted, exit))
  }

  /** Whether a mapping that is found there, should the create be in doubt, could be of a batch that has gone before it, here or at an owner before us. */
  const isTooSoon = (task: Task): boolean => {
    const { owner: { progress }, request: { operation }, undone } = task
    if (operation !== "create" || undone.attemptedSince !== undefined) return false
    const since = progress.reservedSince ?? 0
    return since < progress.untimedBefore || untimedChanges.reaches(laneOf(task), since)
  }

  const holdUp = (tasks: ReadonlyArray<Task>) => {
    const since = now()
    for (const task of tasks) {
      task.wait = {
        since,
        until: since + Duration.toMillis(HOLD_SPACING),
        failures: 0,
        reason: "its address has just been changed, and the API does not say when"
      }
      lanes.putBack(laneOf(task), task)
    }
    resumeAfter(HOLD_SPACING, tasks)
  }

  /** Comes back when the quota has room for a call again, if that is sooner than anything else does. */
  const pumpWithQuota = () => {
    const { waitMillis } = quota
    if (waitMillis <= 0 || waitMillis >= Duration.toMillis(REFRESH_SPACING) || waitsForQuota) return
    waitsForQuota = true
    fork(Effect.andThen(
      Effect.sleep(Duration.millis(Math.ceil(waitMillis))),
      Effect.sync(() => {
        waitsForQuota = false
        pump()
      })
    )).addObserver(ended)
  }

  const attempted = (admitted: Admitted, exit: Exit.Exit<ReadonlyArray<BatchedResult>>) => {
    const { tasks } = admitted
    calls -= 1
    inFlight -= tasks.length
    if (Exit.isFailure(exit)) return ended(exit)
    const change = circuits.attempted(admitted, exit.value, now())
    if (change !== undefined) tellOf(change)
    const waiting: Array<[Task, Waiting]> = []
    for (const [index, task] of tasks.entries()) {
      const result = exit.value[index]
      if (tasks.length > 1 && task.request.operation !== "delete" && !isRefused(result)) changedUntimed(task)
      if (result === undefined || task.owner.lost) lanes.release(laneOf(task))
      else if (result._tag === "Settled") settle(task, result.settlement)
      else if (result._tag === "Waiting") waiting.push([task, result])
      else goAlone(task)
    }
    if (waiting.length > 0) waitFor(waiting)
    if (toRelease().length > 0) commitWanted.openUnsafe()
    pump()
    notifyIdle()
  }

  const tellOf = ({ pause, zoneId }: CircuitChange) => {
    const what = zoneId === undefined ? "All requests" : `All requests of zone ${zoneId}`
    if (pause !== undefined) {
      const wait = Duration.millis(pause.until - now())
      fork(Effect.andThen(Effect.sleep(wait), Effect.sync(pump))).addObserver(ended)
    }
    if (pause !== undefined && !pause.isFirst) return
    if (zoneId !== undefined && !isTimeForZoneLine()) return
    void fork(
      pause === undefined
        ? Effect.logInfo(`${what} go on: the API answers as it should`)
        : Effect.logWarning(`${what} wait, as ${pause.failures} in a row have failed: ${pause.reason}`)
    )
  }

  /** Thousands of zones can fail together: /status has them all. */
  const isTimeForZoneLine = (): boolean => {
    const time = now()
    if (time < nextZoneLineAt) return false
    nextZoneLineAt = time + WAITING_LINE_SPACING
    return true
  }

  const changedUntimed = (task: Task) => {
    const before = apiClock.beyond()
    untimedChanges.changed(laneOf(task), before)
    task.owner.progress.changedBefore(before)
  }

  const settle = (task: Task, settlement: Settlement) => {
    task.wait = undefined
    outbox.push({ task, settlement, settledAt: clock.currentTimeMillisUnsafe() })
    outcomesReady.openUnsafe()
  }

  const goAlone = (task: Task) => {
    task.goesAlone = true
    lanes.putBack(laneOf(task), task)
    lanes.resume(laneOf(task), task)
  }

  const waitFor = (waiting: ReadonlyArray<readonly [Task, Waiting]>) => {
    const time = now()
    for (const [task, { delay, error }] of waiting) {
      lanes.putBack(laneOf(task), task)
      task.wait = {
        since: task.wait?.since ?? time,
        until: time + Math.ceil(Duration.toMillis(delay)),
        failures: task.failures,
        reason: error.message
      }
    }
    if (time >= nextWaitingLineAt) tellOfWaiting(waiting, time)
    const byDelay = Map.groupBy(waiting, ([, { delay }]) => delay)
    for (const [delay, group] of byDelay) resumeAfter(delay, group.map(([task]) => task))
  }

  const tellOfWaiting = ([first]: ReadonlyArray<readonly [Task, Waiting]>, time: number) => {
    if (first === undefined) return
    nextWaitingLineAt = time + WAITING_LINE_SPACING
    const [task, { delay, error }] = first
    const wait = Duration.format(Duration.millis(Math.ceil(Duration.toMillis(delay))))
    const line = `${laneOf(task)} waits ${wait}: ${error.message}`
    void fork(Effect.logWarning(lanes.waiting === 1 ? line : `${lanes.waiting} requests wait; ${line}`))
  }

  const resumeAfter = (delay: Duration.Duration, tasks: ReadonlyArray<Task>) => {
    fork(Effect.andThen(
      Effect.sleep(delay),
      Effect.sync(() => {
        for (const task of tasks) lanes.resume(laneOf(task), task)
        pump()
      })
    )).addObserver(ended)
  }

  /** The partitions whose progress should be committed as it is by now. */
  const due = () => dispatching ? [...owned.values()].filter(wantsCommit) : toRelease()

  /** Publishes what has been settled, with the progress that it makes: one publication after the other, and what is settled meanwhile goes together in the next. */
  const deliverNext = Effect.gen(function*() {
    yield* outcomesReady.await
    outcomesReady.closeUnsafe()
    const used = membership
    if (used === undefined || used.isOver || outbox.length === 0) return
    const settled = outbox.splice(0, MAX_DELIVERY)
    delivering = settled.length
    // A partition's first commit goes by itself: before it nobody could tell whose transaction is pending there.
    const delivered = yield* delivery.deliver(settled, () => due().filter(({ progress }) => progress.isMarked), used)
    delivering = 0
    if (delivered === "stale") expelAll(used)
    for (const each of settled.toReversed()) conclude(each)
    goOn()
  })

  /** Commits the progress and the reservations that are due, beside publications: whoever has just received requests need not wait for the end of one. */
  const commitNext = Effect.gen(function*() {
    yield* commitWanted.await
    commitWanted.closeUnsafe()
    const used = membership
    if (used === undefined || used.isOver || due().length === 0) return
    isCommitting = true
    const committed = yield* delivery.commit(due, used)
    isCommitting = false
    if (committed === "stale") expelAll(used)
    goOn()
  })

  /** Something has been committed, or never will be. */
  const goOn = () => {
    for (const owner of owned.values()) admit(owner)
    outcomesReady.openUnsafe()
    commitWanted.openUnsafe()
    pump()
    notifyIdle()
  }

  const expelAll = (used: Membership) => {
    if (used === membership && !used.isOver) { for (const owner of owned.values()) expel(owner, used) }
  }

  /** The group has given the partition away, or is about to: it is not read any further before it is assigned anew. */
  const expel = (owner: OwnedPartition, { subscription }: Membership) => {
    subscription.pause(owner.partition)
    lose(owner)
  }

  /** A request's outcome is certain, or nobody's business here any more; or it was refused with a membership that has been renewed since. */
  const conclude = (settled: SettledTask) => {
    const { owner, record } = settled.task
    if (!owner.lost && owner.progress.isUndone(record.offset)) {
      outbox.unshift(settled)
      return
    }
    owner.keptBytes -= sizeOf(record)
    resumeIfRoom(owner)
    lanes.release(laneOf(settled.task))
  }

  /**
   * Makes a commit due for what has moved on without an outcome, such as past transaction markers, and for reservations that have grown old; and goes on
   * with what was held up until the group was heard of.
   */
  const refresh = Effect.sync(() => {
    if (!dispatching) return
    circuits.prune()
    untimedChanges.prune(
      Math.min(apiClock.reached(), ...[...owned.values()].map(({ progress }) => progress.reservedSince ?? Infinity))
    )
    for (const owner of owned.values()) {
      if (owner.progress.hasMoved) owner.isDue = true
      // Where it is for what others have that it was paused.
      resumeIfRoom(owner)
    }
    commitWanted.openUnsafe()
    pump()
  })

  /** Takes back what has not been sent, to be reserved anew if the partition stays. */
  const hold = (owner: OwnedPartition) => {
    owner.progress.hold()
    const unsent = lanes.drop((task) => task.owner === owner && task.undone.attemptedSince === undefined)
    owner.unreserved.unshift(...unsent.toSorted((one, other) => one.record.offset - other.record.offset))
  }

  const drain: Effect.Effect<void> = Effect.andThen(
    Effect.sync(() => {
      dispatching = false
      for (const owner of owned.values()) hold(owner)
      commitWanted.openUnsafe()
    }),
    Effect.callback<void>((resume) => {
      const listener = () => resume(Effect.void)
      if (isIdle()) return listener()
      idleListeners.add(listener)
      return Effect.sync(() => idleListeners.delete(listener))
    })
  )

  fork(Effect.forever(deliverNext)).addObserver(ended)
  fork(Effect.forever(commitNext)).addObserver(ended)
  fork(Effect.repeat(refresh, Schedule.spaced(REFRESH_SPACING))).addObserver(ended)

  return Pipeline.of({
    assigned,
    handler: { received, skipped, drain },
    stop: Effect.andThen(
      Effect.sync(() => {
        stopping = true
      }),
      drain
    ),
    status: () =>
      pipelineStatus({
        working: dispatching,
        calls,
        inFlight,
        unpublished: outbox.length + delivering,
        lanes,
        circuits,
        owned: [...owned.values()],
        quota: quota.status,
        time: clock.currentTimeMillisUnsafe(),
        epoch: clock.currentTimeMillisUnsafe() - now()
      }),
    failure: Deferred.await(failed)
  })
})
