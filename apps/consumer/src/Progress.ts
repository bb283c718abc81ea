import { addRun, BITMAP_SPAN, type DoneRun } from "@origin-regions/kafka/DoneRuns"
import type { CommittedOffset } from "@origin-regions/kafka/KafkaAdmin"
import { decodeMetadata, encodeMetadata } from "@origin-regions/kafka/ProgressMetadata"
import { attemptedSince, NOTHING_RESERVED, type Reservation, reservationFrom } from "@origin-regions/kafka/Reservation"

/** A received request that is not done. `attemptedSince` is the earliest time at which it may have been sent, in the API's clock. */
export interface Undone {
  readonly offset: number
  attemptedSince: number | undefined
  /** Of a create: the lane that it waits in. */
  createIn: string | undefined
}

/** What is to be committed for a partition, and what a successful commit will have reserved. */
export interface Snapshot extends CommittedOffset {
  readonly through: number
  readonly since: number
}

/** With no more undone offsets than this, their runs fit into the metadata however far apart they are: at most nine bytes each. */
const ALWAYS_FITTING = 100

/**
 * How many requests are reserved that have not been sent yet, so that none waits for a commit of its own while others are under way; or how many more, where
 * those that are can't be sent.
 */
const RESERVED_AHEAD = 128

/**
 * Which records of one partition are done, out of order, which may have been sent, and what may be committed because of it. Plain and
 * synchronous: it belongs to one assignment of the partition and is thrown away with it.
 *
 * Only records that were received and are not done keep the commit back: offsets that do not exist (compaction, transaction markers, aborted
 * records) need no special case.
 */
export class PartitionProgress {
  readonly #owner: string
  readonly #undone = new Map<number, Undone>()
  readonly #doneBefore: ReadonlyArray<DoneRun>
  readonly #reservedBefore: Reservation
  /** From there on nothing has been sent by an owner before us. */
  readonly #sentBefore: number
  /** Lanes whose first undone request may have been sent by an owner before us. */
  readonly #lanesBefore = new Set<string>()
  #nextDoneBefore = 0
  #position: number
  #committed: CommittedOffset
  #through: number
  #since = 0
  #untimedBefore: number
  /** Lanes whose address was changed a moment ago: when, the API doesn't say, only that it was before a certain time in its clock. */
  readonly #changedBefore = new Map<string, number>()
  #ahead = 0
  #allowance = RESERVED_AHEAD
  #isMarked = false
  #isHeld = false
  /** Was to be committed, and may have been. */
  #unknown: Snapshot | undefined

  /**
   * Goes on from what the group has committed. Metadata that is not ours or is damaged counts as none; `intact` says which. `owner` goes into every commit: whose
   * transaction may be pending on the partition.
   */
  constructor(committed: CommittedOffset, owner = "") {
    const decoded = decodeMetadata(committed)
    this.intact = committed.metadata === "" || decoded !== undefined
    this.#owner = owner
    this.#doneBefore = decoded?.done ?? []
    this.#reservedBefore = decoded?.reservation ?? NOTHING_RESERVED
    this.#sentBefore = Math.max(
      this.#reservedBefore.through,
      ...[...this.#reservedBefore.attempted.keys()].slice(-1).map((last) => last + 1)
    )
    this.#position = committed.offset
    this.#committed = committed
    this.#through = committed.offset
    this.#since = this.#reservedBefore.since
    this.untimedBefore = this.#untimedBefore = this.#since + (decoded?.untimed ?? 0)
  }

  readonly intact: boolean

  /** An owner before us may have changed any address up to then, in the API's clock, without knowing when. */
  readonly untimedBefore: number

  /** The next offset to be received. */
  get position(): number {
    return this.#position
  }

  /**
   * Whether everything has been received again that an owner before us may have sent. Nothing is sent before: of an address that one request changes, a
   * later one could not be told apart any more from one that had been sent before the change.
   */
  get isCaughtUp(): boolean {
    return this.#position >= this.#sentBefore
  }

  /** Records received and not done. */
  get undone(): number {
    return this.#undone.size
  }

