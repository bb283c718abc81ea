import { assert, describe, it } from "@effect/vitest"
import { KafkaError, Refused } from "@origin-regions/kafka/KafkaError"
import { KafkaTransactions } from "@origin-regions/kafka/KafkaTransactions"
import { Context, Effect, Layer } from "effect"
import { Delivery } from "../Delivery.ts"
import { makeModelKafka } from "../fixtures/ModelKafka.ts"
import { layerExactlyOnce } from "./ExactlyOnce.ts"

const topics = { groupId: "group", outcomesTopic: "outcomes", deadLettersTopic: "dead-letters" }

/** What is said of a group's offsets that the broker refuses to tell like this. */
const messageOf = Effect.fnUntraced(function*(type: string, detail: string) {
  const refused = new KafkaError({ operation: "look up the offsets", reason: new Refused({ type, detail }) })
  const kafka = yield* makeModelKafka()
  const context = yield* Layer.build(
    layerExactlyOnce({ ...topics, transactionalId: "id" }).pipe(
      Layer.provide(
        Layer.mock(KafkaTransactions)({
          stableOffsets: () => Effect.fail(refused),
          pending: () => undefined
        })
      ),
      Layer.provide(kafka.layer)
    )
  )
  const error = yield* Effect.flip(Context.get(context, Delivery).heads([0]))
  return error.message
})

describe("Delivery exactly once", () => {
  it.effect("says what to do where the broker is too old for it, and nothing of that where it fails otherwise", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* messageOf("UNSUPPORTED_VERSION", "the broker is too old"),
        "Could not look up the offsets: the broker is too old. Update Kafka, or set DELIVERY=at-least-once"
      )
      assert.strictEqual(yield* messageOf("SOMETHING_ELSE", "no"), "Could not look up the offsets: no")
    }))
})
