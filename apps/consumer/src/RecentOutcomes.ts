/** An outcome that was published, as far as it is remembered. */
export interface RecentOutcome {
  /** When it was published, in milliseconds since 1970. */
  publishedAt: number
  code: string
  kind: "succeeded" | "rejected" | "failed"
  zoneId: string | null
  originIp: string | null
  /** The request's; `null` where it has none, or one that is too long to be kept. */
  id: string | null
  source: string | null
  operation: string | null
  partition: number
  offset: number
  /** From the request's record, by its timestamp, to the publication; `undefined` where the record has no time. */
  millis: number | undefined
  /** Calls that may have changed something. */
  attempts: number
  /** Whether an attempt without a known answer had applied it. */
  recovered: boolean
}

/** Emitters choose ids freely: one of a megabyte is not kept. */
const LONGEST_TEXT = 256

/** `text`, or `null` where it is too long to be remembered thousands of times. */
export const rememberedText = (text: string | null): string | null =>
  text !== null && text.length <= LONGEST_TEXT ? text : null

const unused = (): RecentOutcome => ({
  publishedAt: 0,
  code: "",
  kind: "succeeded",
  zoneId: null,
  originIp: null,
  id: null,
  source: null,
  operation: null,
  partition: 0,
  offset: 0,
  millis: undefined,
  attempts: 0,
  recovered: false
})

/** The last so many outcomes: a ring of slots that are made once, and used again. */
export class RecentOutcomes {
  readonly #slots: ReadonlyArray<RecentOutcome>
  #added = 0

  constructor(capacity: number) {
    this.#slots = Array.from({ length: capacity }, unused)
  }

  /** How many there have been. */
  get added(): number {
    return this.#added
  }

  /** How many are remembered. */
  get size(): number {
    return Math.min(this.#added, this.#slots.length)
  }

  /** The slot for the next outcome, to be filled in whole at once. */
  next(): RecentOutcome | undefined {
    const slot = this.#slots[this.#added % this.#slots.length]
    this.#added += 1
    return slot
  }

  /** From the latest to the oldest. What comes out is the slots themselves: they don't keep. */
  *latest(): Generator<Readonly<RecentOutcome>> {
    for (let back = 1; back <= this.size; back++) {
      const slot = this.#slots[(this.#added - back) % this.#slots.length]
      if (slot !== undefined) yield slot
    }
  }
}
