import { assert, layer } from "@effect/vitest"
import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect, Exit, Fiber } from "effect"
import type { Transaction } from "kafkajs"
import { randomUUID } from "node:crypto"
import { accessCluster, type Cluster, type ClusterBroker, COORDINATOR_OF } from "./internal/ClusterAccess.ts"
import {
  layerOwnKafkaWith,
  numbered,
  takeWarnings,
  TestSettings,
  text,
  until,
  withKafkaJS
} from "./internal/fixtures/TestKafka.ts"
import { readToEnd, stored, workplace } from "./internal/fixtures/TestTransactions.ts"
import { fencedBy, type GroupGeneration } from "./internal/GroupFencing.ts"
import { makeClient } from "./internal/KafkaClient.ts"
import { transactions as requests } from "./internal/PatchedKafkaJS.ts"

interface FullBroker extends ClusterBroker {
  txnOffsetCommit(of: Readonly<Record<string, unknown>>): Promise<unknown>
  produce(of: Readonly<Record<string, unknown>>): Promise<unknown>
}

interface Where {
  readonly generation: GroupGeneration
  readonly groupId: string
  readonly topic: string
  readonly outcomes: string
}

interface Offset {
  readonly partition: number
  readonly offset: string
  readonly metadata: string
}

/** Adds to the last transaction of an id what its coordinator does not hear of: a record in partition 1, and maybe an offset. */
const addUnknown = async (
  cluster: Cluster,
  transactionalId: string,
  { generation, groupId, outcomes, topic }: Where,
  offset: Offset | undefined
) => {
  const coordinator = await cluster.findGroupCoordinator({
    groupId: transactionalId,
    coordinatorType: COORDINATOR_OF.transaction
  })
  const description = await coordinator.connectionPool.send(requests.describeTransaction(transactionalId))
  if (description === undefined) return assert.fail("there is none")
  const { producerEpoch, producerId } = description
  // The only broker: coordinator and leader of everything.
  const broker = coordinator as FullBroker
  const messages = [{ value: `hidden, of ${transactionalId}` }]
  const partitions = [{ partition: 1, firstSequence: 0, messages }]
  await broker.produce({ transactionalId, producerId, producerEpoch, topicData: [{ topic: outcomes, partitions }] })
  if (offset === undefined) return
  const topics = fencedBy([{ topic, partitions: [offset] }], generation)
  await broker.txnOffsetCommit({ transactionalId, groupId, producerId, producerEpoch, topics })
}

/**
 * A transaction of which its coordinator knows one record, but neither another one nor its offsets: whatever becomes of it, these two stay pending, as they do where a
 * broker forgets them.
 */
const leaveHanging = Effect.fnUntraced(function*(
  transactionalId: string,
  where: Where,
  offset: Offset | undefined
) {
  const client = yield* makeClient(yield* TestSettings, "somebody-else")
  const connect = yield* accessCluster(client)
  return yield* Effect.promise(async (): Promise<Transaction> => {
    const producer = client.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic: where.outcomes, messages: [{ value: `of ${transactionalId}`, partition: 0 }] })
    await addUnknown(await connect(), transactionalId, where, offset)
    return transaction
  })
})

const whereIs = (
  { generation, member, outcomes, requests }: Effect.Success<ReturnType<typeof workplace>>
): Where => ({
  generation: generation(),
  groupId: member.groupId,
  topic: requests,
  outcomes
})

const prepared = (hidden: "also its offset" | "only a record" = "also its offset") =>
  Effect.gen(function*() {
    const place = yield* workplace()
    const dead = `dead-${randomUUID()}`
    yield* place.member.commit(place.member.epoch(), [{ partition: 0, offset: 1, metadata: `${dead}|before` }])
    const offset = { partition: 0, offset: "2", metadata: `${dead}|after` }
    const left = yield* leaveHanging(dead, whereIs(place), hidden === "only a record" ? undefined : offset)
    return { ...place, dead, left }
  })

/** A value that goes into a partition of two. */
const valueFor = (partition: number): string =>
  numbered("v", 10).find((value) => keyPartition(text(value), 2) === partition) ?? assert.fail("there is none")

