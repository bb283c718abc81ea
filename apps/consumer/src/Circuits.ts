import type { ApiError } from "@origin-regions/api-client/ApiError"
import type { ApiQuota } from "@origin-regions/api-client/ApiQuota"
import { Duration } from "effect"
import type { AttemptResult, BatchedResult } from "./Attempt.ts"
import { Circuit, type CircuitPause, type Pause } from "./Circuit.ts"
import type { Lanes } from "./Lanes.ts"
import { batchedOperation, groupOf, LOCAL, type Task } from "./Task.ts"

/** So many failures in a row, of whatever addresses, hold up a zone, or the API where none could be reached. */
const FAILURES = 5

/** In milliseconds: a call that takes longer may be one that has no answer. */
const LONGEST_GATHERING = 1_000

/** Requests that go in one call: one alone, or a batch; and what the call is a probe of, if it is one. */
export interface Admitted {
  readonly tasks: readonly [Task, ...ReadonlyArray<Task>]
  readonly probed: Circuit | undefined
  /** Their attempts before, together. */
  readonly attempts: number
}

/** What has changed for a zone, or for all (`undefined`): `opened` is told each time that a pause begins. */
export interface CircuitChange {
  readonly zoneId: string | undefined
  readonly pause: CircuitPause | undefined
}

/** All zones share a credential, its quota, and the way to the API. */
const concernsAll = ({ reason }: ApiError): boolean =>
  reason._tag === "BadCredential" || reason._tag === "RateLimited" || (reason._tag === "Unreachable" && !reason.sent)

/** One refusal of these says it for all: it is no accident of a single call. */
const isCertain = ({ reason }: ApiError): boolean => reason._tag === "BadCredential" || reason._tag === "RateLimited"

/** The API has answered, as it should. What is given up says nothing about it. */
const isAnswered = (result: BatchedResult): boolean =>
  result._tag === "GoesAlone" || (result._tag === "Settled" && result.settlement._tag !== "Failed")

/** The API has said when to come again; it is in the attempt's delay. */
const hasRetryAfter = ({ reason }: ApiError): boolean => "retryAfter" in reason && reason.retryAfter !== undefined

/** How long no call may be made for want of quota, 0 where one may; and whether calls are counted at all. */
type Quota = Pick<ApiQuota, "waitMillis" | "isKnown">

const attemptsOf = (tasks: ReadonlyArray<Task>): number => tasks.reduce((sum, { attempts }) => sum + attempts, 0)

/**
 * Which requests may be sent: where calls fail there is a circuit for each zone that has failures, and one for the API as a whole, and no call is made that the
 * quota has no room for. They hold up lanes, and no memory: nothing is tried that would only fail, and zones that work go on.
 */
export class Circuits {
  readonly #lanes: Lanes<Task>
  readonly #quota: Quota
  readonly #batchSize: number
  readonly #batchesCreates: () => boolean
  readonly #zones = new Map<string, Circuit>()
  /** By zone, of which something is here: when the last call began. */
  readonly #lastCall = new Map<string, number>()
  #api = new Circuit(FAILURES)
  #apiFailure: ApiError["category"] = "retry"

  /** `batchSize`: how many requests may go in one call. `batchesCreates`: whether creates may, as far as is known. */
  constructor(lanes: Lanes<Task>, quota: Quota, batchSize: number, batchesCreates: () => boolean) {
    this.#lanes = lanes
    this.#quota = quota
    this.#batchSize = batchSize
    this.#batchesCreates = batchesCreates
  }

  /** Why nothing at all is sent. */
  get apiPause(): Pause | undefined {
    return this.#api.pause
  }

  /** What the last failure was that held up everything, or would have. */
  get apiFailure(): ApiError["category"] {
    return this.#apiFailure
  }

  /** Why nothing is sent to a zone. */
  pauseOf(zoneId: string): Pause | undefined {
    return this.#zones.get(zoneId)?.pause
  }

