import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import { type MayChange, readRequest } from "@origin-regions/domain/RequestReader"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import type { Assignment, RecordBatch, Subscription } from "@origin-regions/kafka/KafkaConsumer"
import { Effect } from "effect"
import type { Membership } from "./Delivery.ts"
import type { Lanes } from "./Lanes.ts"
import { PartitionProgress, type Undone } from "./Progress.ts"
import { partitionFields } from "./RequestFields.ts"
import { identityOf, RequestMemory } from "./RequestMemory.ts"
import { endAbandoned, type RequestTraces } from "./RequestTraces.ts"
import { groupOf, laneOf, newOwner, newTask, type OwnedPartition, sizeOf, type Task } from "./Task.ts"

/**
 * Records of a partition that are kept until they are settled: beyond either limit its reading pauses, below half of it it goes on. Where all partitions together have too many,
 * each has to do with a fair share: what is kept is most of a process's memory.
 */
const MAX_UNDONE = 2_000
const MAX_KEPT_BYTES = 4 * 1024 * 1024
const MAX_UNDONE_OF_ALL = 6_000
const FAIR_SHARE = 500

/** What the partitions need of what is around them. */
export interface PartitionsInHandOptions {
  readonly requestsTopic: string
  /** Goes into every commit, for whoever has to end what this process has left pending. */
  readonly owner: string
  readonly lanes: Lanes<Task>
  /** Left out: every source may change every zone. */
  readonly mayChange: MayChange | undefined
  /** Asks for a commit of progress. */
  readonly wantCommit: () => void
  readonly log: (line: Effect.Effect<void>) => void
  /** `undefined` where nothing is recorded. */
  readonly traces: RequestTraces | undefined
}

/**
 * Requests that are remembered of a partition once they are settled, and of all partitions together: whoever is given a partition reads so many of its records again.
 * One takes some 400 bytes.
 */
const MAX_REMEMBERED = 2_000
const MAX_REMEMBERED_OF_ALL = 24_000

const wantsCommit = ({ isDue, progress, unreserved }: OwnedPartition): boolean =>
  isDue || (unreserved.length > 0 && progress.wantsReservation)

const keep = (
  owner: OwnedPartition,
  record: SourceRecord,
  undone: Undone,
  { mayChange, traces }: PartitionsInHandOptions
) => {
  const request = readRequest(record, mayChange)
  owner.progress.queue(undone, laneOf({ record, request }), request.operation === "create")
  const span = traces === undefined ? undefined : traces.received(record, request)
  const task = newTask({ owner, record, request, undone, span })
  owner.keptBytes += sizeOf(record)
  owner.unreserved.push(task)
}

/** A record of which a commit says that it is done. */
const remember = ({ memory }: OwnedPartition, record: SourceRecord) => {
  const identity = identityOf(readRequest(record))
  if (identity === undefined) return
  memory.remember(identity, { offset: record.offset, timestamp: record.timestamp, settlement: undefined })
}

/**
 * What the group has given this member, and what it has received of it: records are read, kept within limits, and let into their lanes once a commit says that
 * they may have been sent.
 */
export class PartitionsInHand {
  /** The membership that work is taken on under; `undefined` before the first assignment. */
  membership: Membership | undefined = undefined
  /** Whether what comes in is sent: not before partitions are assigned, in a rebalance, or in a stop. */
  isWorking = false
  readonly #owned = new Map<number, OwnedPartition>()
  readonly #options: PartitionsInHandOptions

  constructor(options: PartitionsInHandOptions) {
    this.#options = options
  }

  /** The membership, while commits count under it. */
  get validMembership(): Membership | undefined {
    return this.membership?.over === undefined ? this.membership : undefined
  }

