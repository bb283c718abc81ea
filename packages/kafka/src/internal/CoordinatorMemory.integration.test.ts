import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { layerOwnKafka, newTopic, ofText, readAll, TestSettings } from "./fixtures/TestKafka.ts"
import { makeClient } from "./KafkaClient.ts"
import { javaCompatible } from "./Partitioner.ts"
import { TRANSACTION_RETRY } from "./PatchedKafkaJS.ts"

layer(layerOwnKafka, { excludeTestServices: true, timeout: "2 minutes" })("A producer of transactions", (it) => {
  it.effect("looks up nothing for transactions after its first, and goes on where the broker was away", () =>
    Effect.gen(function*() {
      const broker = yield* KafkaBroker
      const topic = yield* newTopic()
      const consumerGroupId = `group-${randomUUID()}`
      const client = yield* makeClient(yield* TestSettings, "producer", TRANSACTION_RETRY)
      const producer = client.producer({
        transactionalId: `transactions-${randomUUID()}`,
        idempotent: true,
        maxInFlightRequests: 1,
        createPartitioner: javaCompatible
      })
      let lookups = 0
      producer.on(producer.events.REQUEST, ({ payload }) => {
        if (payload.apiName === "GroupCoordinator") lookups += 1
      })
      let offset = 0
      const commit = async () => {
        offset += 1
        const transaction = await producer.transaction()
        await transaction.send({ topic, messages: [{ value: String(offset) }] })
        const partitions = [{ partition: 0, offset: String(offset) }]
        await transaction.sendOffsets({ consumerGroupId, topics: [{ topic, partitions }] })
        await transaction.commit()
      }
      const commits = Effect.promise(async () => {
        for (let count = 0; count < 5; count++) await commit()
      })
      yield* Effect.promise(() => producer.connect())
      yield* commits
      // More than two where a new broker is still making its coordinators.
      const first = lookups
      assert.isAtLeast(first, 2)
      yield* commits
      assert.strictEqual(lookups, first)
      yield* broker.kill
      yield* broker.start
      yield* commits
      yield* Effect.promise(() => producer.disconnect())
      const values = (yield* readAll(topic, offset)).map(({ value }) => ofText(value))
      assert.deepStrictEqual(values, Array.from({ length: 15 }, (_, index) => String(index + 1)))
    }))
})
