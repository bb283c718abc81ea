import { type SteadyClock, steadyMillis } from "@origin-regions/domain/SteadyTime"

/** How many calls a token has, and how many of them are this group's to make. */
export interface QuotaOptions {
  /** The published limit, in calls per five minutes; `undefined` where only the API's answers tell of one. */
  readonly calls: number | undefined
  /** The part of it that is used, above 0 and up to 1. The rest is for people, and for calls that others have under way. */
  readonly share: number
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
}

/** Of the published limit, how much may be used at once: the more, the less comes afterwards. */
const BURST = 0.1

/** https://developers.cloudflare.com/fundamentals/api/reference/limits/ */
const WINDOW_MILLIS = 300_000

/** Calls at a time, before an answer has told whether there is a limit. Not one alone: it may hang. */
const BEFORE_ANSWER = 8

/** With less than this left of what there was, calls are spread over the rest of the window: it is better to be slow than to stand still. */
const AMPLE = 0.5

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
 */
export class ApiQuota {
  readonly #options: QuotaOptions
  readonly #isOff: boolean
  readonly #clock: SteadyClock
  readonly #underWay: () => number
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
  constructor(options: QuotaOptions | undefined, clock: SteadyClock, underWay: () => number) {
    this.#options = options ?? { calls: undefined, share: 1 }
    this.#isOff = options === undefined
    this.#clock = clock
    this.#underWay = underWay
    this.#tokensAt = this.#now()
  }

  /** How much of the group's quota is this process's: as much as it has of the partitions. None before it is told. */
  own(fraction: number): void {
    this.#refill()
    if (this.#fraction === 0) this.#tokens = 1
    else if (fraction < this.#fraction) this.#tokens *= fraction / this.#fraction
    this.#fraction = fraction
  }

  /** For how long no call may be made, in milliseconds; 0 where one may, infinite before anything is this process's, and while a few calls wait for the very first answer. */
  get waitMillis(): number {
    if (this.#isOff) return 0
    if (!this.#isAnswered && this.#underWay() >= BEFORE_ANSWER) return Number.POSITIVE_INFINITY
    if (this.#told !== undefined) return this.#waitTold(this.#renewed(this.#told))
    if (this.#options.calls === undefined) return 0
    if (this.#fraction === 0) return Number.POSITIVE_INFINITY
    this.#refill()
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#perMilli
  }

  /** A call is made now. */
  called(): void {
    if (this.#isOff) return
    this.#lastCall = this.#refill()
    this.#tokens -= 1
    this.#spent += 1
  }

  /** Takes in what an answer says of the quota, which may be nothing. */
  observe(headers: Readonly<Record<string, string | Array<string> | undefined>>): void {
    if (this.#isOff) return
    this.#isAnswered = true
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
  }

  /** Whether calls are limited at all, as far as is known. */
  get isKnown(): boolean {
    return this.#told !== undefined || this.#options.calls !== undefined
  }

  /** Where `isKnown`. */
  get status(): QuotaStatus | undefined {
    const { calls } = this.#options
    if (!this.isKnown) return undefined
    const { waitMillis } = this
    const left = this.#told === undefined ? this.#tokens : this.#leftTold(this.#told)
    return {
      limit: this.#told?.limit ?? calls ?? 0,
      windowMillis: this.#told?.windowMillis ?? WINDOW_MILLIS,
      left: Math.max(0, Math.floor(left)),
      waitMillis
    }
  }

  #leftTold({ left }: Told): number {
    return left * this.#fraction - this.#spent
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