  /** The zones that are held up. */
  get zonePauses(): ReadonlyMap<string, Pause> {
    const pauses = new Map<string, Pause>()
    for (const [zoneId, { pause }] of this.#zones) if (pause !== undefined) pauses.set(zoneId, pause)
    return pauses
  }

  /** The next call to make, where so many are free, or `undefined` where all that there is must wait. Probes go alone. */
  take(now: number, free: number): Admitted | undefined {
    const local = this.#lanes.takeFrom(LOCAL)
    if (local !== undefined) return this.#admit([local], undefined, now)
    if (this.#quota.waitMillis > 0) return undefined
    if (this.#api.isOpen) {
      const task = this.#api.isDue(now) ? this.#lanes.take() ?? this.#takeDue(now)?.task : undefined
      return task === undefined ? undefined : this.#admit([task], this.#api, now)
    }
    const due = this.#takeDue(now)
    if (due !== undefined) return this.#admit([due.task], due.circuit, now)
    const task = this.#quota.isKnown && this.#batchSize > 1
      ? this.#lanes.take((zoneId, next, ready) => this.#gathers(zoneId, next, ready, now))
      : this.#lanes.take()
    return task === undefined ? undefined : this.#admit([task, ...this.#takeCompany(task, free)], undefined, now)
  }

  /** The call is not made: its request waits for something of its own. */
  dismissed({ probed }: Admitted): void {
    probed?.probeEnded()
  }

  /** Learns from what has come of a call. Answers what has changed by it. */
  attempted(
    { attempts, probed, tasks }: Admitted,
    results: ReadonlyArray<BatchedResult>,
    now: number
  ): CircuitChange | undefined {
    const zoneId = groupOf(tasks[0])
    if (zoneId === LOCAL) return undefined
    const failed = results.find((result) => result._tag === "Waiting")
    if (failed !== undefined && (isCertain(failed.error) || !results.some(isAnswered))) {
      if (concernsAll(failed.error)) {
        if (probed !== this.#api) probed?.probeEnded()
        return this.#apiFailed(failed, now, probed === this.#api)
      }
      // An answer of the API, if a bad one: for all others it is there.
      const recovered = this.#worked(undefined, this.#api, probed)
      return this.#zoneFailed(zoneId, failed, now, probed) ?? recovered
    }
    const isCalled = attemptsOf(tasks) !== attempts || results.some(({ _tag }) => _tag === "GoesAlone")
    if (!results.some(isAnswered) || !isCalled) {
      probed?.probeEnded()
      return undefined
    }
    const zone = this.#zones.get(zoneId)
    const change = zone === undefined ? undefined : this.#worked(zoneId, zone, probed)
    return this.#worked(undefined, this.#api, probed) ?? change
  }

  /** Forgets zones of which nothing is there any more. */
  prune(): void {
    for (const zoneId of this.#lastCall.keys()) if (!this.#lanes.has(zoneId)) this.#lastCall.delete(zoneId)
    for (const zoneId of this.#zones.keys()) {
      if (this.#lanes.has(zoneId)) continue
      this.#zones.delete(zoneId)
      this.#lanes.letGoGroup(zoneId)
    }
  }

  /** A request of a zone whose time for a probe has come. */
  #takeDue(now: number): { readonly task: Task; readonly circuit: Circuit } | undefined {
    for (const [zoneId, circuit] of this.#zones) {
      const task = circuit.isDue(now) ? this.#lanes.takeFrom(zoneId) : undefined
      if (task !== undefined) return { task, circuit }
    }
    return undefined
  }

  /**
   * What goes together with a request, if anything: where calls are counted all that can, else as much as it takes for all that is ready to share the calls that are
   * free. At a low load nothing does.
   */
  #takeCompany(task: Task, free: number): ReadonlyArray<Task> {
    const operation = this.#batchedOperation(task)
    if (operation === undefined) return []
    const size = this.#quota.isKnown
      ? this.#batchSize
      : Math.min(this.#batchSize, Math.ceil((this.#lanes.ready + 1) / free))
    if (size < 2) return []
    return this.#lanes.takeMoreFrom(groupOf(task), (other) => this.#batchedOperation(other) === operation, size - 1)
  }

  /**
   * Where calls are counted a zone waits for the requests that are under way, if that does not take long, until it has as much as a call can carry: what comes meanwhile
   * then goes together, and so does what comes behind them.
   */
  #gathers(zoneId: string, next: Task, ready: number, now: number): boolean {
    return this.#lanes.takenOf(zoneId) > 0 && ready < this.#batchSize && this.#batchedOperation(next) !== undefined &&
      now - (this.#lastCall.get(zoneId) ?? 0) < LONGEST_GATHERING
  }

  #batchedOperation(task: Task) {
    return batchedOperation(task, this.#batchesCreates())
  }

  #admit(tasks: Admitted["tasks"], probed: Circuit | undefined, now: number): Admitted {
    if (this.#quota.isKnown) this.#lastCall.set(groupOf(tasks[0]), now)
    probed?.probe()
    return { tasks, probed, attempts: attemptsOf(tasks) }
  }

  #apiFailed(
    { delay, error }: Extract<AttemptResult, { _tag: "Waiting" }>,
    now: number,
    isProbe: boolean
  ): CircuitChange | undefined {
    this.#apiFailure = error.category
    if (isCertain(error) && !this.#api.isOpen) this.#api = new Circuit(1)
    const hasPaused = this.#api.failed(now, error.message, isProbe, {
      millis: isCertain(error) ? Duration.toMillis(delay) : 0,
      isExact: isCertain(error)
    })
    return hasPaused ? { zoneId: undefined, pause: this.#api.pause } : undefined
  }

  #zoneFailed(
    zoneId: string,
    { delay, error }: Extract<AttemptResult, { _tag: "Waiting" }>,
    now: number,
    probed: Circuit | undefined
  ): CircuitChange | undefined {
    const zone = this.#zones.get(zoneId) ?? new Circuit(FAILURES)
    this.#zones.set(zoneId, zone)
    const asked = { millis: hasRetryAfter(error) ? Duration.toMillis(delay) : 0, isExact: false }
    if (!zone.failed(now, error.message, probed === zone, asked)) return undefined
    this.#lanes.holdGroup(zoneId)
    return { zoneId, pause: zone.pause }
  }

  #worked(zoneId: string | undefined, circuit: Circuit, probed: Circuit | undefined): CircuitChange | undefined {
    const hasClosed = circuit.worked(probed === circuit)
    if (zoneId !== undefined && !circuit.isOpen) {
      this.#zones.delete(zoneId)
      this.#lanes.letGoGroup(zoneId)
    }
    if (zoneId === undefined && hasClosed) this.#api = new Circuit(FAILURES)
    return hasClosed ? { zoneId, pause: undefined } : undefined
  }
}
