import { type SteadyClock, steadyMillis } from "@origin-regions/domain/SteadyTime"
import type { Redacted } from "effect"
import type { KnownLimit, PoolMember } from "./internal/PoolMember.ts"
import { AMPLE, BURST } from "./internal/QuotaPoolScript.ts"

/** How many calls a token has, and how many of them are this group's to make. */
export interface QuotaOptions {
  /** The published limit, in calls per five minutes; `undefined` where only the API's answers tell of one. */
  readonly calls: number | undefined
  /** The part of it that is used, above 0 and up to 1. The rest is for people, and for calls that others have under way. */
  readonly share: number
  /** The address of a Redis where all who use the token pool their quota; left out: members share it by their partitions. */
  readonly redis?: Redacted.Redacted
}

/** What there is of the quota; times in steady milliseconds. */
export interface QuotaStatus {
  /** Calls in a window, of everybody. */
  readonly limit: number
  /** How long the window is. */
  readonly windowMillis: number
  /** Calls that this process may still make in it. */
  readonly left: number
  /** For how long no call may be made: 0 where one may. */
  readonly waitMillis: number
  /** Whether it is of the pool in Redis, or why not; left out where no pool is wanted. */
  readonly pool?: "joined" | string
  /** Whether the API refuses all calls, as it has told somebody in the pool. */
  readonly refused?: true
}

/** https://developers.cloudflare.com/fundamentals/api/reference/limits/ */
const WINDOW_MILLIS = 300_000

/** Calls at a time, before an answer has told whether there is a limit. Not one alone: it may hang. */
const BEFORE_ANSWER = 8

/** What the API has said last. `left` is what the group might use of it. */
interface Told {
  readonly limit: number
  readonly windowMillis: number
  resetsAt: number
  left: number
}

/**
 * Decides when calls may be made, so that the API never has to refuse one for their number: Cloudflare refuses all for five minutes then.
 *
 * Every answer tells how many are left (`Ratelimit`, `Ratelimit-Policy`), whoever makes them. A process uses the fraction of that which is its own, and spreads
 * calls out where few are left. Before the first answer, and where answers tell nothing, the published limit counts: a token bucket that starts empty, so that
 * no restart and no rebalance adds to what was used before.
 *
 * As a member of a pool it uses what that leases to it, and all of this by itself only while it is alone.
 */
export class ApiQuota {
  readonly #options: QuotaOptions
  readonly #isOff: boolean
  readonly #clock: SteadyClock
  readonly #underWay: () => number
  readonly #pool: PoolMember | undefined
  #isPooled = false
  #fraction = 0
  /** Whether there has been an answer, which would have told of a limit. */
  #isAnswered = false
  #told: Told | undefined
  /** Calls that `#told` does not know of, or may not. */
  #spent = 0
  #tokens = 0
  #tokensAt: number
  #lastCall = Number.NEGATIVE_INFINITY

  /** Without options nothing is limited, whatever answers tell. `underWay` counts the calls that have no answer yet. */
  constructor(options: QuotaOptions | undefined, clock: SteadyClock, underWay: () => number, pool?: PoolMember) {
    this.#options = options ?? { calls: undefined, share: 1 }
    this.#isOff = options === undefined
    this.#clock = clock
    this.#underWay = underWay
    this.#pool = pool
    this.#tokensAt = this.#now()
  }

