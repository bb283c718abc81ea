import type { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { legible } from "@origin-regions/settings/LogFormat"
import { Clock, type Context, Duration, Effect, Exit } from "effect"
import type { Attempt, AttemptResult, BatchedResult, LookingUp } from "./Attempt.ts"
import type { Admitted, CircuitChange, Circuits } from "./Circuits.ts"
import type { Lanes } from "./Lanes.ts"
import type { PartitionsInHand } from "./PartitionsInHand.ts"
import type { PipelineMetrics } from "./PipelineMetrics.ts"
import { requestFields } from "./RequestFields.ts"
import { endAbandoned, onBehalfOf } from "./RequestTraces.ts"
import { laneOf, type Task } from "./Task.ts"

/** How soon a create is looked at again that has to wait for a commit. */
const HOLD_SPACING = Duration.millis(500)
/** An outage makes thousands of requests wait, again and again: one line now and then speaks for all. */
const WAITING_LINE_SPACING = Duration.toMillis(Duration.seconds(5))
/** Of what the API has said, in a line. */
const LONGEST_REASON = 1_000
/** Whatever else happens, the pipeline looks at everything again that often. */
const LONGEST_QUOTA_SLEEP = Duration.toMillis(Duration.seconds(1))

type Waiting = Extract<AttemptResult, { _tag: "Waiting" }>

/** Nothing was changed for it. */
const isRefused = (result: BatchedResult | undefined): boolean =>
  result?._tag === "Settled" && result.settlement._tag === "Rejected"

export interface DispatcherOptions {
  /** Calls to the API at a time. */
  readonly concurrency: number
  /** After that long without a word from the group's coordinator the partitions may be somebody else's. */
  readonly sessionTimeout: Duration.Duration
  readonly partitions: PartitionsInHand
  readonly lanes: Lanes<Task>
  readonly circuits: Circuits
  readonly api: Context.Service.Shape<typeof OriginRegionsApi>
  readonly attempt: Context.Service.Shape<typeof Attempt>
  readonly metrics: PipelineMetrics
  /** Runs an effect beside everything else, and ends with its fault if it has one; what comes of it is told to `onExit`. */
  readonly run: <A>(effect: Effect.Effect<A>, onExit?: (exit: Exit.Exit<A>) => void) => void
  /** A request is decided. */
  readonly settle: (task: Task, settlement: Settlement) => void
  /** All that could be started is under way, and there are calls to spare. */
  readonly callsToSpare: () => void
  /** A call has ended, and all that comes of it has been done. */
  readonly callEnded: () => void
}

/** Makes the calls: takes what may go, waits for what may not, and says what is settled. */
export interface Dispatcher {
  /** Starts all that can be started. */
  readonly pump: () => void
  readonly calls: () => number
  /** Requests that are in these calls. */
  readonly inFlight: () => number
  /** Forgets what is of no more use. */
  readonly prune: () => void
}

export const makeDispatcher = Effect.fnUntraced(function*(options: DispatcherOptions) {
  const { api, attempt, callEnded, callsToSpare, circuits, concurrency, lanes, metrics, partitions, run, settle } =
    options
  const clock = yield* Clock.Clock
  const sessionMillis = Duration.toMillis(options.sessionTimeout)
  let pumping = false
  let calls = 0
  let inFlight = 0
  let nextWaitingLineAt = 0
  let nextZoneLineAt = 0
  let waitsForQuota = false

  /** Setting the machine's time neither holds anything up nor lets it go. */
  const now = () => Math.floor(steadyMillis(clock))

  /** A process that was stopped for a while does not know yet what it has lost: nothing is sent before it has heard of the group again. */
  const isInTouch = (): boolean =>
    partitions.membership !== undefined && partitions.membership.subscription.state().silence < sessionMillis

  const pump = () => {
    // What is decided without a call is settled before `run` returns, and comes back here: the loop goes on, not down.
    if (pumping) return
    pumping = true
    while (partitions.isWorking && calls < concurrency && isInTouch()) {
      const admitted = circuits.take(now(), concurrency - calls)
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
    if (calls >= concurrency) return
    callsToSpare()
    if (!partitions.isWorking) return
    pumpWithQuota()
    partitions.reserveMore()
  }

  const pumpAfter = (delay: Duration.Duration, first: () => void = () => {}) =>
    run(Effect.andThen(
      Effect.sleep(delay),
      Effect.sync(() => {
        first()
        pump()
      })
    ))

  /** Comes back when the quota has room for a call again, if that is sooner than anything else does. */
  const pumpWithQuota = () => {
    const { waitMillis } = api.quota
    if (waitMillis <= 0 || waitMillis >= LONGEST_QUOTA_SLEEP || waitsForQuota) return
    waitsForQuota = true
    pumpAfter(Duration.millis(Math.ceil(waitMillis)), () => {
      waitsForQuota = false
    })
  }

  const call = (admitted: Admitted) => {
    const { tasks } = admitted
    const [first] = tasks
    calls += 1
    inFlight += tasks.length
    metrics.called(tasks.length)
    for (const { owner, request, undone } of tasks) if (request.verdict._tag === "Apply") owner.progress.send(undone)
    const results = tasks.length === 1 ? Effect.map(attempt.make(first), (one) => [one]) : attempt.makeTogether(tasks)
    run(onBehalfOf(tasks, results), (exit) => attempted(admitted, exit))
  }

  const attempted = (admitted: Admitted, exit: Exit.Exit<ReadonlyArray<BatchedResult>>) => {
    const { tasks } = admitted
    calls -= 1
    inFlight -= tasks.length
    if (Exit.isFailure(exit)) return
    const change = circuits.attempted(admitted, exit.value, now())
    if (change !== undefined) tellOf(change)
    const waiting: Array<[Task, Waiting]> = []
    for (const [index, task] of tasks.entries()) {
      const result = exit.value[index]
      if (tasks.length > 1 && task.request.operation !== "delete" && !isRefused(result)) changedUntimed(task)
      if (result === undefined || task.owner.lost) {
        endAbandoned(task)
        lanes.release(laneOf(task))
      } else if (result._tag === "Settled") settled(task, result.settlement)
      else if (result._tag === "Waiting") waiting.push([task, result])
      else if (result._tag === "LookingUp") lookUp(task, result)
      else goAlone(task)
    }
    if (waiting.length > 0) waitFor(waiting)
    pump()
    callEnded()
  }

  const settled = (task: Task, settlement: Settlement) => {
    task.wait = undefined
    settle(task, settlement)
  }

  /** Takes none of the calls, and a drain does not wait for it: nothing is asked of the API meanwhile. */
  const lookUp = (task: Task, { delay, lookUp }: LookingUp) => {
    const since = now()
    const wait = (reason: string) => ({ since, until: now() + Duration.toMillis(delay), failures: 0, reason })
    putBack(task, wait("it has come before, and what became of it then is being looked up"))
    const looking = lookUp((problem) => {
      task.wait = wait(problem)
    })
    run(onBehalfOf([task], looking), (exit) => {
      if (Exit.isFailure(exit)) return
      lanes.resume(laneOf(task), task)
      pump()
    })
  }

  const goAlone = (task: Task) => {
    task.goesAlone = true
    lanes.putBack(laneOf(task), task)
    lanes.resume(laneOf(task), task)
  }

  const changedUntimed = (task: Task) => task.owner.progress.changedBefore(laneOf(task), api.clock.beyond())

  /** Whether a mapping that is found there, should the create be in doubt, could be of a batch that has gone before it, here or at an owner before us. */
  const isTooSoon = ({ owner: { progress }, undone }: Task): boolean => {
    const notBefore = progress.notBefore(undone)
    if (notBefore === 0) return false
    return (undone.attemptedSince === undefined ? progress.reservedSince ?? 0 : api.clock.reached()) < notBefore
  }

  const holdUp = (tasks: ReadonlyArray<Task>) => {
    const time = now()
    for (const task of tasks) {
      putBack(task, {
        since: time,
        until: time + Duration.toMillis(HOLD_SPACING),
        failures: 0,
        reason: "its address has just been changed, and the API does not say when"
      })
    }
    resumeAfter(HOLD_SPACING, tasks)
  }

  const waitFor = (waiting: ReadonlyArray<readonly [Task, Waiting]>) => {
    const time = now()
    for (const [task, { delay, error }] of waiting) {
      putBack(task, {
        since: task.wait?.since ?? time,
        until: time + Math.ceil(Duration.toMillis(delay)),
        failures: task.failures,
        reason: error.message
      })
    }
    if (time >= nextWaitingLineAt) tellOfWaiting(waiting, time)
    const byDelay = Map.groupBy(waiting, ([, { delay }]) => delay)
    for (const [delay, group] of byDelay) resumeAfter(delay, group.map(([task]) => task))
  }

  const putBack = (task: Task, wait: Task["wait"]) => {
    task.wait = wait
    lanes.putBack(laneOf(task), task)
  }

  const resumeAfter = (delay: Duration.Duration, tasks: ReadonlyArray<Task>) =>
    pumpAfter(delay, () => {
      for (const task of tasks) lanes.resume(laneOf(task), task)
    })

  const tellOfWaiting = ([first]: ReadonlyArray<readonly [Task, Waiting]>, time: number) => {
    if (first === undefined) return
    nextWaitingLineAt = time + WAITING_LINE_SPACING
    const [task, { delay, error }] = first
    const wait = Duration.format(Duration.millis(Math.ceil(Duration.toMillis(delay))))
    const line = `${laneOf(task)} waits ${wait}: ${legible(error.message, LONGEST_REASON)}`
    run(
      Effect.logWarning(lanes.waiting === 1 ? line : `${lanes.waiting} requests wait; ${line}`).pipe(
        Effect.annotateLogs(requestFields(task))
      )
    )
  }

  const tellOf = ({ pause, zoneId }: CircuitChange) => {
    const what = zoneId === undefined ? "All requests" : `All requests of zone ${zoneId}`
    if (pause !== undefined) pumpAfter(Duration.millis(pause.until - now()))
    if (pause !== undefined && !pause.isFirst) return
    if (zoneId !== undefined && !isTimeForZoneLine()) return
    const line = pause === undefined
      ? Effect.logInfo(`${what} go on: the API answers as it should`)
      : Effect.logWarning(
        `${what} wait, as ${pause.failures} in a row have failed: ${legible(pause.reason, LONGEST_REASON)}`
      )
    run(zoneId === undefined ? line : Effect.annotateLogs(line, { zone_id: zoneId }))
  }

  /** Thousands of zones can fail together: /status has them all. */
  const isTimeForZoneLine = (): boolean => {
    const time = now()
    if (time < nextZoneLineAt) return false
    nextZoneLineAt = time + WAITING_LINE_SPACING
    return true
  }

  const prune = () => {
    circuits.prune()
    for (const { progress } of partitions.all) progress.prune()
  }

  const dispatcher: Dispatcher = { pump, calls: () => calls, inFlight: () => inFlight, prune }
  return dispatcher
})