  /** The first offset that is not done: what a commit says to read next. */
  get head(): number {
    for (const offset of this.#undone.keys()) return offset
    return this.#position
  }

  /** What the group had at first, or what was last committed here. */
  get committed(): CommittedOffset {
    return this.#committed
  }

  /**
   * Goes on from what the group has, if that is what was last committed here, or may have been: nobody else has worked on the partition since then. Otherwise it
   * is to be begun anew.
   */
  goesOnFrom(committed: CommittedOffset): boolean {
    const unknown = this.#unknown
    this.#unknown = undefined
    if (unknown !== undefined && isSame(committed, unknown)) this.settled(unknown)
    return isSame(committed, this.#committed)
  }

  /** Whether another record, at this offset, can be taken without the metadata growing too long. */
  hasRoomFor(offset: number): boolean {
    return offset - this.head < BITMAP_SPAN || this.#undone.size < ALWAYS_FITTING
  }

  /** Takes a record, in the order of offsets; `undefined` where it was done before. */
  receive(offset: number): Undone | undefined {
    this.#position = offset + 1
    let run = this.#doneBefore[this.#nextDoneBefore]
    while (run !== undefined && run.end <= offset) run = this.#doneBefore[++this.#nextDoneBefore]
    if (run !== undefined && run.start <= offset) return undefined
    const undone: Undone = {
      offset,
      attemptedSince: attemptedSince(this.#reservedBefore, offset),
      createIn: undefined
    }
    this.#undone.set(offset, undone)
    return undone
  }

  /**
   * Says which lane a record that was just received waits in. A lane's next request is sent only when the outcome of the one before is committed: of several
   * undone ones only the first can have been sent by an owner before us.
   */
  queue(undone: Undone, lane: string, isCreate: boolean): void {
    if (isCreate) undone.createIn = lane
    if (undone.attemptedSince === undefined) return
    if (this.#lanesBefore.has(lane)) undone.attemptedSince = undefined
    else this.#lanesBefore.add(lane)
  }

  /** Whether a request is reserved, and may be sent. */
  isReserved(offset: number): boolean {
    return !this.#isHeld && this.isCaughtUp && offset < this.#through
  }

  /** A request is about to be sent: for whoever reads our last commit it may have been from then on. */
  send(undone: Undone): void {
    if (undone.attemptedSince !== undefined) return
    undone.attemptedSince = this.#since
    this.#ahead -= 1
  }

  /** The lane's address was changed, it is not known when, but before then. */
  changedBefore(lane: string, time: number): void {
    this.#changedBefore.set(lane, time)
    this.#untimedBefore = Math.max(this.#untimedBefore, time)
  }

  /**
   * The time from which on a request may be sent: before it a create whose answer is lost could not be told from the maker of what it finds, as that was changed at a time that
   * nobody knows. Commits say so of each that is reserved; so whoever has the partition next waits for it, too, and can tell.
   */
  notBefore({ attemptedSince, createIn, offset }: Undone): number {
    if (createIn === undefined) return 0
    if (attemptedSince !== undefined) {
      const { attempted, since } = this.#reservedBefore
      return attemptedSince > since && attempted.get(offset) === attemptedSince ? attemptedSince : 0
    }
    return Math.max(this.untimedBefore, this.#changedBefore.get(createIn) ?? 0)
  }

  /** Forgets changes that are older than all that can be sent from now on. */
  prune(): void {
    for (const [lane, before] of this.#changedBefore) if (before <= this.#since) this.#changedBefore.delete(lane)
  }

  /** Everything before `offset` has been received or does not exist. */
  advance(offset: number): void {
    if (offset > this.#position) this.#position = offset
  }

  isUndone(offset: number): boolean {
    return this.#undone.has(offset)
  }

  /** The record's outcome has been published. */
  done(offset: number): void {
    const undone = this.#undone.get(offset)
    if (undone !== undefined && undone.attemptedSince === undefined && offset < this.#through) this.#ahead -= 1
    this.#undone.delete(offset)
  }

  /**
   * Nothing is sent until `goOn`: what is reserved and has not been sent is not reserved any more with the next commit, so that whoever has the partition
   * next need not take it for sent.
   */
  hold(): void {
    this.#isHeld = true
  }

  goOn(): void {
    this.#isHeld = false
  }

  /** From when on those count as sent, for whoever reads the last commit, that are reserved and have not been sent; `undefined` where there are none. */
  get reservedSince(): number | undefined {
    return this.#ahead > 0 ? this.#since : undefined
  }

  /** Whether it is held, and the group's last commit still says of requests that they may have been sent that were not. */
  get wantsRelease(): boolean {
    return this.#isHeld && this.#ahead > 0
  }

  /** Whether a commit of ours says whose the partition is now. */
  get isMarked(): boolean {
    return this.#isMarked
  }

  /** Whether more requests should be reserved: few are left that are and have not been sent. */
  get wantsReservation(): boolean {
    return !this.#isHeld && this.isCaughtUp && this.#ahead < this.#allowance - RESERVED_AHEAD / 2
  }

  /** None of the requests that are reserved can be sent, as their zone fails or their address is busy: others need not wait for that. */
  reserveMore(): void {
    this.#allowance = this.#ahead + RESERVED_AHEAD
  }

  /** Whether the last commit is out of date: more is done, or requests are reserved since a time that has passed. */
  get hasMoved(): boolean {
    return this.head !== this.#committed.offset || this.#ahead > 0
  }

  /** The progress as it stands at `now` (in the API's clock), with the offsets in `settling` done, to be committed. */
  snapshot(now: number, settling: ReadonlySet<number> = new Set()): Snapshot {
    let head: number | undefined
    let at = 0
    let ahead = 0
    let reservable = this.#position
    // No clock that we hear of is behind what was committed before.
    const since = Math.max(now, this.#since)
    const attempted = new Map<number, number>()
    const done: Array<DoneRun> = []
    for (const undone of this.#undone.values()) {
      const { attemptedSince, offset } = undone
      if (attemptedSince === undefined && ahead++ === this.#allowance) reservable = offset
      if (settling.has(offset)) continue
      if (head === undefined) head = at = offset
      addRun(done, at, offset)
      at = offset + 1
      const earliest = attemptedSince ?? this.notBefore(undone)
      // What is reserved and waits for a time that has not come will not be sent sooner.
      const isAhead = earliest > since && !this.#isHeld && offset < Math.max(this.#through, reservable)
      if (attemptedSince !== undefined || isAhead) {
        attempted.set(offset, earliest)
      }
    }
    const offset = head ?? this.#position
    if (head !== undefined) addRun(done, at, this.#position)
    for (const { end, start } of this.#doneBefore) addRun(done, Math.max(start, this.#position), end)
    const through = this.#isHeld && this.isCaughtUp
      ? offset
      : this.isCaughtUp
      ? Math.max(this.#through, reservable)
      : this.#through
    const reservation = this.isCaughtUp
      ? { through, since, attempted }
      : reservationFrom(offset, this.#reservedBefore)
    const untimed = Math.max(0, this.#untimedBefore - reservation.since)
    return {
      offset,
      metadata: encodeMetadata(offset, { owner: this.#owner, reservation, untimed, done }),
      through,
      since
    }
  }

  /** A commit of a snapshot has succeeded. */
  settled({ metadata, offset, since, through }: Snapshot): void {
    this.#committed = { offset, metadata }
    this.#through = through
    this.#since = since
    this.#isMarked = true
    this.#ahead = 0
    for (const undone of this.#undone.values()) {
      if (undone.attemptedSince === undefined && undone.offset < this.#through) this.#ahead += 1
    }
    if (this.#ahead < RESERVED_AHEAD) this.#allowance = RESERVED_AHEAD
  }

  /** It is not known whether a commit of a snapshot has succeeded: the group may have it when it is asked next. */
  unsettled(snapshot: Snapshot): void {
    this.#unknown = snapshot
  }
}

const isSame = (one: CommittedOffset, other: CommittedOffset): boolean =>
  one.offset === other.offset && one.metadata === other.metadata
