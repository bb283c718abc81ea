import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect, Fiber } from "effect"
import { randomUUID } from "node:crypto"
import { makeKafkaProxy } from "./fixtures/KafkaProxy.ts"
import { layerSharedKafka, newTopic, settingsFor, until } from "./fixtures/TestKafka.ts"
import { takeTransactionalId } from "./TransactionalProducer.ts"

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("A producer of transactions", (it) => {
  it.effect("says that it has lost a connection, and fails instead of making it a second time", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
      const topic = yield* newTopic()
      let told = false
      const producer = yield* takeTransactionalId(
        settingsFor(proxy.address),
        `transactions-${randomUUID()}`,
        () => {
          told = true
        }
      )
      const first = yield* producer.begin
      yield* Effect.promise(() => first.send({ topic, messages: [{ value: "one" }] }))
      yield* Effect.promise(() => first.commit())
      assert.isFalse(told || producer.hasLostConnection())

      yield* proxy.down
      yield* until(() => told)
      assert.isTrue(producer.hasLostConnection())
      yield* proxy.up
      const broken = yield* Effect.forkChild(Effect.flip(producer.broken))
      assert.isUndefined(broken.pollUnsafe())
      const second = yield* producer.begin
      const sending = yield* Effect.forkChild(
        Effect.exit(Effect.tryPromise(() => second.send({ topic, messages: [{ value: "two" }] })))
      )
      assert.strictEqual((yield* Fiber.join(broken)).reason._tag, "Unreachable")
      assert.strictEqual(proxy.openConnections(), 0)
      yield* Fiber.interrupt(sending)
    }))
})
