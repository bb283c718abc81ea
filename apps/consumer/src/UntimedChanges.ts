/**
 * Addresses that a batch has changed a moment ago: when, the API doesn't say, only that it was before a certain time.
 *
 * A create that was sent there by then, and whose answer was lost, could not be told from the maker of what it finds. So it is sent once a commit says that it
 * was not sent before. Times are the API's.
 */
export class UntimedChanges {
  readonly #before = new Map<string, number>()

  /** The lane's address was changed before this time. */
  changed(lane: string, before: number): void {
    this.#before.set(lane, before)
  }

  /** Whether a change of the lane's address may be as young as what counts as sent since then. */
  reaches(lane: string, since: number): boolean {
    const before = this.#before.get(lane)
    return before !== undefined && since < before
  }

  /** Forgets what is older than all that can be sent from now on. */
  prune(since: number): void {
    for (const [lane, before] of this.#before) if (before <= since) this.#before.delete(lane)
  }
}
