/** Offsets of one block have their places in one array, which is made when the first of them is answered. */
const BLOCK = 4_096

/** What stands for an offset that has no answer. */
export const NO_ANSWER = 0

/**
 * Which offsets of a partition are answered, and by what: a mark of 16 bits for each, whatever the answer is. Two bytes a request are all that is kept, and
 * only for those parts of the partition in which something is answered.
 */
export class AnswerMap {
  readonly #blocks = new Map<number, Uint16Array>()

  /** Takes an answer down, and says which mark stood there before: `NO_ANSWER` where it is the first. The first one stays. */
  add(offset: number, mark: number): number {
    const index = Math.floor(offset / BLOCK)
    let block = this.#blocks.get(index)
    if (block === undefined) this.#blocks.set(index, block = new Uint16Array(BLOCK))
    const before = block[offset % BLOCK] ?? NO_ANSWER
    if (before === NO_ANSWER) block[offset % BLOCK] = mark
    return before
  }

  /** The mark of an offset, which counts as accounted for from then on. */
  take(offset: number): number {
    const block = this.#blocks.get(Math.floor(offset / BLOCK))
    const mark = block?.[offset % BLOCK] ?? NO_ANSWER
    if (block !== undefined) block[offset % BLOCK] = NO_ANSWER
    return mark
  }

  /** How many answers nobody has taken. */
  get left(): number {
    let count = 0
    for (const block of this.#blocks.values()) for (const mark of block) if (mark !== NO_ANSWER) count += 1
    return count
  }
}

/** A mark of what texts say; never `NO_ANSWER`. Other texts have the same one once in 65,535 times. Source: FNV-1a, folded to 16 bits. */
export const markOf = (...texts: ReadonlyArray<string | null>): number => {
  let hash = 0x811c9dc5
  for (const text of texts) {
    // Beyond every code unit: what ends one text begins no other.
    hash = Math.imul(hash ^ (text === null ? 0x10001 : 0x10000), 0x01000193)
    for (let index = 0; index < (text?.length ?? 0); index++) {
      hash = Math.imul(hash ^ (text?.charCodeAt(index) ?? 0), 0x01000193)
    }
  }
  return ((hash >>> 16) ^ (hash & 0xffff)) || 1
}
