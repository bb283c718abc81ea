import { assert, describe, it } from "@effect/vitest"
import { type Choices, forSeeds } from "@origin-regions/testkit/SeededChoices"
import { Effect, Schema } from "effect"
import { crc32 } from "node:zlib"
import type { DoneRun } from "./DoneRuns.ts"
import { decodeMetadata, encodeMetadata, ownerOf, type ProgressMetadata } from "./ProgressMetadata.ts"

const KAFKA_LIMIT = 4096
const OFFSET = 1000
const SINCE = Date.UTC(2026, 10, 24)

const sample: ProgressMetadata = {
  owner: "group-7b0c",
  reservation: { through: 1050, since: SINCE, attempted: new Map([[1000, SINCE - 20], [1002, SINCE - 7]]) },
  untimed: 1_200,
  done: [{ start: 1001, end: 1002 }, { start: 1003, end: 1030 }]
}

/** As much as a partition may hold: undone, sent and done in any mixture. */
const crowd = (choices: Choices): ProgressMetadata => {
  const isSparse = choices.chance(0.5)
  const spacing = isSparse ? 2 ** choices.below(45) : 1
  const attempted = new Map<number, number>()
  const done: Array<DoneRun> = []
  const chance = choices.pick([0.1, 0.5, 0.9]) ?? 0
  for (let index = 0; index < (isSparse ? 100 : 8_000); index++) {
    const offset = OFFSET + index * spacing
    if (isSparse || choices.chance(chance)) attempted.set(offset, SINCE - choices.below(10 ** 8))
    else if (done.at(-1)?.end === offset) done[done.length - 1] = { start: done.at(-1)?.start ?? 0, end: offset + 1 }
    else done.push({ start: offset, end: offset + 1 })
    if (isSparse && spacing > 1) done.push({ start: offset + 1, end: offset + spacing })
  }
  return {
    owner: "o".repeat(292),
    reservation: { through: OFFSET + 2 ** 51, since: SINCE, attempted },
    untimed: 2_000,
    done
  }
}

describe("The metadata", () => {
  it("comes back as it was", () => {
    const metadata = encodeMetadata(OFFSET, sample)
    assert.deepStrictEqual(decodeMetadata({ offset: OFFSET, metadata }), sample)
    assert.strictEqual(ownerOf(metadata), sample.owner)
  })

  it("has an owner of any text, or none", () => {
    for (const owner of ["", ".", "a.b\nc", "gruppe-ü💥"]) {
      const metadata = encodeMetadata(OFFSET, { ...sample, owner })
      assert.deepStrictEqual(decodeMetadata({ offset: OFFSET, metadata })?.owner, owner)
      assert.strictEqual(ownerOf(metadata), owner === "" ? undefined : owner)
    }
  })

  it("always fits, however much there is to say, and loses nothing but single times", () => {
    let longest = 0
    forSeeds(60, (choices) => {
      const said = crowd(choices)
      const metadata = encodeMetadata(OFFSET, said)
      assert.isAtMost(metadata.length, KAFKA_LIMIT)
      longest = Math.max(longest, metadata.length)
      const read = decodeMetadata({ offset: OFFSET, metadata })
      assert.deepStrictEqual(read?.done, said.done)
      assert.deepStrictEqual([...(read?.reservation.attempted.keys() ?? [])], [...said.reservation.attempted.keys()])
      assert.strictEqual(read?.reservation.since, SINCE)
      for (const [offset, since] of said.reservation.attempted) {
        assert.isAtMost(read?.reservation.attempted.get(offset) ?? Number.POSITIVE_INFINITY, since)
      }
    })
    assert.isAbove(longest, 3_000)
  })

  it("counts as none where any of its characters has changed, is missing or is one too many", () => {
    const metadata = encodeMetadata(OFFSET, sample)
    const changed = new Set<string>()
    for (let index = 0; index <= metadata.length; index++) {
      for (const other of ["0", "1", "A", "b", "_", ".", "~", ""]) {
        changed.add(metadata.slice(0, index) + other + metadata.slice(index + 1))
      }
      changed.add(`${metadata.slice(0, index)}A${metadata.slice(index)}`)
    }
    changed.delete(metadata)
    assert.isAbove(changed.size, 400)
    for (const each of changed) assert.isUndefined(decodeMetadata({ offset: OFFSET, metadata: each }), each)
  })

  it("counts as none where it was made for another offset, or by somebody else", () => {
    const metadata = encodeMetadata(OFFSET, sample)
    for (const offset of [0, 999, 1001]) assert.isUndefined(decodeMetadata({ offset, metadata }))
    for (const other of ["", " ", "leader epoch 7", "{\"offset\":1000}", "NO_METADATA", "2.1000.0.rAA.", "💥", "\0"]) {
      assert.isUndefined(decodeMetadata({ offset: OFFSET, metadata: other }), other)
      assert.isUndefined(ownerOf(other))
    }
  })

  it("counts as none where another version has written it, with a sum that is right: docs/operations.md says what follows from that", () => {
    const [, ...rest] = encodeMetadata(OFFSET, sample).split(".")
    for (const version of ["1", "3", "22"]) {
      const [offset = "", , payload = "", ...owner] = rest
      const sum = crc32([version, offset, payload, ...owner].join(".")).toString(16)
      const metadata = [version, offset, sum, payload, ...owner].join(".")
      assert.isUndefined(decodeMetadata({ offset: OFFSET, metadata }))
      assert.isUndefined(ownerOf(metadata))
    }
  })

  it.effect.prop("is read without a fault whatever text it is", [Schema.String], ([metadata]) =>
    Effect.sync(() => {
      decodeMetadata({ offset: 5, metadata })
      ownerOf(metadata)
    }))
})
