import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { crc32 } from "node:zlib"
import { type Choices, forSeeds } from "./fixtures/SeededChoices.ts"
import { type CommittedProgress, PartitionProgress } from "./Progress.ts"

/** `offset.metadata.max.bytes`, which counts characters: https://kafka.apache.org/documentation/#brokerconfigs_offset.metadata.max.bytes */
const KAFKA_LIMIT = 4096

const fresh = (offset = 0) => new PartitionProgress({ offset, metadata: "" })

/** Receives what has room, from `from` on, at every `spacing`th offset. */
const fill = (progress: PartitionProgress, from: number, count: number, spacing = 1): ReadonlyArray<number> => {
  const received: Array<number> = []
  for (let offset = from; received.length < count && progress.hasRoomFor(offset); offset += spacing) {
    progress.receive(offset)
    received.push(offset)
  }
  return received
}

/** What a later owner makes of a commit: which of these records it would process. */
const processedAfter = (committed: CommittedProgress, offsets: ReadonlyArray<number>): ReadonlyArray<number> => {
  const restored = new PartitionProgress(committed)
  assert.isTrue(restored.intact)
  return offsets.filter((offset) => offset >= committed.offset && restored.receive(offset))
}

describe("PartitionProgress", () => {
  it("keeps the commit at the first record that is not done, whatever is done beyond", () => {
    const progress = fresh(10)
    assert.deepStrictEqual(progress.snapshot(), { offset: 10, metadata: "" })
    for (const offset of [10, 11, 12, 15]) assert.isTrue(progress.receive(offset))
    assert.deepStrictEqual([progress.head, progress.position, progress.undone], [10, 16, 4])
    progress.done(11)
    progress.done(15)
    assert.strictEqual(progress.head, 10)
    assert.deepStrictEqual(processedAfter(progress.snapshot(), [10, 11, 12, 15, 16]), [10, 12, 16])
    progress.done(10)
    assert.strictEqual(progress.head, 12)
    progress.done(12)
    assert.deepStrictEqual(progress.snapshot(), { offset: 16, metadata: "" })
  })

  it("moves past offsets that do not exist, and never back", () => {
    const progress = fresh()
    progress.advance(5)
    assert.deepStrictEqual(progress.snapshot(), { offset: 5, metadata: "" })
    progress.advance(3)
    assert.strictEqual(progress.position, 5)
    progress.receive(7)
    progress.advance(20)
    assert.deepStrictEqual([progress.head, progress.position], [7, 20])
  })

  it("knows what it has committed, and whether the group still has it", () => {
    const progress = fresh()
    assert.isTrue(progress.isCommitted)
    progress.receive(0)
    progress.receive(1)
    assert.isTrue(progress.isCommitted)
    progress.done(1)
    assert.isFalse(progress.isCommitted)
    const snapshot = progress.snapshot()
    assert.isTrue(progress.isAt({ offset: 0, metadata: "" }))
    progress.settled(snapshot)
    assert.isTrue(progress.isCommitted)
    assert.isTrue(progress.isAt({ ...snapshot }))
    assert.isFalse(progress.isAt({ ...snapshot, offset: 2 }))
    assert.isFalse(progress.isAt({ ...snapshot, metadata: "" }))
  })

  it("agrees with a naive model over lives of receiving, finishing, gaps, commits and crashes", () => {
    let longest = 0
    forSeeds(100, (choices) => {
      longest = Math.max(longest, liveThrough(choices))
    })
    // The lives were long enough to matter.
    assert.isAbove(longest, 2500)
  })
})

