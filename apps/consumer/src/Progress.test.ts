import { assert, describe, it } from "@effect/vitest"
import type { CommittedOffset } from "@origin-regions/kafka/KafkaAdmin"
import { type Choices, forSeeds } from "@origin-regions/testkit/SeededChoices"
import { crc32 } from "node:zlib"
import { PartitionProgress, type Snapshot, type Undone } from "./Progress.ts"

/** `offset.metadata.max.bytes`, which counts characters: https://kafka.apache.org/documentation/#brokerconfigs_offset.metadata.max.bytes */
const KAFKA_LIMIT = 4096

const NOW = Date.UTC(2026, 10, 24)

const fresh = (offset = 0) => new PartitionProgress({ offset, metadata: "" })

/** Receives what has room, from `from` on, at every `spacing`th offset. */
const fill = (progress: PartitionProgress, from: number, count: number, spacing = 1): ReadonlyArray<Undone> => {
  const received: Array<Undone> = []
  for (let offset = from; received.length < count && progress.hasRoomFor(offset); offset += spacing) {
    const undone = progress.receive(offset)
    if (undone !== undefined) received.push(undone)
  }
  return received
}

const commit = (progress: PartitionProgress, now: number, ...settling: ReadonlyArray<number>): Snapshot => {
  const snapshot = progress.snapshot(now, new Set(settling))
  assert.isAtMost(snapshot.metadata.length, KAFKA_LIMIT)
  progress.settled(snapshot)
  for (const offset of settling) progress.done(offset)
  return snapshot
}

/** What a later owner makes of a commit: which of these records it would process. */
const processedAfter = (committed: CommittedOffset, offsets: ReadonlyArray<number>): ReadonlyArray<number> => {
  const restored = new PartitionProgress(committed)
  assert.isTrue(restored.intact)
  return offsets.filter((offset) => offset >= committed.offset && restored.receive(offset) !== undefined)
}

/** Which of these records a later owner would take for sent, and since when. */
const inDoubtAfter = (committed: CommittedOffset, offsets: ReadonlyArray<number>) => {
  const restored = new PartitionProgress(committed)
  return offsets.flatMap((offset) => {
    const undone = restored.receive(offset)
    return undone?.attemptedSince === undefined ? [] : [[offset, undone.attemptedSince]]
  })
}

