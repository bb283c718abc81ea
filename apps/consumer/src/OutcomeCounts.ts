/** How far back is told. */
export const WINDOW_SECONDS = 900
/** What a plot shows as one: short enough to see something begin, long enough for its percentiles to mean something. */
export const POINT_SECONDS = 5

/** Each is the double of the third before it, from 1 ms to more than a day: what is told of a time is within 13 percent. */
const BINS_PER_DOUBLING = 3
const BINS = 82

const binOf = (millis: number): number =>
  millis < 1 ? 0 : Math.min(BINS - 1, 1 + Math.floor(Math.log2(millis) * BINS_PER_DOUBLING))

const millisOf = (bin: number): number => bin === 0 ? 0 : 2 ** ((bin - 0.5) / BINS_PER_DOUBLING)

/** Of some seconds together. Times are in milliseconds; without an outcome whose time is known there are none. */
export interface CountedSpan {
  /** In the order of the codes. */
  readonly counts: ReadonlyArray<number>
  readonly p50: number | undefined
  readonly p99: number | undefined
}

/** Outcomes by code and by how long they took, second by second, for as long as the window is. Takes the same memory however many there are: some 400 KB. */
export class OutcomeCounts {
  readonly codes: ReadonlyArray<string>
  readonly #indexes: ReadonlyMap<string, number>
  /** Which second each row is of. */
  readonly #seconds = new Float64Array(WINDOW_SECONDS).fill(-1)
  readonly #counts: Uint32Array
  readonly #times = new Uint32Array(WINDOW_SECONDS * BINS)

  /** The last of the codes is for what has none of the others. */
  constructor(codes: ReadonlyArray<string>) {
    this.codes = codes
    this.#indexes = new Map(codes.map((code, index) => [code, index]))
    this.#counts = new Uint32Array(WINDOW_SECONDS * codes.length)
  }

  /** `second` is of a clock that does not go back. `millis`: how long it took, where that is known. */
  add(second: number, code: string, millis: number | undefined): void {
    const row = second % WINDOW_SECONDS
    if (this.#seconds[row] !== second) this.#clear(row, second)
    const at = row * this.codes.length + (this.#indexes.get(code) ?? this.codes.length - 1)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    if (millis === undefined) return
    const bin = row * BINS + binOf(millis)
    this.#times[bin] = (this.#times[bin] ?? 0) + 1
  }

  /** The seconds from `first` up to and without `end`. */
  span(first: number, end: number): CountedSpan {
    const counts = this.codes.map(() => 0)
    const times = new Float64Array(BINS)
    for (let second = Math.max(first, 0); second < end; second++) {
      const row = second % WINDOW_SECONDS
      if (this.#seconds[row] !== second) continue
      for (const code of counts.keys()) {
        counts[code] = (counts[code] ?? 0) + (this.#counts[row * counts.length + code] ?? 0)
      }
      for (let bin = 0; bin < BINS; bin++) times[bin] = (times[bin] ?? 0) + (this.#times[row * BINS + bin] ?? 0)
    }
    return { counts, p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
  }

  #clear(row: number, second: number): void {
    this.#seconds[row] = second
    this.#counts.fill(0, row * this.codes.length, (row + 1) * this.codes.length)
    this.#times.fill(0, row * BINS, (row + 1) * BINS)
  }
}

const quantile = (times: Float64Array, share: number): number | undefined => {
  const rank = share * times.reduce((sum, count) => sum + count, 0)
  if (rank === 0) return undefined
  let seen = 0
  for (const [bin, count] of times.entries()) {
    seen += count
    if (seen >= rank) return millisOf(bin)
  }
  return undefined
}