/** Some lives of one partition, checked at every step; answers with the longest metadata there was. */
const liveThrough = (choices: Choices): number => {
  const spread = choices.pick([1, 2, 3, 1000, 2 ** 30]) ?? 1
  const burst = choices.pick([1, 20, 1000]) ?? 1
  const onlyOdd = choices.chance(0.3)
  /** Every record there is, in order. */
  const records: Array<number> = []
  let nextRecord = 0
  const recordAt = (index: number): number => {
    while (records.length <= index) {
      nextRecord += choices.chance(0.7) ? 1 : 1 + choices.below(spread)
      records.push(nextRecord)
    }
    return records[index] ?? 0
  }

  let committed: CommittedProgress = { offset: 0, metadata: "" }
  /** What was done when that was committed, and everything that is done by now in the current life. */
  let doneAtCommit = new Set<number>()
  let longest = 0
  for (let life = 0; life < 4; life++) {
    const progress = new PartitionProgress(committed)
    assert.isTrue(progress.intact)
    const done = new Set(doneAtCommit)
    const undone: Array<number> = []
    let index = 0
    while (recordAt(index) < committed.offset) index += 1

    for (let step = 0; step < 60; step++) {
      if (choices.chance(0.5)) {
        for (let count = choices.below(burst) + 1; count > 0 && progress.hasRoomFor(recordAt(index)); count--) {
          const offset = recordAt(index)
          index += 1
          const isNew = !done.has(offset)
          // Never again what was done, never skipped what was not.
          if (progress.receive(offset) !== isNew) assert.fail(`record ${offset} was ${isNew ? "skipped" : "repeated"}`)
          if (isNew) undone.push(offset)
        }
      } else if (choices.chance(0.8)) {
        for (let count = choices.below(burst) + 1; count > 0 && undone.length > 0; count--) {
          const place = choices.below(undone.length)
          const offset = undone[place] ?? 0
          if (onlyOdd && offset % 2 === 0) continue
          undone[place] = undone.at(-1) ?? 0
          undone.pop()
          progress.done(offset)
          done.add(offset)
        }
      } else progress.advance(recordAt(index))

      assert.strictEqual(progress.undone, undone.length)
      assert.strictEqual(progress.head, undone.reduce((first, each) => Math.min(first, each), progress.position))
      assert.isAtMost(progress.position, recordAt(index))
      const snapshot = progress.snapshot()
      assert.strictEqual(snapshot.offset, progress.head)
      longest = Math.max(longest, snapshot.metadata.length)
      assert.isAtMost(snapshot.metadata.length, KAFKA_LIMIT)
      if (choices.chance(0.1)) {
        progress.settled(snapshot)
        assert.isTrue(progress.isCommitted)
        committed = snapshot
        doneAtCommit = new Set(done)
      }
    }
  }
  return longest
}

const assertCountsAsNone = (committed: CommittedProgress) => {
  const progress = new PartitionProgress(committed)
  assert.isFalse(progress.intact, committed.metadata)
  for (let offset = committed.offset; offset < committed.offset + 50; offset++) {
    assert.isTrue(progress.receive(offset), committed.metadata)
  }
}

