import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import type { ReadRequest } from "@origin-regions/domain/RequestReader"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { Assignment, ConsumerHandler, RecordBatch, Subscription } from "@origin-regions/kafka/KafkaConsumer"
import { Cause, Clock, Context, Deferred, type Duration, Effect, Exit, FiberSet, Layer, Schedule } from "effect"
import { type AllowRule, mayChangeBy } from "./AllowRules.ts"
import { Attempt } from "./Attempt.ts"
import { Circuits } from "./Circuits.ts"
import { Delivery } from "./Delivery.ts"
import { type Dispatcher, makeDispatcher } from "./Dispatcher.ts"
import { findRequests, type FoundRequest } from "./FoundRequest.ts"
import { Lanes } from "./Lanes.ts"
import { PartitionsInHand } from "./PartitionsInHand.ts"
import { pipelineMetrics } from "./PipelineMetrics.ts"
import { type PipelineStatus, pipelineStatus } from "./PipelineStatus.ts"
import { makePublisher, type Publisher } from "./Publisher.ts"
import { requestTraces } from "./RequestTraces.ts"
import type { Task } from "./Task.ts"

export interface PipelineOptions {
  readonly requestsTopic: string
  readonly groupId: string
  /** Calls to the API at a time. */
  readonly concurrency: number
  /** Requests that may go in one call. */
  readonly batchSize: number
  /** After that long without a word from the group's coordinator the partitions may be somebody else's. */
  readonly sessionTimeout: Duration.Duration
  /** Left out: every source may change every zone. */
  readonly allowRules?: ReadonlyArray<AllowRule> | undefined
}

/** How old a reservation gets. Whatever somebody else does at an address meanwhile counts as ours, if we crash before the request is settled. */
const REFRESH_SPACING = "1 second"
const LOOKUP_SPACING = "1 second"

const assignmentLine = (topic: string, partitions: ReadonlyArray<number>): string =>
  partitions.length === 0
    ? `Waiting in reserve: other members have all partitions of ${topic}`
    : `At work on ${topic}, partitions ${partitions.toSorted((one, other) => one - other).join(", ")}`

/**
 * The way of every request: received (`PartitionsInHand`), queued in its address's lane (`Lanes`), attempted (`Dispatcher`), settled, published and committed (`Publisher`).
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
  /** The requests in hand that fit, in the order of their partitions. Goes through all that are. */
  readonly find: (fits: (request: ReadRequest) => boolean) => ReadonlyArray<FoundRequest>
  /** Dies of a fault in the pipeline itself. Never succeeds. */
  readonly failure: Effect.Effect<never>
}>()("@origin-regions/consumer/Pipeline") {
  static readonly layer = (options: PipelineOptions) => Layer.effect(Pipeline, make(options))
}