/** A broker that lets offsets into a transaction of which its coordinator has not heard. */
const credulous = layerOwnKafkaWith({ properties: { "transaction.partition.verification.enable": "false" } })

layer(credulous, { excludeTestServices: true, timeout: "2 minutes" })(
  "A transaction that Kafka leaves hanging",
  (it) => {
    it.effect("is aborted with the rest of it, where its owner has died in it", () =>
      Effect.gen(function*() {
        const { dead, left, outcomes, transactions } = yield* prepared()
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
        const { dead, left, outcomes, transactions } = yield* prepared()
        yield* Effect.promise(() => left.commit())
        const { layer: logger, warnings } = takeWarnings()
        const offsets = yield* Effect.provide(transactions.stableOffsets([0, 1], true), logger)
        assert.deepStrictEqual(stored(offsets), [[0, 2, `${dead}|after`], [1, 0, ""]])
        assert.include(warnings.join("\n"), "though it was committed")
        assert.deepStrictEqual(yield* readToEnd(outcomes), [`hidden, of ${dead}`, `of ${dead}`])
      }))

    it.effect("is committed with the rest of it, where only its readers would miss it", () =>
      Effect.gen(function*() {
        const { dead, left, outcomes, transactions } = yield* prepared("only a record")
        yield* Effect.promise(() => left.commit())
        assert.deepStrictEqual(stored(yield* transactions.stableOffsets([0], true)), [[0, 1, `${dead}|before`]])
        assert.deepStrictEqual(yield* readToEnd(outcomes), [`hidden, of ${dead}`, `of ${dead}`])
      }))

    /** The last transaction of a living owner hangs after its broker was started again. */
    const ofLiving = Effect.gen(function*() {
      const place = yield* workplace()
      yield* place.commit([valueFor(0)], [{ partition: 0, offset: 1, metadata: `${place.transactionalId}|told` }])
      const connect = yield* accessCluster(yield* makeClient(yield* TestSettings, "somebody-else"))
      const offset = { partition: 1, offset: "2", metadata: `${place.transactionalId}|hidden` }
      yield* Effect.promise(async () => addUnknown(await connect(), place.transactionalId, whereIs(place), offset))
      const broker = yield* KafkaBroker
      yield* broker.kill
      yield* broker.start
      const isWhole = Effect.gen(function*() {
        const { outcomes, transactionalId, transactions } = place
        assert.deepStrictEqual(yield* readToEnd(outcomes), [valueFor(0), `hidden, of ${transactionalId}`].toSorted())
        assert.deepStrictEqual(stored(yield* transactions.stableOffsets([0, 1], true)), [
          [0, 1, `${transactionalId}|told`],
          [1, 2, `${transactionalId}|hidden`]
        ])
      })
      return { ...place, isWhole }
    })

    it.effect("is committed with the rest of it before its owner begins the next one, which is aborted", () =>
      Effect.gen(function*() {
        const { commit, generation, isWhole, transactionalId } = yield* ofLiving
        const next = commit(
          [valueFor(0), valueFor(1)],
          [0, 1].map((partition) => ({ partition, offset: 9, metadata: `${transactionalId}|next` })),
          { ...generation(), generationId: generation().generationId + 1 }
        )
        const error = yield* Effect.flip(next)
        assert.strictEqual(error.reason._tag, "StaleGeneration")
        yield* isWhole
      }))

    it.effect("is committed with the rest of it where its owner wants to know where the group stands", () =>
      Effect.gen(function*() {
        const { isWhole, transactions } = yield* ofLiving
        yield* transactions.stableOffsets([0, 1], true)
        yield* isWhole
      }))

    it.effect("is committed with the rest of it where its owner has nothing more to do", () =>
      Effect.flatMap(ofLiving, ({ isWhole }) => isWhole))

    it.effect("is left alone where nobody can tell any more whether it was committed, and is told", () =>
      Effect.gen(function*() {
        const { dead, left, transactions } = yield* prepared()
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