describe("The metadata", () => {
  it("fits where every second of as many offsets as there is room for is done", () => {
    const progress = fresh()
    const received = fill(progress, 0, Number.POSITIVE_INFINITY)
    for (const offset of received) if (offset % 2 === 1) progress.done(offset)
    const { metadata } = progress.snapshot()
    assert.isAtLeast(received.length, 16_000)
    assert.isAtLeast(metadata.length, 2600)
    assert.isAtMost(metadata.length, KAFKA_LIMIT)
    assert.deepStrictEqual(processedAfter({ offset: 0, metadata }, received), received.filter((each) => each % 2 === 0))
  })

  it("fits where undone records lie as far apart as offsets can", () => {
    const spacing = 2 ** 44
    const progress = fresh()
    const received = fill(progress, 0, 500, spacing)
    assert.isBelow(received.length, 500)
    const snapshot = progress.snapshot()
    assert.isAtMost(snapshot.metadata.length, KAFKA_LIMIT)
    assert.deepStrictEqual(processedAfter(snapshot, received), received)
    assert.isFalse(new PartitionProgress(snapshot).receive(spacing + 1))
  })

  it("fits where a great gap follows on a crowd of undone records", () => {
    const progress = fresh()
    const received = fill(progress, 0, 16_000)
    for (const offset of received) if (offset % 2 === 1) progress.done(offset)
    progress.advance(2 ** 52)
    assert.isFalse(progress.hasRoomFor(2 ** 52))
    const snapshot = progress.snapshot()
    assert.isAtMost(snapshot.metadata.length, KAFKA_LIMIT)
    const restored = new PartitionProgress(snapshot)
    assert.deepStrictEqual(
      received.filter((offset) => restored.receive(offset)),
      received.filter((each) => each % 2 === 0)
    )
    assert.isFalse(restored.receive(2 ** 52 - 1))
    assert.isTrue(restored.receive(2 ** 52))
  })

  it("fits where a restored map goes on in other ways than it began", () => {
    const first = fresh()
    const received = fill(first, 0, 16_000)
    first.done(15_999)
    const second = new PartitionProgress(first.snapshot())
    assert.deepStrictEqual(received.filter((offset) => second.receive(offset)), received.slice(0, -1))
    for (const offset of received) if (offset % 2 === 1) second.done(offset)
    assert.isAtMost(second.snapshot().metadata.length, KAFKA_LIMIT)
    fill(second, 16_000, Number.POSITIVE_INFINITY)
    assert.isAtMost(second.snapshot().metadata.length, KAFKA_LIMIT)
    // Only the first is missing: far more may be read than one map could tell, as long as it is done.
    for (const offset of received.slice(1)) second.done(offset)
    const sparse = fill(second, 17_000, 1000, 100)
    assert.isAbove(sparse.length, 150)
    assert.isAtMost(second.snapshot().metadata.length, KAFKA_LIMIT)
  })

  it("does not grow with the number of crashes at one and the same place", () => {
    let progress = fresh()
    fill(progress, 0, 1000)
    for (let offset = 1; offset < 1000; offset++) progress.done(offset)
    const { metadata } = progress.snapshot()
    for (let stop = 999; stop > 1; stop--) {
      progress = new PartitionProgress(progress.snapshot())
      fill(progress, 0, stop)
      assert.strictEqual(progress.snapshot().metadata, metadata)
    }
  })

  const sample = (() => {
    const progress = fresh(1000)
    for (let offset = 1000; offset < 1040; offset++) progress.receive(offset)
    for (const offset of [1001, 1003, 1004, 1010, 1020, 1039]) progress.done(offset)
    return progress.snapshot()
  })()

  it("counts as none where any of its characters has changed, is missing or is one too many", () => {
    const { metadata, offset } = sample
    assert.isTrue(new PartitionProgress(sample).intact)
    for (let index = 0; index < metadata.length; index++) {
      for (const other of ["0", "1", "A", "b", "r", "_", ".", "~", ""]) {
        const changed = metadata.slice(0, index) + other + metadata.slice(index + 1)
        if (changed !== metadata) assertCountsAsNone({ offset, metadata: changed })
      }
      assertCountsAsNone({ offset, metadata: `${metadata.slice(0, index)}A${metadata.slice(index)}` })
    }
    assertCountsAsNone({ offset, metadata: `${metadata}A` })
  })

  it("counts as none where it was made for another offset, or by somebody else", () => {
    for (const offset of [0, 999, 1001]) assert.isFalse(new PartitionProgress({ ...sample, offset }).intact)
    for (const metadata of [" ", "leader epoch 7", "{\"offset\":1000}", "NO_METADATA", "2.1000.0.rAA", "💥", "\0"]) {
      assertCountsAsNone({ offset: 1000, metadata })
    }
  })

  it("is nobody's damage where it is empty", () => {
    const progress = fresh(7)
    assert.isTrue(progress.intact)
    assert.isTrue(progress.receive(7))
  })

  it("is read without a fault whatever it says, even with a checksum that is right", () => {
    forSeeds(2000, (choices) => {
      const bytes = Uint8Array.from({ length: choices.below(40) }, () => choices.chance(0.3) ? 255 : choices.below(256))
      const payload = `${choices.pick(["r", "b"])}${Buffer.from(bytes).toString("base64url")}`
      const metadata = `1.5.${crc32(`1.5.${payload}`).toString(16)}.${payload}`
      const progress = new PartitionProgress({ offset: 5, metadata })
      for (let offset = 5; offset < 300; offset++) progress.receive(offset)
      assert.isAtMost(progress.head, 300)
      if (!progress.intact) assert.strictEqual(progress.undone, 295)
    })
  })

  it.effect.prop("is read without a fault whatever text it is", [Schema.String], ([metadata]) =>
    Effect.sync(() => {
      const progress = new PartitionProgress({ offset: 5, metadata })
      assert.isTrue(progress.receive(5))
    }))
})