const make = Effect.fnUntraced(function*(options: PipelineOptions) {
  const attempt = yield* Attempt
  const delivery = yield* Delivery
  const admin = yield* KafkaAdmin
  const api = yield* OriginRegionsApi
  const clock = yield* Clock.Clock
  const metrics = yield* pipelineMetrics
  const fork = yield* FiberSet.makeRuntime<never>()
  const failed = yield* Deferred.make<never>()

  const { allowRules } = options
  if (allowRules !== undefined) yield* Effect.logInfo(`Applying only what ${allowRules.length} allow rules let through`)

  const idleListeners = new Set<() => void>()
  let stopping = false

  /** Nothing in here can fail: a defect ends the process, an interruption is the process ending. */
  const run = <A>(effect: Effect.Effect<A>, onExit?: (exit: Exit.Exit<A>) => void) =>
    fork(effect).addObserver((exit) => {
      if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
        Deferred.doneUnsafe(failed, Exit.failCause(exit.cause))
      }
      onExit?.(exit)
    })

  const lanes = new Lanes<Task>()
  const circuits = new Circuits(lanes, api.quota, options.batchSize, api.batchesCreates)
  const partitions = new PartitionsInHand({
    requestsTopic: options.requestsTopic,
    owner: delivery.owner,
    lanes,
    mayChange: allowRules && mayChangeBy(allowRules),
    wantCommit: () => publisher.wantCommit(),
    log: run,
    traces: yield* requestTraces(options)
  })

  const isSettled = () => dispatcher.inFlight() === 0 && publisher.isSettled()
  /** What is to be committed for at last while nothing is sent any more. */
  const toRelease = () =>
    isSettled() && partitions.validMembership !== undefined
      ? partitions.all.filter(({ progress }) => progress.wantsRelease)
      : []
  const isIdle = () => isSettled() && !publisher.isCommitting() && toRelease().length === 0

  const notifyIdle = () => {
    if (!isIdle()) return
    for (const listener of idleListeners) listener()
    idleListeners.clear()
  }

  const publisher: Publisher = yield* makePublisher({
    partitions,
    log: run,
    lanes,
    concurrency: options.concurrency,
    delivery,
    due: () => partitions.isWorking ? partitions.due() : toRelease(),
    goOn: () => {
      partitions.admitAll()
      publisher.wake()
      dispatcher.pump()
      notifyIdle()
    }
  })

  const dispatcher: Dispatcher = yield* makeDispatcher({
    ...options,
    partitions,
    lanes,
    circuits,
    api,
    attempt,
    metrics,
    run,
    settle: publisher.settle,
    callsToSpare: publisher.hurry,
    callEnded: () => {
      if (toRelease().length > 0) publisher.wantCommit()
      notifyIdle()
    }
  })

  const assigned = (subscription: Subscription, assignment: Assignment) => {
    metrics.rebalanced()
    partitions.assigned(subscription, assignment, !stopping)
    publisher.wake()
    run(Effect.logInfo(assignmentLine(options.requestsTopic, [...assignment.heads.keys()])))
    run(shareQuota(assignment))
    dispatcher.pump()
  }

  /** Of the group's quota a member has as much as of the partitions: nobody needs to be asked, and together they have the whole. */
  const shareQuota = (of: Assignment) =>
    admin.partitionCount(options.requestsTopic).pipe(
      Effect.tapError((error) => Effect.logWarning(`${error.message}. Trying again`)),
      Effect.retry(Schedule.spaced(LOOKUP_SPACING)),
      Effect.orDie,
      Effect.map((count) => {
        if (partitions.membership?.assignment !== of) return
        api.quota.own(Math.min(1, of.heads.size / count))
        dispatcher.pump()
      })
    )

  const received = (batch: RecordBatch) => {
    const readOnFrom = partitions.received(batch)
    dispatcher.pump()
    return readOnFrom
  }

  /** Also goes on with what was held up until the group was heard of. */
  const refresh = Effect.sync(() => {
    if (!partitions.isWorking) return
    dispatcher.prune()
    partitions.refresh()
    dispatcher.pump()
  })

  const drain: Effect.Effect<void> = Effect.andThen(
    Effect.sync(() => {
      partitions.hold()
      publisher.wantCommit()
    }),
    Effect.callback<void>((resume) => {
      const listener = () => resume(Effect.void)
      if (isIdle()) return listener()
      idleListeners.add(listener)
      return Effect.sync(() => idleListeners.delete(listener))
    })
  )

  /** When steady milliseconds began, in milliseconds since 1970. */
  const epoch = () => clock.currentTimeMillisUnsafe() - Math.floor(steadyMillis(clock))

  run(publisher.publishing)
  run(publisher.committing)
  run(Effect.repeat(refresh, Schedule.spaced(REFRESH_SPACING)))

  return Pipeline.of({
    assigned,
    handler: { received, skipped: partitions.skipped.bind(partitions), drain },
    stop: Effect.andThen(
      Effect.sync(() => {
        stopping = true
      }),
      drain
    ),
    find: (fits) =>
      findRequests(
        { lanes, circuits, owned: partitions.all, unpublished: publisher.unpublishedTasks(), epoch: epoch() },
        fits
      ),
    status: () => {
      const time = clock.currentTimeMillisUnsafe()
      return pipelineStatus({
        working: partitions.isWorking,
        calls: dispatcher.calls(),
        inFlight: dispatcher.inFlight(),
        unpublished: publisher.unpublished(),
        publishingProblem: publisher.problem(),
        lanes,
        circuits,
        owned: partitions.all,
        quota: api.quota.status,
        time,
        epoch: epoch()
      })
    },
    failure: Deferred.await(failed)
  })
})
