import { assert, describe, it } from "@effect/vitest"
import { mappingOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { AwaitedOutcomes, tellingOfSilence } from "./OutcomeWait.ts"
import { requestText } from "./RequestText.ts"

const text = (id: string, source: string) =>
  requestText({
    operation: "delete",
    id,
    source,
    time: "2026-11-24T12:00:00Z",
    zone: "demo-shop",
    ip: "192.0.2.1",
    vendor: undefined,
    region: undefined,
    expires: undefined
  })

const row = (number: number, id: string, source = "/mine") => ({
  number,
  place: `line ${number}`,
  text: text(id, source),
  problems: () => []
})

const outcome = (id: string, source = "/mine", succeeds = false) =>
  mappingOutcome({
    groupId: "group",
    record: { topic: "requests", partition: 0, offset: 0, timestamp: 0 },
    request: readRequest({ value: new TextEncoder().encode(text(id, source)), headers: [] }),
    settlement: succeeds
      ? { _tag: "Succeeded", result: "deleted", mapping: null, recovered: false }
      : { _tag: "Failed", name: "expired", message: "too late" },
    attempts: 0,
    settledAt: 0
  })

describe("AwaitedOutcomes", () => {
  it("waits for as many outcomes of an id as it has requests, and for no others", () => {
    const awaited = new AwaitedOutcomes()
    for (const each of [row(1, "twice"), row(2, "twice"), row(3, "once"), row(4, "")]) awaited.expect(each)
    assert.deepStrictEqual([awaited.unanswered, awaited.nameless], [3, 1])
    const answered = [
      outcome("twice", "/other"),
      outcome("never"),
      outcome("twice"),
      outcome("twice", "/mine", true),
      outcome("twice"),
      outcome("once")
    ].map((each) => awaited.answer(each))
    assert.deepStrictEqual(answered.map((row) => row?.place), [
      undefined,
      undefined,
      "line 1",
      "line 2",
      undefined,
      "line 3"
    ])
    assert.deepStrictEqual([awaited.unanswered, awaited.answered, awaited.unsuccessful], [0, 3, 2])
    assert.deepStrictEqual([...awaited.codes], [["expired", 2], ["deleted", 1]])
  })
})

describe("tellingOfSilence", () => {
  it.effect("tells once that no outcome comes, and again after the next one", () =>
    Effect.gen(function*() {
      const awaited = { answered: 0, unanswered: 3 }
      const told: Array<string> = []
      const telling = yield* Effect.forkChild(tellingOfSilence(awaited, (line) => Effect.sync(() => told.push(line))))
      yield* TestClock.adjust("9 seconds")
      assert.lengthOf(told, 0)
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(told, 1)
      assert.match(told[0] ?? "", /; 3 unanswered\. Is a consumer at work\?/)
      Object.assign(awaited, { answered: 1, unanswered: 2 })
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(told, 2)
      Object.assign(awaited, { answered: 3, unanswered: 0 })
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(told, 2)
      yield* Fiber.interrupt(telling)
    }))
})