  get all(): ReadonlyArray<OwnedPartition> {
    return [...this.#owned.values()]
  }

  /** A new membership: what nobody else has worked on in between is kept. */
  assigned(subscription: Subscription, assignment: Assignment, isWorking: boolean): void {
    const { heads } = assignment
    this.membership = { subscription, assignment, over: undefined }
    for (const owner of this.#owned.values()) {
      const head = heads.get(owner.partition)
      if (head === undefined || !owner.progress.goesOnFrom(head)) this.#lose(owner)
    }
    for (const [partition, head] of heads) {
      const owner = this.#owned.get(partition)
      if (owner === undefined) {
        this.#own(partition, new PartitionProgress(head, this.#options.owner))
        continue
      }
      // Reading begins anew where the group stands.
      if (owner.lookedBack === "under way") owner.lookedBack = "not yet"
      if (owner.paused) subscription.pause(partition)
    }
    const remembered = Math.min(MAX_REMEMBERED, Math.floor(MAX_REMEMBERED_OF_ALL / this.#owned.size))
    for (const { memory } of this.#owned.values()) memory.size = remembered
    this.isWorking = isWorking
    if (!isWorking) return
    for (const owner of this.#owned.values()) {
      owner.progress.goOn()
      this.#admit(owner)
    }
  }

  /** Keeps what there is room for. Answers where to read on from, if not behind the batch. */
  received({ fetchedOffset, nextOffset, partition, records }: RecordBatch): number | undefined {
    const owner = this.#owned.get(partition)
    if (owner === undefined) return fetchedOffset
    if (!this.isWorking) {
      // Not `#pause`: whoever is assigned the partition next reads on.
      this.membership?.subscription.pause(partition)
      return fetchedOffset
    }
    if (owner.lookedBack === "not yet") {
      owner.lookedBack = "under way"
      return Math.max(0, owner.progress.head - owner.memory.size)
    }
    const { progress } = owner
    if (owner.lookedBack === "under way") {
      for (const record of records) if (record.offset < progress.head) remember(owner, record)
      if (nextOffset < progress.head) return undefined
      owner.lookedBack = "done"
    }
    if (fetchedOffset > progress.position) return progress.position
    for (const record of records) {
      if (record.offset < progress.position) continue
      // What an owner before us had there was room for.
      if (progress.isCaughtUp && (this.#isFull(owner) || !progress.hasRoomFor(record.offset))) {
        progress.advance(record.offset)
        this.#pause(owner)
        this.#admit(owner)
        return record.offset
      }
      const undone = progress.receive(record.offset)
      if (undone === undefined) remember(owner, record)
      else keep(owner, record, undone, this.#options)
    }
    progress.advance(nextOffset)
    this.#admit(owner)
    return undefined
  }

  /** The topic goes on from another offset than the one that was read up to. */
  skipped(partition: number, offset: number): void {
    const owner = this.#owned.get(partition)
    if (owner === undefined) return
    const { log, requestsTopic } = this.#options
    const { committed, position } = owner.progress
    // What is not there to be read again is not remembered.
    if (owner.lookedBack === "under way" && offset <= position) return
    if (offset > position) {
      log(this.#about(
        partition,
        Effect.logError(
          `Kafka has deleted requests before they were read: offsets ${position} to ${
            offset - 1
          } of partition ${partition} are lost. Raise the retention of ${requestsTopic}`
        )
      ))
      owner.progress.advance(offset)
    } else if (offset <= committed.offset && offset < position) {
      // Deletion would have gone beyond what is committed: kafkajs never reads before it.
      log(this.#about(
        partition,
        Effect.logError(
          `Partition ${partition} of ${requestsTopic} has lost its end, or was made anew: read up to offset ${
            position - 1
          }, it is read again from ${offset} on`
        )
      ))
      this.#lose(owner)
      this.#own(partition, new PartitionProgress({ offset, metadata: "" }, this.#options.owner))
      this.#options.wantCommit()
    }
  }

  /** Lets the requests go that are reserved by now, and asks for commits that reserve more where few are left. */
  admitAll(): void {
    for (const owner of this.#owned.values()) this.#admit(owner)
  }

  /** There are calls to spare: reserves for what waits only for that. */
  reserveMore(): void {
    for (const owner of this.#owned.values()) {
      if (owner.unreserved.length > 0) owner.progress.reserveMore()
      if (wantsCommit(owner)) this.#options.wantCommit()
    }
  }

  /** The partitions whose progress should be committed as it is by now. */
  due(): ReadonlyArray<OwnedPartition> {
    return this.all.filter(wantsCommit)
  }

  /** Makes commits due for what has moved on without an outcome, such as past transaction markers, and for reservations that have grown old. */
  refresh(): void {
    for (const owner of this.#owned.values()) {
      if (owner.progress.hasMoved) owner.isDue = true
      // Where it is for what others have that it was paused.
      this.#resumeIfRoom(owner)
    }
    this.#options.wantCommit()
  }

  /** Sends nothing more. Takes back what has not been sent, to be reserved anew if the partition stays. */
  hold(): void {
    this.isWorking = false
    for (const owner of this.#owned.values()) {
      owner.progress.hold()
      const unsent = this.#options.lanes.drop((task) =>
        task.owner === owner && task.undone.attemptedSince === undefined
      )
      owner.unreserved.unshift(...unsent.toSorted((one, other) => one.record.offset - other.record.offset))
    }
  }

  /** The group has given the partitions away, or is about to: they are not read any further before they are assigned anew. */
  expel(used: Membership): void {
    if (used !== this.validMembership) return
    for (const owner of this.all) {
      used.subscription.pause(owner.partition)
      this.#lose(owner)
    }
  }

  /** A request's outcome is published: there is room for others. */
  dismiss({ identity, owner, record }: Task, settlement: Settlement): void {
    if (identity !== undefined && (settlement._tag === "Succeeded" || settlement._tag === "Rejected")) {
      owner.memory.remember(identity, { offset: record.offset, timestamp: record.timestamp, settlement })
    }
    owner.keptBytes -= sizeOf(record)
    this.#resumeIfRoom(owner)
  }

  #own(partition: number, progress: PartitionProgress) {
    if (!progress.intact) {
      this.#options.log(this.#about(
        partition,
        Effect.logWarning(
          `The group's metadata of partition ${partition} is not ours or damaged: what was done beyond its offset is done again`
        )
      ))
    }
    this.#owned.set(partition, newOwner(partition, progress, new RequestMemory(MAX_REMEMBERED)))
  }

  #about(partition: number, line: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.annotateLogs(line, partitionFields({ topic: this.#options.requestsTopic, partition }))
  }

