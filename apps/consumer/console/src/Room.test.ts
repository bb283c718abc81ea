import { assert, describe, it } from "@effect/vitest"
import { roomUntil } from "./Room.ts"

describe("roomUntil", () => {
  it("is a minute after the last thing that waited", () => {
    const waits = ["zone z: paused"]
    const snapshots = [undefined, { time: 10, explanation: [] }, { time: 20, explanation: waits }, {
      time: 30,
      explanation: waits
    }, { time: 40, explanation: [] }]
    let until = 0
    const seen = snapshots.map((now) => until = roomUntil(until, now))
    assert.deepStrictEqual(seen, [0, 0, 60_020, 60_030, 60_030])
  })
})
