import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import type { Transaction } from "kafkajs"
import { randomUUID } from "node:crypto"
import { accessCluster, type ClusterBroker, COORDINATOR_OF } from "./internal/ClusterAccess.ts"
import { layerOwnKafkaWith, takeWarnings, TestSettings, until, withKafkaJS } from "./internal/fixtures/TestKafka.ts"
import { readToEnd, stored, workplace } from "./internal/fixtures/TestTransactions.ts"
import { fencedBy, type GroupGeneration } from "./internal/GroupFencing.ts"
import { makeClient } from "./internal/KafkaClient.ts"
import { transactions as requests } from "./internal/PatchedKafkaJS.ts"

interface FullBroker extends ClusterBroker {
  txnOffsetCommit(of: Readonly<Record<string, unknown>>): Promise<unknown>
  produce(of: Readonly<Record<string, unknown>>): Promise<unknown>
}

/**
 * A transaction of which its coordinator knows one record, but neither another one nor its offsets: whatever becomes of it, these two stay pending, as they do where a
 * broker forgets them.
 */
const leaveHanging = Effect.fnUntraced(function*(
  transactionalId: string,
  { generation, groupId, outcomes, topic }: {
    readonly generation: GroupGeneration
    readonly groupId: string
    readonly topic: string
    readonly outcomes: string
  },
  offset: { readonly partition: number; readonly offset: string; readonly metadata: string }
) {
  const client = yield* makeClient(yield* TestSettings, "somebody-else")
  const connect = yield* accessCluster(client)
  return yield* Effect.promise(async (): Promise<Transaction> => {
    const producer = client.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic: outcomes, messages: [{ value: `of ${transactionalId}`, partition: 0 }] })
    const cluster = await connect()
    const coordinator = await cluster.findGroupCoordinator({
      groupId: transactionalId,
      coordinatorType: COORDINATOR_OF.transaction
    })
    const description = await coordinator.connectionPool.send(requests.describeTransaction(transactionalId))
    if (description?.state !== "Ongoing") return assert.fail("it is not under way")
    const { producerEpoch, producerId } = description
    // The only broker: coordinator and leader of everything.
    const broker = coordinator as FullBroker
    const messages = [{ value: `hidden, of ${transactionalId}` }]
    const partitions = [{ partition: 1, firstSequence: 0, messages }]
    await broker.produce({ transactionalId, producerId, producerEpoch, topicData: [{ topic: outcomes, partitions }] })
    const topics = fencedBy([{ topic, partitions: [offset] }], generation)
    await broker.txnOffsetCommit({ transactionalId, groupId, producerId, producerEpoch, topics })
    return transaction
  })
})

/** A broker that lets offsets into a transaction of which its coordinator has not heard. */
const credulous = layerOwnKafkaWith({ properties: { "transaction.partition.verification.enable": "false" } })

layer(credulous, { excludeTestServices: true, timeout: "2 minutes" })(
  "A transaction that Kafka leaves hanging",
  (it) => {
    const prepared = Effect.gen(function*() {
      const place = yield* workplace()
      const dead = `dead-${randomUUID()}`
      const where = {
        generation: place.generation(),
        groupId: place.member.groupId,
        topic: place.requests,
        outcomes: place.outcomes
      }
      yield* place.member.commit(place.member.epoch(), [{ partition: 0, offset: 1, metadata: `${dead}|before` }])
      const left = yield* leaveHanging(dead, where, { partition: 0, offset: "2", metadata: `${dead}|after` })
      return { ...place, dead, left }
    })

    it.effect("is aborted with the rest of it, where its owner has died in it", () =>
      Effect.gen(function*() {
        const { dead, left, outcomes, transactions } = yield* prepared
        const { layer: logger, warnings } = takeWarnings()
        const offsets = yield* Effect.provide(transactions.stableOffsets([0, 1], true), logger)
        assert.deepStrictEqual(stored(offsets), [[0, 1, `${dead}|before`], [1, 0, ""]])
        assert.match(
          warnings.join("\n"),
          /^Kafka has left the last transaction of dead-\S+ open on __consumer_offsets-\d+, topic-\S+-1 \(KAFKA-20734\), though it was aborted: ending it there, too$/u
        )
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.tryPromise(() => left.commit()))))
        assert.deepStrictEqual(yield* readToEnd(outcomes), [])
      }))

    it.effect("is committed with the rest of it, where its owner has committed it", () =>
      Effect.gen(function*() {
        const { dead, left, outcomes, transactions } = yield* prepared
        yield* Effect.promise(() => left.commit())
        const { layer: logger, warnings } = takeWarnings()
        const offsets = yield* Effect.provide(transactions.stableOffsets([0, 1], true), logger)
        assert.deepStrictEqual(stored(offsets), [[0, 2, `${dead}|after`], [1, 0, ""]])
        assert.include(warnings.join("\n"), "though it was committed")
        assert.deepStrictEqual(yield* readToEnd(outcomes), [`hidden, of ${dead}`, `of ${dead}`])
      }))

    it.effect("is left alone where nobody can tell any more whether it was committed, and is told", () =>
      Effect.gen(function*() {
        const { dead, left, transactions } = yield* prepared
        yield* Effect.promise(() => left.commit())
        // With the id's next owner Kafka forgets how that ended.
        yield* withKafkaJS(async (client) => {
          const producer = client.producer({ transactionalId: dead, idempotent: true, maxInFlightRequests: 1 })
          await producer.connect()
          await (await producer.transaction()).abort()
          await producer.disconnect()
        })
        const reading = yield* Effect.forkChild(transactions.stableOffsets([0], true))
        yield* until(() => transactions.pending()?.problem !== undefined)
        assert.deepInclude(transactions.pending(), {
          partitions: [0],
          problem: "whether it was committed is not known any more"
        })
        assert.isUndefined(reading.pollUnsafe())
        yield* Fiber.interrupt(reading)
      }))
  }
)