  #lose(owner: OwnedPartition) {
    owner.lost = true
    this.#owned.delete(owner.partition)
    const dropped = [...owner.unreserved, ...this.#options.lanes.drop((task) => task.owner === owner)]
    owner.unreserved.length = 0
    for (const task of dropped) endAbandoned(task)
  }

  #admit(owner: OwnedPartition) {
    const { progress, unreserved } = owner
    const { lanes, wantCommit } = this.#options
    const first = unreserved.findIndex(({ record }) => !progress.isReserved(record.offset))
    for (const task of unreserved.splice(0, first === -1 ? unreserved.length : first)) {
      lanes.add(groupOf(task), laneOf(task), task)
    }
    if (wantsCommit(owner)) wantCommit()
  }

  #undoneOfAll(): number {
    let sum = 0
    for (const { progress } of this.#owned.values()) sum += progress.undone
    return sum
  }

  #isFull({ keptBytes, progress: { undone } }: OwnedPartition): boolean {
    return undone >= MAX_UNDONE || keptBytes >= MAX_KEPT_BYTES ||
      (undone >= FAIR_SHARE && this.#undoneOfAll() >= MAX_UNDONE_OF_ALL)
  }

  #pause(owner: OwnedPartition) {
    owner.paused = true
    this.membership?.subscription.pause(owner.partition)
  }

  #resumeIfRoom(owner: OwnedPartition) {
    const { keptBytes, progress } = owner
    if (!owner.paused || owner.lost || !progress.hasRoomFor(progress.position)) return
    if (progress.undone > MAX_UNDONE / 2 || keptBytes > MAX_KEPT_BYTES / 2) return
    if (progress.undone > FAIR_SHARE / 2 && this.#undoneOfAll() > MAX_UNDONE_OF_ALL / 2) return
    owner.paused = false
    this.membership?.subscription.resume(owner.partition)
  }
}
