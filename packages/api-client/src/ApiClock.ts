import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { parseTimestamp } from "@origin-regions/domain/Timestamp"
import type { Clock } from "effect"

/** How long the best observation counts: the API's clock may be set back, and then older ones are wrong. */
const WINDOW_MILLIS = 60_000

/** How far an API that does not tell its time is taken to be behind this machine. */
const UNKNOWN_CLOCK_MILLIS = 5_000

/** How far the API's clock can be beyond the `Date` of an answer. */
const SECONDS_BEHIND_MILLIS = 2_000

/**
 * The API's clock, as far as the `Date` headers of its answers tell. They have whole seconds and are as old as the answer, so what is known for
 * sure is a time that the API's clock has reached; the best of the last observations is less than a second behind. Runs on the monotonic clock: setting this machine's
 * time changes nothing.
 */
export class ApiClock {
  readonly #clock: Clock.Clock
  /** The largest difference between the API's time and ours that was seen, in this window and in the one before. */
  #best: number | undefined
  #bestBefore: number | undefined
  #windowEnds = 0

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** Takes in an answer's `Date` header. */
  observe(date: string | Array<string> | undefined): void {
    if (typeof date === "string") this.#hasReached(Date.parse(date))
  }

  /** Takes in when the API made a change that it has just told us of. What we do next comes after it, also in whole milliseconds. */
  sawChange(modifiedOn: string | null): void {
    if (modifiedOn !== null) this.#hasReached((parseTimestamp(modifiedOn) ?? Number.NaN) + 1)
  }

  #hasReached(api: number): void {
    if (Number.isNaN(api)) return
    const now = this.#now()
    if (now >= this.#windowEnds) {
      this.#bestBefore = now < this.#windowEnds + WINDOW_MILLIS ? this.#best : undefined
      this.#best = undefined
      this.#windowEnds = now + WINDOW_MILLIS
    }
    const difference = api - now
    if (this.#best === undefined || difference > this.#best) this.#best = difference
  }

  /** A time that the API's clock has reached, in milliseconds since 1970. Before its first answer it is taken for as wrong as clocks get. */
  reached(): number {
    const difference = this.#best === undefined || (this.#bestBefore !== undefined && this.#bestBefore > this.#best)
      ? this.#bestBefore
      : this.#best
    return Math.floor(this.#now() + (difference ?? -UNKNOWN_CLOCK_MILLIS))
  }

  /**
   * A time that the API's clock had not reached when it gave the answer that was observed last: what answers tell has whole seconds, which servers are known to renew
   * late.
   */
  beyond(): number {
    return this.reached() + (this.#isKnown ? SECONDS_BEHIND_MILLIS : 2 * UNKNOWN_CLOCK_MILLIS)
  }

  get #isKnown(): boolean {
    return this.#best !== undefined || this.#bestBefore !== undefined
  }

  #now(): number {
    return steadyMillis(this.#clock)
  }
}