  /** How much of the group's quota is this process's: as much as it has of the partitions. None before it is told. */
  own(fraction: number): void {
    this.#refill()
    if (this.#fraction === 0) this.#tokens = 1
    else if (fraction < this.#fraction) this.#tokens *= fraction / this.#fraction
    this.#fraction = fraction
    this.#pool?.own(fraction)
  }

  /** For how long no call may be made, in milliseconds; 0 where one may, infinite before anything is this process's, and while a few calls wait for the very first answer. */
  get waitMillis(): number {
    if (this.#isOff) return 0
    if (!this.#isAnswered && this.#underWay() >= BEFORE_ANSWER) return Number.POSITIVE_INFINITY
    if (this.#isMember(this.#pool)) return this.#pool.waitMillis(this.known !== undefined)
    if (this.#told !== undefined) return this.#waitTold(this.#renewed(this.#told))
    if (this.#options.calls === undefined) return 0
    if (this.#fraction === 0) return Number.POSITIVE_INFINITY
    this.#refill()
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#perMilli
  }

  /** How many calls there are for an operation that takes more than one, once it has begun; infinite where calls are not counted. */
  get spare(): number {
    return this.#isOff
      ? Number.POSITIVE_INFINITY
      : Math.max(0, Math.floor(this.#limit?.left ?? Number.POSITIVE_INFINITY))
  }

  /** A call is made now. Where calls are spread out, one that comes early makes the next one wait for longer. */
  called(): void {
    if (this.#isOff) return
    this.#lastCall = Math.max(this.#refill(), this.#dueTold)
    this.#tokens -= 1
    this.#spent += 1
    if (this.#isMember(this.#pool)) this.#pool.called()
  }

  /** Takes in what an answer says of the quota, which may be nothing. */
  observe(headers: Readonly<Record<string, string | Array<string> | undefined>>, status?: number): void {
    if (this.#isOff) return
    this.#isAnswered = true
    if (status === 429) this.#refused(headers["retry-after"])
    const limits = limitsOf(headers["ratelimit"], headers["ratelimit-policy"])
    let tightest: Told | undefined
    for (const { limit = this.#options.calls, remaining, resetSeconds, windowSeconds } of limits) {
      const reserved = (limit ?? remaining) * (1 - this.#options.share)
      const left = Math.max(0, remaining - reserved)
      if (tightest !== undefined && tightest.left <= left) continue
      tightest = {
        limit: limit ?? remaining,
        windowMillis: windowSeconds === undefined ? WINDOW_MILLIS : windowSeconds * 1000,
        resetsAt: this.#now() + resetSeconds * 1000,
        left
      }
    }
    if (tightest === undefined) return
    this.#told = tightest
    this.#spent = this.#underWay()
    this.#pool?.told(tightest.left, tightest.limit, tightest.windowMillis, tightest.resetsAt - this.#now())
  }

  /** What this process knows of the limit by itself, for its pool. */
  get known(): KnownLimit | undefined {
    const { calls, share } = this.#options
    if (this.#told === undefined) {
      return calls === undefined ? undefined : { limit: calls, windowMillis: WINDOW_MILLIS, share, told: undefined }
    }
    const { left, limit, resetsAt, windowMillis } = this.#renewed(this.#told)
    return { limit, windowMillis, share, told: { left: left - this.#spent, resetMillis: resetsAt - this.#now() } }
  }

  /** Whether calls are limited at all, as far as is known. */
  get isKnown(): boolean {
    return this.#told !== undefined || this.#options.calls !== undefined || this.#isPooled
  }

  /** Where the calls are limited at all, as far as is known. */
  get status(): QuotaStatus | undefined {
    const { waitMillis } = this
    const limit = this.#limit
    if (limit === undefined) return undefined
    const status = { ...limit, left: Math.max(0, Math.floor(limit.left)), waitMillis }
    if (this.#pool === undefined) return status
    const pooled = { ...status, pool: this.#pool.problem ?? "joined" }
    return this.#isPooled && this.#pool.isRefused ? { ...pooled, refused: true } : pooled
  }

  get #limit(): Omit<QuotaStatus, "waitMillis"> | undefined {
    const { calls } = this.#options
    const pooled = this.#isPooled ? this.#pool?.limit : undefined
    if (pooled !== undefined) return { limit: pooled.limit, windowMillis: pooled.windowMillis, left: pooled.left }
    if (this.#told !== undefined) {
      return { limit: this.#told.limit, windowMillis: this.#told.windowMillis, left: this.#leftTold(this.#told) }
    }
    return calls === undefined ? undefined : { limit: calls, windowMillis: WINDOW_MILLIS, left: this.#tokens }
  }

  /** Whether calls are leased of the pool now. Once they no longer are, this process goes on as one that has just begun. */
  #isMember(pool: PoolMember | undefined): pool is PoolMember {
    if (pool === undefined) return false
    if (!pool.isAlone) {
      this.#isPooled = true
      return true
    }
    if (!this.#isPooled) return false
    this.#isPooled = false
    this.#isAnswered = false
    this.#refill()
    this.#tokens = 0
    const { limit } = pool
    if (limit?.resetMillis === undefined) return false
    const own = this.#told === undefined ? limit.left : this.#renewed(this.#told).left - this.#spent
    this.#told = {
      limit: limit.limit,
      windowMillis: limit.windowMillis,
      resetsAt: this.#now() + limit.resetMillis,
      left: Math.min(own, limit.left)
    }
    this.#spent = this.#underWay()
    return false
  }

  #refused(retryAfter: string | Array<string> | undefined): void {
    const seconds = Number(retryAfter)
    this.#pool?.refused(seconds * 1000, false)
  }

  #leftTold({ left }: Told): number {
    return left * this.#fraction - this.#spent
  }

  /** When the next call is due where they are spread out. */
  get #dueTold(): number {
    const told = this.#told === undefined ? undefined : this.#renewed(this.#told)
    return told === undefined || this.#leftTold(told) < 1 ? 0 : this.#now() + this.#waitTold(told)
  }

  #waitTold(told: Told): number {
    const now = this.#now()
    const left = this.#leftTold(told)
    const rest = told.resetsAt - now
    if (left < 1) return rest
    if (left >= told.limit * this.#options.share * this.#fraction * AMPLE) return 0
    return Math.max(0, this.#lastCall + rest / left - now)
  }

  /** Once its window is over, a new one has begun. */
  #renewed(told: Told): Told {
    const late = this.#now() - told.resetsAt
    if (late < 0) return told
    told.resetsAt += (Math.floor(late / told.windowMillis) + 1) * told.windowMillis
    told.left = told.limit * this.#options.share
    this.#spent = this.#underWay()
    return told
  }

  /** Calls of the token bucket in a millisecond: with what is used at once, no five minutes see more than the published limit. */
  get #perMilli(): number {
    return (this.#options.calls ?? 0) * this.#options.share * this.#fraction * (1 - BURST) / WINDOW_MILLIS
  }

  /** Brings the token bucket up to date, and answers when that was. */
  #refill(): number {
    const now = this.#now()
    const most = (this.#options.calls ?? 0) * this.#options.share * this.#fraction * BURST
    this.#tokens = Math.min(Math.max(most, 1), this.#tokens + (now - this.#tokensAt) * this.#perMilli)
    this.#tokensAt = now
    return now
  }

  #now(): number {
    return steadyMillis(this.#clock)
  }
}

interface Limit {
  readonly remaining: number
  readonly resetSeconds: number
  readonly limit: number | undefined
  readonly windowSeconds: number | undefined
}

const item = /"([^"]*)"([^,]*)/g
const parameterNamed = (name: string) => {
  const form = new RegExp(`;\\s*${name}=(\\d{1,15})(?:\\s*(?:;|$))`)
  return (parameters: string): number | undefined => {
    const value = form.exec(parameters)?.[1]
    return value === undefined ? undefined : Number(value)
  }
}

const remainingIn = parameterNamed("r")
const resetIn = parameterNamed("t")
const limitIn = parameterNamed("q")
const windowIn = parameterNamed("w")

/** The items of a header such as `"default";r=50;t=30, "burst";r=9;t=1`, by their names. */
const itemsOf = (header: string | Array<string> | undefined): ReadonlyMap<string, string> =>
  new Map(
    [...(Array.isArray(header) ? header.join(",") : header ?? "").matchAll(item)].map((
      [, name = "", parameters = ""]
    ) => [name, parameters])
  )

/** What `Ratelimit` says, with what `Ratelimit-Policy` says of the same limits (draft-ietf-httpapi-ratelimit-headers). */
const limitsOf = (
  ratelimit: string | Array<string> | undefined,
  policy: string | Array<string> | undefined
): ReadonlyArray<Limit> => {
  if (ratelimit === undefined) return []
  const policies = itemsOf(policy)
  return [...itemsOf(ratelimit)].flatMap(([name, parameters]) => {
    const remaining = remainingIn(parameters)
    const resetSeconds = resetIn(parameters)
    if (remaining === undefined || resetSeconds === undefined) return []
    const known = policies.get(name) ?? ""
    return [{ remaining, resetSeconds, limit: limitIn(known), windowSeconds: windowIn(known) }]
  })
}