describe("PartitionProgress", () => {
  it("keeps the commit at the first record that is not done, whatever is done beyond", () => {
    const progress = fresh(10)
    for (const offset of [10, 11, 12, 15]) assert.isDefined(progress.receive(offset))
    assert.deepStrictEqual([progress.head, progress.position, progress.undone], [10, 16, 4])
    progress.done(11)
    progress.done(15)
    assert.strictEqual(progress.head, 10)
    assert.isTrue(progress.isUndone(10))
    assert.isFalse(progress.isUndone(11))
    assert.deepStrictEqual(processedAfter(progress.snapshot(NOW), [10, 11, 12, 15, 16]), [10, 12, 16])
    assert.deepStrictEqual(processedAfter(progress.snapshot(NOW, new Set([10])), [10, 11, 12, 15, 16]), [12, 16])
    progress.done(10)
    assert.strictEqual(progress.head, 12)
    progress.done(12)
    assert.strictEqual(progress.snapshot(NOW).offset, 16)
  })

  it("counts requests as sent no sooner than an owner before, whose hearing of the API's clock was better, and hands on what that has changed untimed", () => {
    const before = fresh()
    before.receive(0)
    before.changedBefore("a lane", NOW + 1_500)
    const after = new PartitionProgress(before.snapshot(NOW))
    assert.strictEqual(after.untimedBefore, NOW + 1_500)
    after.receive(0)
    const snapshot = after.snapshot(NOW - 800)
    assert.strictEqual(snapshot.since, NOW)
    assert.strictEqual(new PartitionProgress(snapshot).untimedBefore, NOW + 1_500)
    const later = after.snapshot(NOW + 2_000)
    assert.strictEqual(new PartitionProgress(later).untimedBefore, NOW + 2_000)
  })

  it("says of a reserved create behind a change of unknown time that it is sent no sooner than that was over, and of others that they may have been", () => {
    const before = fresh()
    const lanes = ["changed", "changed", "other", "changed"]
    for (const [offset, lane] of lanes.entries()) {
      const undone = before.receive(offset)
      if (undone !== undefined) before.queue(undone, lane, offset > 0 && offset < 3)
    }
    commit(before, NOW)
    before.changedBefore("changed", NOW + 2_000)
    const after = new PartitionProgress(before.snapshot(NOW + 500, new Set([0])))
    const [create, other, upsert] = [1, 2, 3].map((offset) => {
      const undone = after.receive(offset) ?? assert.fail("it was done before")
      after.queue(undone, `${offset}`, offset < 3)
      return [undone.attemptedSince, after.notBefore(undone)]
    })
    assert.deepStrictEqual(create, [NOW + 2_000, NOW + 2_000])
    assert.deepStrictEqual(other, [NOW + 500, 0])
    assert.deepStrictEqual(upsert, [NOW + 500, 0])
    // So it is said again by whoever has not sent it either, and no more once that time has come.
    const third = new PartitionProgress(after.snapshot(NOW + 600))
    assert.strictEqual(third.receive(1)?.attemptedSince, NOW + 2_000)
    const late = new PartitionProgress(before.snapshot(NOW + 2_500, new Set([0])))
    assert.strictEqual(late.receive(1)?.attemptedSince, NOW + 2_500)
    before.hold()
    assert.isUndefined(new PartitionProgress(before.snapshot(NOW + 500, new Set([0]))).receive(1)?.attemptedSince)
  })

  it("moves past offsets that do not exist, and never back", () => {
    const progress = fresh()
    progress.advance(5)
    assert.strictEqual(progress.snapshot(NOW).offset, 5)
    progress.advance(3)
    assert.strictEqual(progress.position, 5)
    progress.receive(7)
    progress.advance(20)
    assert.deepStrictEqual([progress.head, progress.position], [7, 20])
  })

  it("knows what it has committed, whether it has moved since, and whether the group still has it", () => {
    const progress = fresh()
    assert.deepStrictEqual([progress.isMarked, progress.hasMoved], [false, false])
    progress.receive(0)
    progress.receive(1)
    const snapshot = commit(progress, NOW)
    assert.deepStrictEqual([progress.isMarked, progress.hasMoved], [true, true])
    assert.deepStrictEqual(progress.committed, { offset: 0, metadata: snapshot.metadata })
    assert.isTrue(progress.goesOnFrom({ ...snapshot }))
    assert.isFalse(progress.goesOnFrom({ ...snapshot, offset: 2 }))
    assert.isFalse(progress.goesOnFrom({ ...snapshot, metadata: "" }))
    commit(progress, NOW, 0, 1)
    assert.isFalse(progress.hasMoved)
    assert.isFalse(progress.goesOnFrom(snapshot))
    progress.advance(9)
    assert.isTrue(progress.hasMoved)
  })

  it("goes on from a commit that may have succeeded, whether it has or not, until the group has been asked", () => {
    for (const hasSucceeded of [true, false]) {
      const progress = fresh()
      progress.receive(0)
      const known = commit(progress, NOW)
      progress.receive(1)
      const unknown = progress.snapshot(NOW + 1_000)
      progress.unsettled(unknown)
      assert.isFalse(progress.isReserved(1))
      assert.isTrue(progress.goesOnFrom(hasSucceeded ? unknown : known))
      assert.strictEqual(progress.isReserved(1), hasSucceeded)
      assert.strictEqual(progress.goesOnFrom(unknown), hasSucceeded)
    }
  })

  it("lets nothing be sent that no commit has reserved, and reserves ahead, but not without end", () => {
    const progress = fresh()
    const received = fill(progress, 0, 1_000)
    const reserved = () => received.filter(({ offset }) => progress.isReserved(offset)).length
    assert.strictEqual(reserved(), 0)
    assert.isTrue(progress.wantsReservation)
    // A snapshot alone reserves nothing.
    const snapshot = progress.snapshot(NOW)
    assert.strictEqual(reserved(), 0)
    progress.settled(snapshot)
    const first = reserved()
    assert.isAbove(first, 64)
    assert.isBelow(first, 200)
    assert.isFalse(progress.wantsReservation)
    // Once half of that is sent, more are wanted.
    for (const undone of received.slice(0, first)) if (!progress.wantsReservation) progress.send(undone)
    assert.isTrue(progress.wantsReservation)
    const sent = received.filter(({ attemptedSince }) => attemptedSince !== undefined).length
    assert.isAbove(sent, first / 4)
    commit(progress, NOW + 1_000)
    assert.strictEqual(reserved(), first + sent)
  })

  it("tells a later owner what may have been sent, and since when: its own reservation's time, or that of the last", () => {
    const progress = fresh(100)
    const received = fill(progress, 100, 6)
    commit(progress, NOW)
    const [, second, third] = received
    if (second === undefined || third === undefined) return assert.fail("they were done")
    progress.send(second)
    commit(progress, NOW + 1_000)
    progress.send(third)
    const committed = commit(progress, NOW + 2_000, 100)
    assert.deepStrictEqual(inDoubtAfter(committed, [101, 102, 103, 104, 105, 106]), [
      [101, NOW],
      [102, NOW + 1_000],
      [103, NOW + 2_000],
      [104, NOW + 2_000],
      [105, NOW + 2_000]
    ])
  })

  it("sends nothing before everything is there again that may have been sent, and leaves what is said of it as it was", () => {
    const first = fresh()
    const [sent] = fill(first, 0, 10)
    commit(first, NOW)
    if (sent !== undefined) first.send(sent)
    const committed = commit(first, NOW + 1_000)
    const second = new PartitionProgress(committed, "second")
    fill(second, 0, 9)
    const again = commit(second, NOW + 5_000)
    assert.isFalse(second.isCaughtUp)
    assert.isFalse(second.wantsReservation)
    for (let offset = 0; offset < 9; offset++) assert.isFalse(second.isReserved(offset))
    const all = Array.from({ length: 12 }, (_, offset) => offset)
    assert.deepStrictEqual(inDoubtAfter(again, all), inDoubtAfter(committed, all))
    second.receive(9)
    assert.isTrue(second.isCaughtUp)
    assert.isFalse(second.isReserved(0))
    const caughtUp = commit(second, NOW + 6_000)
    assert.isTrue(second.isReserved(9))
    assert.deepStrictEqual(inDoubtAfter(caughtUp, all), inDoubtAfter(committed, all))
  })

  it("leaves nothing in doubt that was not sent, once it is held and has committed that", () => {
    const progress = fresh()
    const [first] = fill(progress, 0, 5)
    if (first === undefined) return assert.fail("it was done before")
    commit(progress, NOW)
    progress.send(first)
    progress.hold()
    assert.deepStrictEqual([progress.wantsRelease, progress.isReserved(1), progress.wantsReservation], [
      true,
      false,
      false
    ])
    const offsets = [0, 1, 2, 3, 4, 5]
    assert.lengthOf(inDoubtAfter(progress.committed, offsets), 5)
    const committed = commit(progress, NOW + 1_000)
    assert.isFalse(progress.wantsRelease)
    assert.deepStrictEqual(inDoubtAfter(committed, offsets), [[0, NOW]])
    assert.isFalse(new PartitionProgress(committed).isCaughtUp)
    progress.goOn()
    assert.deepStrictEqual([progress.wantsReservation, progress.isReserved(1)], [true, false])
    commit(progress, NOW + 2_000)
    assert.isTrue(progress.isReserved(4))
  })

  it("takes only the first undone request of a lane for one that may have been sent", () => {
    const first = fresh()
    fill(first, 0, 4)
    const committed = commit(first, NOW)
    const second = new PartitionProgress(committed)
    const undone = fill(second, 0, 4)
    for (const [index, lane] of ["a", "b", "a", "b"].entries()) {
      const each = undone[index]
      if (each !== undefined) second.queue(each, lane, false)
    }
    assert.deepStrictEqual(undone.map(({ attemptedSince }) => attemptedSince), [NOW, NOW, undefined, undefined])
  })

  it("agrees with a model over lives of receiving, sending, settling, commits made and lost, and crashes", () => {
    const seen = { doubts: 0, cautious: 0, caughtUpLate: 0, longest: 0, released: 0, unknown: 0 }
    forSeeds(200, (choices) => new ModelledLives(choices, seen).live())
    // The lives were long enough to matter.
    assert.isAbove(seen.doubts, 2_000)
    assert.isAbove(seen.cautious, 500)
    assert.isAbove(seen.caughtUpLate, 20)
    assert.isAbove(seen.longest, 500)
    assert.isAbove(seen.released, 100)
    assert.isAbove(seen.unknown, 100)
  })
})

