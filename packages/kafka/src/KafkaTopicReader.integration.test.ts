import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Context, Deferred, Effect, Fiber, Layer, Random, Stream } from "effect"
import { makeKafkaProxy } from "./internal/fixtures/KafkaProxy.ts"
import {
  layerSharedKafka,
  newTopic,
  numbered,
  ofText,
  sendTo,
  sendValues,
  settingsFor,
  TestSettings,
  until,
  withKafkaJS
} from "./internal/fixtures/TestKafka.ts"
import { KafkaTopicReader, type ReadFrom } from "./KafkaTopicReader.ts"

const read = (topic: string, from: ReadFrom) =>
  Stream.unwrap(KafkaTopicReader.use((reader) => Effect.succeed(reader.read({ topic, from })))).pipe(
    Stream.map(({ offset, partition, value }) => ({ partition, offset, value: ofText(value) }))
  )

/** A reader whose groups have names that can be known, and that nobody else has. */
const readerKnownBy = Effect.fnUntraced(function*(seed: string, broker: string) {
  const names = Effect.gen(function*() {
    const random = yield* Random.Random
    return `origin-regions-reader${random.nextIntUnsafe()}${random.nextIntUnsafe()}`
  })
  return {
    groupId: yield* Random.withSeed(names, seed),
    reader: Context.get(
      yield* Random.withSeed(Layer.build(Layer.fresh(KafkaTopicReader.layer(settingsFor(broker)))), seed),
      KafkaTopicReader
    )
  }
})

const groupExists = (groupId: string) =>
  withKafkaJS(async (client) => {
    const admin = client.admin()
    await admin.connect()
    const { groups } = await admin.listGroups()
    await admin.disconnect()
    return groups.some((group) => group.groupId === groupId)
  })

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("KafkaTopicReader", (it) => {
  it.effect("reads every partition from its beginning, in its order, and what comes later", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      yield* sendTo(topic, 0, numbered("a", 50))
      yield* sendTo(topic, 1, numbered("b", 50))
      const reading = yield* Effect.forkScoped(read(topic, "beginning").pipe(Stream.take(120), Stream.runCollect))
      yield* sendTo(topic, 0, numbered("c", 20))
      const byPartition = Map.groupBy(yield* Fiber.join(reading), ({ partition }) => partition)
      assert.deepStrictEqual(byPartition.get(0)?.map(({ value }) => value), [
        ...numbered("a", 50),
        ...numbered("c", 20)
      ])
      assert.deepStrictEqual(byPartition.get(1)?.map(({ value }) => value), numbered("b", 50))
    }))

  it.effect("reads from the end: nothing that was there before", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      yield* sendValues(topic, numbered("old", 50))
      const values: Array<string | null> = []
      yield* Effect.forkScoped(Stream.runForEach(read(topic, "end"), ({ value }) =>
        Effect.sync(() => {
          values.push(value)
        })))
      // Where the end lies is looked up when reading begins: what is written before that does not count.
      yield* Effect.repeat(sendValues(topic, ["new"]), { until: () => values.length > 0 })
      assert.deepStrictEqual(new Set(values), new Set(["new"]))
    }))

  it.effect("reads from offsets, each partition from its own, and nothing before", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      yield* sendTo(topic, 0, numbered("a", 10))
      yield* sendTo(topic, 1, numbered("b", 10))
      const records = yield* read(topic, new Map([[0, 7], [1, 9]])).pipe(Stream.take(4), Stream.runCollect)
      assert.sameMembers(records.map(({ value }) => value), ["a-7", "a-8", "a-9", "b-9"])
    }))

  it.effect("shows nothing of transactions that were aborted or are open", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      const [one, other, last] = [`${topic}-1`, `${topic}-2`, `${topic}-3`]
      yield* withKafkaJS(async (client) => {
        const producers = [one, other, last].map((transactionalId) =>
          client.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
        )
        await Promise.all(producers.map((producer) => producer.connect()))
        const transactions = await Promise.all(producers.map((producer) => producer.transaction()))
        for (const [index, transaction] of transactions.entries()) {
          await transaction.send({ topic, messages: [{ value: `transaction ${index}` }] })
        }
        await transactions[0]?.abort()
        await transactions[1]?.abort()
        await transactions[2]?.commit()
        const open = await producers[0]?.transaction()
        await open?.send({ topic, messages: [{ value: "open" }] })
        await Promise.all(producers.map((producer) => producer.disconnect()))
      })
      yield* sendValues(topic, ["behind the open one"])
      // Both aborted transactions have begun by offset 1: kafkajs by itself enters them one record at a time.
      for (const from of ["beginning", new Map([[0, 1]])] as const) {
        const values: Array<string | null> = []
        const reading = yield* Effect.forkScoped(Stream.runForEach(read(topic, from), ({ value }) =>
          Effect.sync(() => {
            values.push(value)
          })))
        yield* until(() => values.length > 0)
        yield* Fiber.interrupt(reading)
        assert.deepStrictEqual(values, ["transaction 2"])
      }
    }))

  it.effect("goes on where it was, without repeats, after its connections and its membership are gone", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const topic = yield* newTopic()
      const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
      const { groupId, reader } = yield* readerKnownBy(topic, proxy.address)
      const values: Array<string | null> = []
      yield* Effect.forkScoped(
        Stream.runForEach(reader.read({ topic, from: "beginning" }), ({ value }) =>
          Effect.sync(() => {
            values.push(ofText(value))
          }))
      )
      yield* sendValues(topic, numbered("a", 20))
      yield* until(() => values.length === 20)

      yield* proxy.down
      yield* proxy.up
      yield* sendValues(topic, numbered("b", 20))
      yield* until(() => values.length === 40)

      // Somebody else joins its group, and leaves: it has to begin anew.
      yield* withKafkaJS(async (client) => {
        const intruder = client.consumer({ groupId })
        const joined = Promise.withResolvers<void>()
        intruder.on("consumer.group_join", () => joined.resolve())
        await intruder.connect()
        await intruder.subscribe({ topic })
        await intruder.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => {} })
        await joined.promise
        await intruder.disconnect()
      })
      yield* sendValues(topic, numbered("c", 20))
      yield* until(() => values.length >= 60)
      assert.deepStrictEqual(values, [...numbered("a", 20), ...numbered("b", 20), ...numbered("c", 20)])
    }))

  it.effect("leaves no group behind, and lets go of a reader that has enough", () =>
    Effect.gen(function*() {
      const { brokers } = yield* TestSettings
      const topic = yield* newTopic()
      yield* sendValues(topic, numbered("v", 5000))
      const { groupId, reader } = yield* readerKnownBy(topic, brokers[0] ?? "")
      const seen = yield* Deferred.make<void>()
      const enough = yield* Deferred.make<void>()
      const reading = yield* reader.read({ topic, from: "beginning" }).pipe(
        Stream.take(1),
        Stream.tap(() => Effect.andThen(Deferred.succeed(seen, undefined), Deferred.await(enough))),
        Stream.runDrain,
        Effect.forkScoped
      )
      yield* Deferred.await(seen)
      assert.isTrue(yield* groupExists(groupId))
      yield* Deferred.succeed(enough, undefined)
      // Were it kept by the records that it has not taken, this would never end.
      yield* Fiber.join(reading)
      assert.isFalse(yield* groupExists(groupId))
    }))
})
