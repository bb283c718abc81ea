import { assert, describe, it } from "@effect/vitest"
import { type Choices, forSeeds } from "@origin-regions/testkit/SeededChoices"
import {
  attemptedSince,
  coarser,
  decodeReservation,
  encodeReservation,
  type Reservation,
  reservationFrom
} from "./Reservation.ts"

const HEAD = 5_000
const SINCE = Date.UTC(2026, 10, 24)

const someReservation = (choices: Choices): Reservation => {
  const attempted = new Map<number, number>()
  const spread = choices.pick([1, 3, 2 ** 30]) ?? 1
  const times = choices.pick([1, 3, 10_000]) ?? 1
  let offset = HEAD + choices.below(3)
  for (let count = choices.below(200); count > 0; count--) {
    attempted.set(offset, SINCE - 60_000 + choices.below(times))
    offset += 1 + choices.below(spread)
  }
  return { through: offset + choices.below(100), since: SINCE, attempted }
}

const decoded = (bytes: ReadonlyArray<number>, head = HEAD) => decodeReservation(head, Uint8Array.from(bytes))

describe("A reservation", () => {
  const reservation: Reservation = { through: 10, since: 500, attempted: new Map([[3, 100], [7, 600]]) }

  it("knows since when a request may have been sent: by its own time, by that of all, or never", () => {
    const expected = [[0, 500], [3, 100], [7, 600], [9, 500], [10, undefined]] as const
    for (const [offset, since] of expected) assert.strictEqual(attemptedSince(reservation, offset), since)
  })

  it("from an offset on says the same of what lies there", () => {
    const rest = reservationFrom(4, reservation)
    assert.deepStrictEqual(rest, { through: 10, since: 500, attempted: new Map([[7, 600]]) })
  })

  it("made coarser takes the earliest time for what was sent, and leaves what was not as it is", () => {
    const coarse = coarser(reservation)
    assert.deepStrictEqual(coarse, { through: 10, since: 500, attempted: new Map([[3, 100], [7, 100]]) })
    assert.strictEqual(attemptedSince(coarse, 5), 500)
  })

  it("comes back as it was, with the bytes behind it", () => {
    const forms = new Set<number>()
    forSeeds(300, (choices) => {
      const reservation = choices.chance(0.3) ? coarser(someReservation(choices)) : someReservation(choices)
      const bytes = encodeReservation(HEAD, reservation)
      if (reservation.attempted.size > 0) forms.add(bytes.length)
      assert.deepStrictEqual(decoded([...bytes, 9, 8]), { reservation, rest: Uint8Array.from([9, 8]) })
    })
    assert.isAbove(forms.size, 50)
  })

  it("of nothing is as short as can be, and reaches to the head where it ended before it", () => {
    const bytes = encodeReservation(HEAD, { through: 10, since: 0, attempted: new Map() })
    assert.lengthOf(bytes, 4)
    assert.deepStrictEqual(decoded(bytes)?.reservation, { through: HEAD, since: 0, attempted: new Map() })
  })

  it("takes a bit each at most where every second of thousands was sent at one time", () => {
    const attempted = new Map(Array.from({ length: 4_000 }, (_, index) => [HEAD + index * 2, SINCE]))
    const bytes = encodeReservation(HEAD, { through: HEAD + 8_000, since: SINCE, attempted })
    assert.isBelow(bytes.length, 1_050)
    assert.deepStrictEqual(decoded(bytes)?.reservation.attempted, attempted)
  })

  it("takes little where thousands were sent one after the other, many at a time", () => {
    const attempted = new Map(
      Array.from({ length: 2_000 }, (_, index) => [HEAD + index, SINCE + Math.floor(index / 64) * 300])
    )
    assert.isBelow(encodeReservation(HEAD, { through: HEAD + 2_000, since: SINCE, attempted }).length, 200)
  })

  it("is none where the bytes are not its own, and never a fault, nor more than memory holds", () => {
    const endless = encodeReservation(HEAD, { through: HEAD, since: 0, attempted: new Map([[HEAD, 0]]) })
    for (
      const bytes of [
        [],
        [1],
        [1, 1],
        [1, 1, 5, 0],
        [1, 1, 1, 7],
        [1, 1, 0],
        [1, 1, 2, 0, 1],
        [1, 1, 2, 1, 0x80],
        [1, 1, 11, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0],
        [1, 1, 10, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
        endless.slice(0, -1)
      ]
    ) assert.isUndefined(decoded(bytes), String(bytes))
    forSeeds(3_000, (choices) => {
      decoded(Array.from({ length: choices.below(30) }, () => choices.below(choices.chance(0.5) ? 3 : 256)))
    })
  })
})