interface ModelledRecord {
  readonly offset: number
  readonly lane: string
  /** When it was first sent, by whatever owner. */
  sentAt: number | undefined
  /** When the API made its change. */
  changedAt: number | undefined
  wasReserved: boolean
}

/** What has come up in all lives. */
interface Seen {
  doubts: number
  cautious: number
  caughtUpLate: number
  longest: number
  released: number
  unknown: number
}

/** The first record of each lane: what may be sent. */
const firstOfLanes = (records: Iterable<ModelledRecord>): ReadonlyArray<ModelledRecord> => {
  const first = new Map<string, ModelledRecord>()
  for (const record of records) if (!first.has(record.lane)) first.set(record.lane, record)
  return [...first.values()]
}

/** The owners of one partition, one after the other, and what is true of its records whatever they know. */
class ModelledLives {
  readonly #choices: Choices
  readonly #seen: Seen
  readonly #records: Array<ModelledRecord> = []
  #now = NOW
  #committed: CommittedOffset = { offset: 0, metadata: "" }
  /** What is done as far as the group knows. */
  #done = new Set<ModelledRecord>()

  constructor(choices: Choices, seen: Seen) {
    this.#choices = choices
    this.#seen = seen
    const lanes = choices.pick([3, 20, 400]) ?? 1
    const spread = choices.pick([1, 2, 50]) ?? 1
    let offset = 0
    for (let index = 0; index < 600; index++) {
      offset += 1 + choices.below(spread)
      const lane = `lane ${choices.below(lanes)}`
      this.#records.push({ offset, lane, sentAt: undefined, changedAt: undefined, wasReserved: false })
    }
  }

