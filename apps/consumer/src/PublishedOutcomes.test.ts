import { assert, describe, it } from "@effect/vitest"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaError, Refused, Unauthorized, Unreachable } from "@origin-regions/kafka/KafkaError"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { Cause, Context, Effect, Exit, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { PublishedOutcomes } from "./PublishedOutcomes.ts"

const failing = (reason: KafkaError["reason"]) => Effect.fail(new KafkaError({ operation: "read the topic o", reason }))

/** A search in which each look at the topic comes to this, how often it was looked, and what was said. */
const searching = Effect.fnUntraced(function*(look: Effect.Effect<ReadonlyMap<number, number>, KafkaError>) {
  const lines: Array<unknown> = []
  const told: Array<string> = []
  let looks = 0
  const scan = Effect.suspend(() => {
    looks += 1
    return look
  })
  const { find } = Context.get(
    yield* Layer.build(
      PublishedOutcomes.layerNoDeps({ requestsTopic: "r", outcomesTopic: "o" }).pipe(
        Layer.provide([
          Layer.mock(KafkaAdmin)({ offsetsSince: () => Effect.succeed(new Map([[0, 0]])) }),
          Layer.succeed(KafkaScan, { scan: () => scan }),
          Logger.layer([Logger.make(({ message }) => lines.push(message))])
        ])
      )
    ),
    PublishedOutcomes
  )
  const finding = yield* Effect.forkChild(
    find({ key: "zone/192.0.2.1", partition: 0, offset: 7, timestamp: 0 }, (problem) => told.push(problem))
  )
  return { finding, lines, looks: () => looks, told }
})

describe("What has been published of a request", () => {
  it.effect("is nothing where the topic has been gone through", () =>
    Effect.gen(function*() {
      const { finding, lines, told } = yield* searching(Effect.succeed(new Map()))
      assert.isUndefined(yield* Fiber.join(finding))
      assert.deepStrictEqual([lines, told], [[], []])
    }))

  it.effect("is nothing where it may not be read", () =>
    Effect.gen(function*() {
      const { finding, lines, looks, told } = yield* searching(failing(new Unauthorized({ detail: "no Read on o" })))
      assert.isUndefined(yield* Fiber.join(finding))
      assert.deepStrictEqual(lines.flat(), [
        "Could not read the topic o: no Read on o. Requests that have come a second time are made again"
      ])
      assert.deepStrictEqual([looks(), told], [1, []])
    }))

  it.effect("is waited for as long as Kafka is away", () =>
    Effect.gen(function*() {
      const { finding, lines, looks, told } = yield* searching(
        failing(new Unreachable({ detail: "no broker answers" }))
      )
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(finding.pollUnsafe())
      assert.strictEqual(looks(), 3_601)
      assert.deepStrictEqual(lines.flat(), [
        "Could not read the topic o: no broker answers. Requests that have come a second time wait; trying again"
      ])
      assert.deepStrictEqual([told.length, told[0]], [3_601, "Could not read the topic o: no broker answers"])
    }))

  it.effect("is given up after a minute of refusals", () =>
    Effect.gen(function*() {
      const refused = failing(new Refused({ type: "UNKNOWN", detail: "a state of the moment" }))
      const { finding, lines, looks } = yield* searching(refused)
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(finding.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* Fiber.join(finding))
      assert.strictEqual(looks(), 61)
      assert.deepStrictEqual(lines.flat().map((line) => String(line).split(". ")[1]), [
        "Requests that have come a second time wait; trying again",
        "Requests that have come a second time are made again"
      ])
    }))

  it.effect("ends with the search's own fault, if it has one", () =>
    Effect.gen(function*() {
      const { finding } = yield* searching(Effect.die("a fault of ours"))
      const ended = yield* Fiber.await(finding)
      assert.strictEqual(Exit.isFailure(ended) ? Cause.squash(ended.cause) : ended, "a fault of ours")
    }))
})
