import { assert, describe, it } from "@effect/vitest"
import { Circuit } from "./Circuit.ts"

const inTime = { millis: 0, isExact: false }

describe("Circuit", () => {
  it("opens with the last of so many failures in a row", () => {
    const circuit = new Circuit(3)
    assert.isFalse(circuit.failed(10, "a", false, inTime))
    assert.isFalse(circuit.failed(20, "b", false, inTime))
    assert.isFalse(circuit.worked(false))
    for (const now of [30, 40]) assert.isFalse(circuit.failed(now, "c", false, inTime))
    assert.isUndefined(circuit.pause)
    assert.isTrue(circuit.failed(50, "d", false, inTime))
    assert.deepStrictEqual(circuit.pause, { since: 30, until: 1_050, failures: 3, reason: "d", isFirst: true })
  })

  it("has one probe at a time, and only that counts", () => {
    const circuit = new Circuit(1)
    circuit.failed(0, "down", false, inTime)
    assert.isFalse(circuit.isDue(999))
    assert.isTrue(circuit.isDue(1_000))
    circuit.probe()
    assert.isFalse(circuit.isDue(5_000))
    assert.isFalse(circuit.worked(false))
    assert.isFalse(circuit.failed(1_000, "late", false, inTime))
    assert.deepInclude<object | undefined>(circuit.pause, { failures: 1, reason: "down" })
    circuit.probeEnded()
    assert.isTrue(circuit.isDue(1_000))
    circuit.probe()
    assert.isTrue(circuit.failed(1_500, "still down", true, inTime))
    assert.deepStrictEqual(circuit.pause, { since: 0, until: 3_500, failures: 2, reason: "still down", isFirst: false })
    circuit.probe()
    assert.isTrue(circuit.worked(true))
    assert.isUndefined(circuit.pause)
    assert.isTrue(circuit.failed(9_000, "again", false, inTime))
    assert.deepInclude<object | undefined>(circuit.pause, { since: 9_000, until: 10_000, failures: 1 })
  })

  it("waits as long as it is asked to", () => {
    const circuit = new Circuit(1)
    circuit.failed(0, "", false, { millis: 60_000, isExact: false })
    assert.strictEqual(circuit.pause?.until, 60_000)
    circuit.failed(0, "", true, { millis: 1_500, isExact: false })
    assert.strictEqual(circuit.pause?.until, 2_000)
    circuit.failed(0, "", true, { millis: 1_500, isExact: true })
    assert.strictEqual(circuit.pause?.until, 1_500)
  })
})
