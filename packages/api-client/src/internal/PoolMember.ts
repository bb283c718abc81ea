import { type SteadyClock, steadyMillis } from "@origin-regions/domain/SteadyTime"
import {
  LEASE_MILLIS,
  LONGEST_REFUSAL_MILLIS,
  type PoolAnswer,
  type PoolRequest,
  type PoolTold,
  type TooLate
} from "./QuotaPoolScript.ts"

/** How long an answer of the pool is waited for. */
export const ANSWER_MILLIS = 1_000

/** How often the pool is told that somebody is here. */
const HEARTBEAT_MILLIS = 500

/** How soon the pool is asked again at the soonest, and how soon somebody who waits for its answer looks. */
const SOONEST_MILLIS = 5
const LOOK_MILLIS = 10

/** Why a process that has just begun has no part in the pool. */
export const NOT_YET = "Redis has not answered yet"

/** Calls that are leased at a time at most. */
const LARGEST_LEASE = 256

/** What a limit is, and what is left of it. */
export interface PoolLimit {
  readonly limit: number
  readonly windowMillis: number
  readonly left: number
  /** For how long that is known, where the API has told it. */
  readonly resetMillis: number | undefined
}

/** What a process knows of the limit by itself. */
export interface KnownLimit {
  readonly limit: number
  readonly windowMillis: number
  readonly share: number
  /** Calls of everybody's that are left for the group, as far as it knows, and for how long. */
  readonly told: { readonly left: number; readonly resetMillis: number } | undefined
}

/**
 * One participant's side of a quota that is pooled in Redis: leases calls ahead, so that a call needs no word with Redis, and gives back what it does not use.
 *
 * Where the pool does not answer it waits until the pool has surely forgotten it, and then is alone: only then may it use by itself what it has brought in. Times in
 * steady milliseconds.
 */
export class PoolMember {
  readonly #participant: string
  readonly #clock: SteadyClock
  readonly #underWay: () => number
  /** Why it has no part in the pool; undefined where it has. */
  problem: string | undefined = NOT_YET
  /** Asks for a request soon. */
  wake: () => void = () => {}
  #fraction = 0
  #held = 0
  #wanted = 1
  #used = 0
  /** What is to be told with the next request. */
  #told: PoolTold | undefined
  #refusedUntil = 0
  #tellsRefusal = false
  /** Until when what is leased is its own, and from when on what it has brought in is again. */
  #leasedUntil = Number.NEGATIVE_INFINITY
  #aloneFrom = Number.NEGATIVE_INFINITY
  #next = Number.NEGATIVE_INFINITY
  #asked: PoolRequest | undefined
  #askedAt = 0
  #answer: PoolAnswer | undefined
  #answeredAt = 0
  /** Redis' time less ours. */
  #ahead = 0

  constructor(participant: string, clock: SteadyClock, underWay: () => number) {
    this.#participant = participant
    this.#clock = clock
    this.#underWay = underWay
  }

  /** Whether it uses by itself what it has of the quota, and nothing of the pool. */
  get isAlone(): boolean {
    return this.#now() >= this.#aloneFrom
  }

  own(fraction: number): void {
    this.#fraction = fraction
    this.wake()
  }