  live(): void {
    for (let life = 0; life < 6; life++) this.#liveOnce()
  }

  #liveOnce(): void {
    const choices = this.#choices
    const progress = new PartitionProgress(this.#committed, "owner")
    assert.isTrue(progress.intact)
    const undone = new Map<ModelledRecord, Undone>()
    const settled = new Set<ModelledRecord>()
    let next = this.#records.findIndex(({ offset }) => offset >= this.#committed.offset)
    if (next < 0) next = this.#records.length
    const burst = choices.pick([3, 30, 300]) ?? 1

    for (let steps = choices.below(60); steps > 0; steps--) {
      this.#now += 1 + choices.below(5)
      const what = choices.below(10)
      if (what < 3) {
        const lanes = new Set(firstOfLanes(undone.keys()).map(({ lane }) => lane))
        for (let count = 1 + choices.below(burst); count > 0; count--) {
          const record = this.#records[next]
          if (record === undefined || !progress.hasRoomFor(record.offset)) break
          next += 1
          const received = progress.receive(record.offset)
          assert.strictEqual(received === undefined, this.#done.has(record), `record ${record.offset}`)
          if (received === undefined) continue
          progress.queue(received, record.lane, false)
          this.#assertDoubt(record, received, !lanes.has(record.lane))
          undone.set(record, received)
          lanes.add(record.lane)
        }
        if (choices.chance(0.3)) progress.advance(this.#records[next]?.offset ?? progress.position)
      } else if (what < 6) {
        for (const record of firstOfLanes(undone.keys())) {
          const each = undone.get(record)
          if (each === undefined || !progress.isReserved(record.offset) || settled.has(record)) continue
          if (choices.chance(0.4)) continue
          if (!progress.isCaughtUp) assert.fail("sent before it had caught up")
          assert.isTrue(record.wasReserved, `record ${record.offset} is sent without a reservation`)
          progress.send(each)
          record.sentAt ??= this.#now
          // Whether or not an answer arrives, it may have been applied.
          if (choices.chance(0.7)) record.changedAt = this.#now += 1
          if (choices.chance(0.6)) settled.add(record)
        }
      } else if (what < 7) {
        if (choices.chance(0.3)) progress.hold()
        else progress.goOn()
      } else if (this.#commit(progress, undone, settled)) return
    }
  }

  /** Commits what is settled, or some of it; true where the owner does not survive it. */
  #commit(progress: PartitionProgress, undone: Map<ModelledRecord, Undone>, settled: Set<ModelledRecord>): boolean {
    const choices = this.#choices
    // Only of what is committed without outcomes the fate can remain unknown.
    const isUnknown = choices.chance(0.1)
    const settling = isUnknown ? [] : [...settled].filter(() => choices.chance(0.8))
    const { isCaughtUp, wantsRelease } = progress
    if (wantsRelease) this.#seen.released += 1
    const snapshot = progress.snapshot(this.#now, new Set(settling.map(({ offset }) => offset)))
    assert.isAtMost(snapshot.metadata.length, KAFKA_LIMIT)
    this.#seen.longest = Math.max(this.#seen.longest, snapshot.metadata.length)
    // More is sent while the commit is under way.
    for (const record of firstOfLanes(undone.keys())) {
      const each = undone.get(record)
      if (each !== undefined && !settled.has(record) && progress.isReserved(record.offset) && choices.chance(0.2)) {
        progress.send(each)
        record.sentAt ??= this.#now += 1
      }
    }
    const fate = choices.below(20)
    if (isUnknown) progress.unsettled(snapshot)
    if (fate === 0) return true
    if (isUnknown && choices.chance(0.5)) {
      this.#seen.unknown += 1
      assert.isTrue(progress.goesOnFrom(this.#committed))
      return false
    }
    this.#committed = { offset: snapshot.offset, metadata: snapshot.metadata }
    for (const record of settling) this.#done.add(record)
    if (isCaughtUp) {
      for (const record of this.#records) {
        // What an owner before has left in doubt stays so, whether it was sent or not.
        record.wasReserved = record.offset < snapshot.through || undone.get(record)?.attemptedSince !== undefined
      }
    } else this.#seen.caughtUpLate += 1
    if (fate === 1) return true
    if (isUnknown) assert.isTrue(progress.goesOnFrom(this.#committed))
    else progress.settled(snapshot)
    for (const record of settling) {
      progress.done(record.offset)
      undone.delete(record)
      settled.delete(record)
    }
    return false
  }

  #assertDoubt(record: ModelledRecord, { attemptedSince }: Undone, isFirst: boolean): void {
    if (!isFirst) {
      assert.isUndefined(attemptedSince, `record ${record.offset} lies behind an undone one of its lane`)
      return
    }
    if (record.sentAt !== undefined) {
      if (attemptedSince === undefined) assert.fail(`record ${record.offset} was sent, and is not in doubt`)
      assert.isAtMost(attemptedSince, record.sentAt, `record ${record.offset} was sent before`)
    }
    if (attemptedSince === undefined) return
    this.#seen.doubts += 1
    if (record.sentAt === undefined) this.#seen.cautious += 1
    assert.isTrue(record.wasReserved, `record ${record.offset} was never reserved, and is in doubt`)
    for (const earlier of this.#records) {
      if (earlier === record) break
      // Otherwise its work would be taken for that of the one in doubt.
      if (earlier.lane === record.lane && earlier.changedAt !== undefined) {
        assert.isAtLeast(attemptedSince, earlier.changedAt, `record ${record.offset}, after ${earlier.offset}`)
      }
    }
  }
}

describe("A great many", () => {
  it("undone and done in turns fit into the metadata, all sent at times of their own", () => {
    const progress = fresh()
    const received = fill(progress, 0, Number.POSITIVE_INFINITY)
    assert.isAtLeast(received.length, 8_000)
    let now = NOW
    while (!progress.isReserved(received.length - 1)) {
      commit(progress, now)
      now += 997
      for (const undone of received) if (progress.isReserved(undone.offset)) progress.send(undone)
    }
    for (const { offset } of received) if (offset % 2 === 1) progress.done(offset)
    const committed = commit(progress, now)
    const offsets = received.map(({ offset }) => offset)
    assert.deepStrictEqual(processedAfter(committed, offsets), offsets.filter((each) => each % 2 === 0))
    for (const [offset, since] of inDoubtAfter(committed, offsets)) {
      assert.isAtMost(since ?? 0, received[offset ?? 0]?.attemptedSince ?? 0)
    }
  })

  it("as far apart as offsets can be fit into the metadata", () => {
    const spacing = 2 ** 44
    const progress = new PartitionProgress({ offset: 0, metadata: "" }, `${"g".repeat(255)}-${crypto.randomUUID()}`)
    const received = fill(progress, 0, 500, spacing)
    assert.isBelow(received.length, 500)
    for (let round = 0; round < received.length; round++) {
      commit(progress, NOW + round * 100_003)
      const undone = received[round]
      if (undone !== undefined && progress.isReserved(undone.offset)) progress.send(undone)
    }
    const committed = commit(progress, NOW + 10 ** 8)
    assert.deepStrictEqual(
      processedAfter(committed, received.map(({ offset }) => offset)),
      received.map(({ offset }) => offset)
    )
    assert.isUndefined(new PartitionProgress(committed).receive(spacing + 1))
  })

  it("before a great gap fit into the metadata", () => {
    const progress = fresh()
    const received = fill(progress, 0, 8_000).map(({ offset }) => offset)
    for (const offset of received) if (offset % 2 === 1) progress.done(offset)
    progress.advance(2 ** 52)
    assert.isFalse(progress.hasRoomFor(2 ** 52))
    const committed = commit(progress, NOW)
    assert.deepStrictEqual(processedAfter(committed, received), received.filter((each) => each % 2 === 0))
    const restored = new PartitionProgress(committed)
    assert.isUndefined(restored.receive(2 ** 52 - 1))
    assert.isDefined(restored.receive(2 ** 52))
  })

  it("fit into the metadata where a restored map goes on in other ways than it began", () => {
    const first = fresh()
    const received = fill(first, 0, 8_000).map(({ offset }) => offset)
    first.done(7_999)
    const second = new PartitionProgress(commit(first, NOW))
    assert.deepStrictEqual(
      received.filter((offset) => second.receive(offset) !== undefined),
      received.slice(0, -1)
    )
    for (const offset of received) if (offset % 2 === 1) second.done(offset)
    commit(second, NOW + 1)
    for (const offset of received.slice(1)) second.done(offset)
    const sparse = fill(second, 9_000, 1000, 100)
    assert.isAbove(sparse.length, 90)
    commit(second, NOW + 2)
  })
})

describe("A commit's metadata", () => {
  it("is nobody's damage where it is empty, and a damaged one makes nothing done and nothing in doubt", () => {
    assert.isTrue(new PartitionProgress({ offset: 7, metadata: "" }).intact)
    const damaged = new PartitionProgress({ offset: 1000, metadata: "a note of another program" })
    assert.isFalse(damaged.intact)
    for (let offset = 1000; offset < 1060; offset++) {
      assert.deepStrictEqual(damaged.receive(offset), { offset, attemptedSince: undefined, createIn: undefined })
    }
  })

  it("is read without a fault whatever it says, even with a checksum that is right", () => {
    forSeeds(2_000, (choices) => {
      const bytes = Uint8Array.from(
        { length: choices.below(60) },
        () => choices.below(choices.pick([3, 64, 256]) ?? 1)
      )
      const rest = [Buffer.from(bytes).toString("base64url"), choices.chance(0.5) ? "owner" : ""] as const
      const metadata = `2.5.${crc32(`2.5.${rest.join(".")}`).toString(16)}.${rest.join(".")}`
      const progress = new PartitionProgress({ offset: 5, metadata })
      for (let offset = 5; offset < 300; offset++) progress.receive(offset)
      progress.settled(progress.snapshot(NOW))
      assert.isAtMost(progress.head, 300)
    })
  })
})
