import type { ApiError } from "@origin-regions/api-client/ApiError"
import type { ApiQuota } from "@origin-regions/api-client/ApiQuota"
import { Duration } from "effect"
import type { AttemptResult } from "./Attempt.ts"
import { Circuit, type CircuitPause, type Pause } from "./Circuit.ts"
import type { Lanes } from "./Lanes.ts"
import { groupOf, LOCAL, type Task } from "./Task.ts"

/** So many failures in a row, of whatever addresses, hold up a zone, or the API where none could be reached. */
const FAILURES = 5

/** What a call that has been let go is a probe of, if it is one. */
export interface Admitted {
  readonly task: Task
  readonly probed: Circuit | undefined
  /** `task.attempts` before. */
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

/** The API has said when to come again; it is in the attempt's delay. */
const hasRetryAfter = ({ reason }: ApiError): boolean => "retryAfter" in reason && reason.retryAfter !== undefined

/** How long no call may be made for want of quota: 0 where one may. */
type Quota = Pick<ApiQuota, "waitMillis">

/**
 * Which requests may be sent: where calls fail there is a circuit for each zone that has failures, and one for the API as a whole, and no call is made that the
 * quota has no room for. They hold up lanes, and no memory: nothing is tried that would only fail, and zones that work go on.
 */
export class Circuits {
  readonly #lanes: Lanes<Task>
  readonly #quota: Quota
  readonly #zones = new Map<string, Circuit>()
  #api = new Circuit(FAILURES)

  constructor(lanes: Lanes<Task>, quota: Quota) {
    this.#lanes = lanes
    this.#quota = quota
  }

  /** Why nothing at all is sent. */
  get apiPause(): Pause | undefined {
    return this.#api.pause
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

  /** The next request to work on, or `undefined` where all that there is must wait. */
  take(now: number): Admitted | undefined {
    const local = this.#lanes.takeFrom(LOCAL)
    if (local !== undefined) return this.#admit(local, undefined)
    if (this.#quota.waitMillis > 0) return undefined
    if (this.#api.isOpen) {
      const task = this.#api.isDue(now) ? this.#lanes.take() ?? this.#takeDue(now)?.task : undefined
      return task === undefined ? undefined : this.#admit(task, this.#api)
    }
    const due = this.#takeDue(now)
    if (due !== undefined) return this.#admit(due.task, due.circuit)
    const task = this.#lanes.take()
    return task === undefined ? undefined : this.#admit(task, undefined)
  }

  /** Learns from what has come of a call. Answers what has changed by it. */
  attempted({ attempts, probed, task }: Admitted, result: AttemptResult, now: number): CircuitChange | undefined {
    const zoneId = groupOf(task)
    if (zoneId === LOCAL) return undefined
    if (result._tag === "Waiting") {
      const { error } = result
      if (concernsAll(error)) {
        if (probed !== this.#api) probed?.probeEnded()
        return this.#apiFailed(result, now, probed === this.#api)
      }
      // An answer of the API, if a bad one: for all others it is there.
      const recovered = this.#worked(undefined, this.#api, probed)
      return this.#zoneFailed(zoneId, result, now, probed) ?? recovered
    }
    if (result.settlement._tag === "Failed" || task.attempts === attempts) {
      probed?.probeEnded()
      return undefined
    }
    const zone = this.#zones.get(zoneId)
    const change = zone === undefined ? undefined : this.#worked(zoneId, zone, probed)
    return this.#worked(undefined, this.#api, probed) ?? change
  }

  /** Forgets zones of which nothing is there any more. */
  prune(): void {
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

  #admit(task: Task, probed: Circuit | undefined): Admitted {
    probed?.probe()
    return { task, probed, attempts: task.attempts }
  }

  #apiFailed(
    { delay, error }: Extract<AttemptResult, { _tag: "Waiting" }>,
    now: number,
    isProbe: boolean
  ): CircuitChange | undefined {
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