  /** While it is not alone: for how long no call may be made. `isLimited` says that it knows of a limit itself. */
  waitMillis(isLimited: boolean): number {
    const now = this.#now()
    if (now >= this.#leasedUntil) return this.#asked === undefined ? Math.max(0, this.#aloneFrom - now) : LOOK_MILLIS
    if (now < this.#refusedUntil) return this.#refusedUntil - now
    if (this.#held >= 1 || (!isLimited && this.#answer?.limit === 0)) return 0
    return Math.max(LOOK_MILLIS, this.#next - now)
  }

  /** A call is made now. */
  called(): void {
    this.#held -= 1
    this.#used += 1
    if (this.#answer?.limit !== 0 && this.#held < this.#wanted / 2) this.wake()
  }

  /** The API has told how many calls the group may still make of it. */
  told(left: number, limit: number, windowMillis: number, resetMillis: number): void {
    const answer = this.#answer
    if (answer === undefined || this.#now() >= this.#leasedUntil) return
    const isFirst = answer.limit === 0
    this.#told = { left, limit, window: windowMillis, reset: resetMillis, mark: answer.mark, since: answer.since }
    if (isFirst) this.wake()
  }

  /** The API refuses all calls for so long, as it has told this process, or another one. */
  refused(millis: number, byOther: boolean): void {
    const until = this.#now() + Math.min(millis, LONGEST_REFUSAL_MILLIS)
    // Nor where it is no number.
    if (!(until > this.#refusedUntil)) return
    this.#refusedUntil = until
    if (byOther) return
    this.#tellsRefusal = true
    this.wake()
  }

  /** Whether the API refuses all calls, as it has told somebody. */
  get isRefused(): boolean {
    return this.#now() < this.#refusedUntil
  }

  /** What the pool knew last. */
  get limit(): PoolLimit | undefined {
    const answer = this.#answer
    if (answer === undefined || answer.limit === 0) return undefined
    const { left, limit, reset, window } = answer
    return {
      limit,
      windowMillis: window,
      left: left + Math.max(0, this.#held),
      resetMillis: reset === undefined ? undefined : this.#answeredAt + reset - this.#now()
    }
  }

  /** A new way to Redis is open, whose time is this now. */
  connected(redisTime: number): void {
    this.#ahead = redisTime - this.#now()
    this.#asked = undefined
  }

  /** What to ask the pool now; `leaves` where it is the last time. */
  request(server: string, known: KnownLimit | undefined, leaves = false): PoolRequest {
    const now = this.#now()
    if (now >= this.#leasedUntil) {
      this.#held = Math.min(0, this.#held)
      this.#told = undefined
    }
    // What lay idle goes back, and is taken again only if somebody else has left it.
    const wanted = leaves
      ? 0
      : this.#used > 0 || this.#held < 1
      ? Math.min(LARGEST_LEASE, Math.max(1, 2 * this.#used))
      : 0
    const kept = Math.min(Math.max(0, Math.floor(this.#held)), wanted)
    const request: PoolRequest = {
      participant: this.#participant,
      server,
      notAfter: now + this.#ahead + ANSWER_MILLIS,
      fraction: leaves ? undefined : this.#fraction,
      kept,
      back: this.#held - kept,
      underWay: this.#underWay(),
      want: wanted - kept,
      limit: known?.limit ?? 0,
      window: known?.windowMillis ?? 0,
      share: known?.share ?? 1,
      told: this.#told ?? ownTold(known),
      refused: this.#tellsRefusal ? Math.max(0, this.#refusedUntil - now) : 0
    }
    this.#asked = request
    this.#askedAt = now
    this.#held = kept
    this.#wanted = wanted
    this.#used = 0
    this.#told = undefined
    this.#tellsRefusal = false
    // It may be done even if no answer comes, but not later than this.
    if (!leaves) this.#aloneFrom = now + ANSWER_MILLIS + LEASE_MILLIS
    return request
  }

  /** What the pool has answered, or `undefined` where it has not. */
  answered(answer: PoolAnswer | TooLate | undefined): void {
    const asked = this.#asked
    if (asked === undefined) return
    this.#asked = undefined
    const now = this.#now()
    if (answer !== undefined) this.#ahead = answer.now - now
    if (answer === undefined || "late" in answer) {
      // Calls that were made are rather counted twice.
      if (asked.back < 0) this.#held += asked.back
      this.#tellsRefusal ||= asked.refused > 0
      return
    }
    this.#answer = answer
    this.#answeredAt = now
    if (asked.fraction === undefined) {
      this.#leasedUntil = Number.NEGATIVE_INFINITY
      this.#aloneFrom = now
      return
    }
    this.#held += answer.granted
    this.#leasedUntil = this.#askedAt + LEASE_MILLIS
    this.#aloneFrom = now + LEASE_MILLIS
    this.#refusedUntil = Math.max(this.#refusedUntil, now + answer.refused)
    this.#next = now + (answer.limit > 0 && answer.granted < asked.want ? answer.wait : HEARTBEAT_MILLIS)
  }

  /** In how many milliseconds to ask the pool again. */
  get nextMillis(): number {
    return Math.min(HEARTBEAT_MILLIS, Math.max(SOONEST_MILLIS, this.#next - this.#now()))
  }

  #now(): number {
    return steadyMillis(this.#clock)
  }
}

/** For whom the pool does not know yet: it has no mark of the pool. */
const ownTold = (known: KnownLimit | undefined): PoolTold | undefined =>
  known?.told === undefined ? undefined : {
    left: known.told.left,
    limit: known.limit,
    window: known.windowMillis,
    reset: known.told.resetMillis,
    mark: 0,
    since: 0
  }
