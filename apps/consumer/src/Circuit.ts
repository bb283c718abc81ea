/** Why calls are held up. Times are in milliseconds: steady ones here, and since 1970 in what is told of it. */
export interface Pause {
  /** When the first of the failures was. */
  readonly since: number
  /** When the next call is made, to see. */
  readonly until: number
  /** How many calls in a row have failed. */
  readonly failures: number
  /** What the last of them met. */
  readonly reason: string
}

/** A pause of a circuit; `isFirst` where none went before it since things worked. */
export interface CircuitPause extends Pause {
  readonly isFirst: boolean
}

const FIRST_PAUSE = 1_000
const LONGEST_PAUSE = 30_000

/**
 * A circuit breaker: after so many failures in a row it is open, and nothing is called for a while, longer each time, from 1 second to 30; then one call goes, the
 * probe, and what comes of it decides. While it is open only its probe counts: other calls were made before.
 */
export class Circuit {
  readonly #threshold: number
  #failures = 0
  #since = 0
  #until = 0
  #pauses = 0
  #reason = ""
  #probing = false

  constructor(threshold: number) {
    this.#threshold = threshold
  }

  get isOpen(): boolean {
    return this.#pauses > 0
  }

  get pause(): CircuitPause | undefined {
    return this.isOpen
      ? {
        since: this.#since,
        until: this.#until,
        failures: this.#failures,
        reason: this.#reason,
        isFirst: this.#pauses === 1
      }
      : undefined
  }

  /** Whether it is time for a probe. */
  isDue(now: number): boolean {
    return this.isOpen && !this.#probing && now >= this.#until
  }

  probe(): void {
    this.#probing = true
  }

  /** A probe that has come to nothing either way: another one may go at once. */
  probeEnded(): void {
    this.#probing = false
  }

  /**
   * Answers whether calls are held up from now on, or still are. `asked` is how long the API itself wants it, in milliseconds: at least, or, where nothing
   * but time can help, no longer.
   */
  failed(
    now: number,
    reason: string,
    isProbe: boolean,
    asked: { readonly millis: number; readonly isExact: boolean }
  ): boolean {
    if (this.isOpen && !isProbe) return false
    this.#probing = false
    if (this.#failures === 0) this.#since = now
    this.#failures += 1
    this.#reason = reason
    if (this.#failures < this.#threshold) return false
    const growing = Math.min(FIRST_PAUSE * 2 ** this.#pauses, LONGEST_PAUSE)
    this.#until = now + Math.max(asked.millis, asked.isExact ? FIRST_PAUSE : growing)
    this.#pauses += 1
    return true
  }

  /** Answers whether calls may go again that were held up. */
  worked(isProbe: boolean): boolean {
    if (this.isOpen && !isProbe) return false
    const wasOpen = this.isOpen
    this.#probing = false
    this.#failures = 0
    this.#pauses = 0
    return wasOpen
  }
}
