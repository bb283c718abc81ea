import { assert, describe, it } from "@effect/vitest"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Clock, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CliSettings } from "./CliSettings.ts"
import type { RequestRow } from "./RequestRows.ts"
import { nothingSent, sendRows } from "./RequestSending.ts"

const rows = Array.from({ length: 100 }, (_, index): RequestRow => ({
  number: index + 1,
  place: "",
  text: `request ${index}`,
  problems: () => []
}))

/** How many went until when. */
const sentWith = (rate: number | undefined, seconds: number) =>
  Effect.gen(function*() {
    const sends: Array<readonly [number, number]> = []
    const Producer = Layer.succeed(
      KafkaProducer,
      KafkaProducer.of({
        send: (records) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            sends.push([now - start, records.length])
          })
      })
    )
    const sent = nothingSent()
    const start = yield* Clock.currentTimeMillis
    const fiber = yield* sendRows(Stream.fromIterable(rows), { rate, awaited: undefined, sent }).pipe(
      Effect.provide([Producer, CliSettings.layer({ ENV_FILE: "/dev/null" })]),
      Effect.forkChild({ startImmediately: true })
    )
    yield* TestClock.adjust(`${seconds} seconds`)
    yield* Fiber.interrupt(fiber)
    return sends
  })

describe("sendRows", () => {
  it.effect("sends everything at once where no rate is given", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* sentWith(undefined, 0), [[0, 100]])
    }))

  it.effect("keeps to the rate, in steps that are short", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* sentWith(20, 1),
        Array.from({ length: 11 }, (_, step) => [step * 100, 2])
      )
      assert.deepStrictEqual(yield* sentWith(1, 2), [[0, 1], [1000, 1], [2000, 1]])
    }))
})
