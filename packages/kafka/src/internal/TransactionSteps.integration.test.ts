import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Transaction } from "kafkajs"
import { randomUUID } from "node:crypto"
import { KafkaAdmin } from "../KafkaAdmin.ts"
import { layerSharedKafka, newTopic, ofText, readAll, TestSettings } from "./fixtures/TestKafka.ts"
import { makeClient } from "./KafkaClient.ts"
import { javaCompatible } from "./Partitioner.ts"
import { TRANSACTION_RETRY } from "./PatchedKafkaJS.ts"

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })(
  "Transactions one after the other",
  (it) => {
    const prepared = Effect.gen(function*() {
      const topic = yield* newTopic()
      const client = yield* makeClient(yield* TestSettings, "producer", TRANSACTION_RETRY)
      const producer = client.producer({
        transactionalId: `transactions-${randomUUID()}`,
        idempotent: true,
        maxInFlightRequests: 1,
        createPartitioner: javaCompatible
      })
      yield* Effect.acquireRelease(
        Effect.promise(() => producer.connect()),
        () => Effect.promise(() => producer.disconnect())
      )
      /** The requests that have had an answer, by name and when they were sent. */
      const requests: Array<{ readonly name: string; readonly sent: number; readonly answered: number }> = []
      producer.on(producer.events.REQUEST, ({ payload: { apiName, duration, sentAt } }) => {
        requests.push({ name: apiName, sent: sentAt, answered: sentAt + duration })
      })
      const inTransaction = async (act: (transaction: Transaction) => Promise<unknown>) => {
        const transaction = await producer.transaction()
        await act(transaction)
        await transaction.commit()
      }
      const offsetsOf = (consumerGroupId: string, offset: number) => ({
        consumerGroupId,
        topics: [{ topic, partitions: [{ partition: 0, offset: String(offset) }] }]
      })
      const send = (transaction: Transaction, value: string) => transaction.send({ topic, messages: [{ value }] })
      const committed = (groupId: string) =>
        KafkaAdmin.use(({ committedOffsets }) =>
          Effect.map(committedOffsets(groupId, topic), (offsets) => offsets.get(0)?.offset)
        )
      return { topic, requests, inTransaction, offsetsOf, send, committed }
    })

    it.effect("announce their offsets once each, before their records are written, and read no metadata in between", () =>
      Effect.gen(function*() {
        const { committed, inTransaction, offsetsOf, requests, send, topic } = yield* prepared
        const group = `group-${randomUUID()}`
        const transact = (number: number) =>
          inTransaction(async (transaction) => {
            await send(transaction, String(number))
            await transaction.sendOffsets(offsetsOf(group, number))
          })
        yield* Effect.promise(() => transact(1))
        requests.length = 0
        yield* Effect.promise(async () => {
          for (let number = 2; number <= 20; number++) await transact(number)
        })
        const named = (name: string) => requests.filter((request) => request.name === name)
        assert.lengthOf(named("AddOffsetsToTxn"), 19)
        assert.lengthOf(named("Metadata"), 0)
        for (const [index, { sent }] of named("AddOffsetsToTxn").entries()) {
          assert.isAtMost(sent, named("Produce")[index]?.answered ?? 0)
        }
        assert.deepStrictEqual(
          (yield* readAll(topic, 20)).map(({ value }) => ofText(value)),
          Array.from({ length: 20 }, (_, index) => String(index + 1))
        )
        assert.strictEqual(yield* committed(group), 20)
      }))

    it.effect("have the offsets of the group that each is given, or none", () =>
      Effect.gen(function*() {
        const { committed, inTransaction, offsetsOf, send } = yield* prepared
        const [one, other] = [`group-${randomUUID()}`, `group-${randomUUID()}`]
        yield* Effect.promise(async () => {
          await inTransaction((transaction) => transaction.sendOffsets(offsetsOf(one, 1)))
          await inTransaction((transaction) => send(transaction, "no offsets"))
          await inTransaction((transaction) => transaction.sendOffsets(offsetsOf(one, 2)))
          await inTransaction(async (transaction) => {
            await send(transaction, "of another group")
            await transaction.sendOffsets(offsetsOf(other, 3))
          })
          await inTransaction(async (transaction) => {
            await send(transaction, "of both")
            await transaction.sendOffsets(offsetsOf(other, 4))
            await transaction.sendOffsets(offsetsOf(one, 5))
          })
        })
        assert.deepStrictEqual([yield* committed(one), yield* committed(other)], [5, 4])
      }))
  }
)
