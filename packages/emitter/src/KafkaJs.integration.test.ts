import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer } from "effect"
import { Kafka, logLevel, Partitioners } from "kafkajs"
import { drafts, outcomeOf, PARTITIONS, placeOf, places } from "./fixtures/StandIn.ts"
import { kafkaJs, type KafkaJsProducer } from "./KafkaJs.ts"
import { makeEmitter } from "./PromiseEmitter.ts"

// Not by the package kafka: that mends the kafkajs of its process, and this is about the one that services have.
class Client extends Context.Service<Client, Kafka>()("@origin-regions/emitter/Client") {
  static readonly layer = Layer.effect(
    Client,
    Effect.map(KafkaBroker, ({ brokers }) => new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }))
  ).pipe(Layer.provide(KafkaBroker.layer))
}

interface Connected {
  connect(): Promise<void>
  disconnect(): Promise<void>
}

const connected = <A extends Connected>(client: A) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      await client.connect()
      return client
    }),
    () => Effect.promise(() => client.disconnect())
  )

/** Two topics, and who publishes an outcome for every request. */
const workplace = Effect.gen(function*() {
  const client = yield* Client
  const topics = { requestsTopic: yield* uniqueTopic, outcomesTopic: yield* uniqueTopic }
  const admin = yield* connected(client.admin())
  yield* Effect.promise(() =>
    admin.createTopics({ topics: Object.values(topics).map((topic) => ({ topic, numPartitions: PARTITIONS })) })
  )
  const producer = yield* connected(client.producer({ createPartitioner: Partitioners.DefaultPartitioner }))
  const consumer = yield* connected(client.consumer({ groupId: yield* uniqueGroup, maxWaitTimeInMs: 100 }))
  yield* Effect.promise(async () => {
    await consumer.subscribe({ topic: topics.requestsTopic, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message: { key, offset, timestamp, value }, partition, topic }) => {
        const outcome = outcomeOf({
          topic,
          partition,
          offset: Number(offset),
          timestamp: Number(timestamp),
          key,
          value,
          headers: []
        })
        await producer.send({
          topic: topics.outcomesTopic,
          messages: [{
            key: String(outcome.key),
            value: String(outcome.value),
            headers: Object.fromEntries(outcome.headers.map(({ name, value }) => [name, String(value)]))
          }]
        })
      }
    })
  })
  return { admin, client, topics }
})

const producerWith = (createPartitioner: typeof Partitioners.DefaultPartitioner) =>
  Effect.flatMap(
    Client,
    (client): ReturnType<typeof connected<KafkaJsProducer>> => connected(client.producer({ createPartitioner }))
  )

layer(Client.layer, { excludeTestServices: true, timeout: "2 minutes" })("An emitter by kafkajs", (it) => {
  it.effect("has the outcomes of all that it asks for, from where Java's clients would have sent to, and leaves no group", () =>
    Effect.gen(function*() {
      const { admin, client, topics } = yield* workplace
      const groups = async () =>
        (await admin.listGroups()).groups.filter(({ groupId }) => groupId.startsWith("origin-regions-emitter"))
      yield* Effect.promise(async () => {
        {
          await using emitter = makeEmitter({ source: "/test", ...topics, kafka: kafkaJs(client) })
          const outcomes = await Promise.all(drafts.map((draft) => emitter.request(draft)))
          assert.deepStrictEqual<unknown>(outcomes.map(placeOf), places)
          assert.strictEqual((await groups()).length, 1)
        }
        assert.deepStrictEqual(await groups(), [])
      })
    }))

  it.effect("takes the service's own producer, where its partitioner is Java's", () =>
    Effect.gen(function*() {
      const { client, topics } = yield* workplace
      const producer = yield* producerWith(Partitioners.DefaultPartitioner)
      const others = yield* producerWith(Partitioners.LegacyPartitioner)
      yield* Effect.promise(async () => {
        await using emitter = makeEmitter({ source: "/test", ...topics, kafka: kafkaJs(client, { producer }) })
        const draft = { ...drafts[0] ?? assert.fail(), id: "again" }
        const outcome = await emitter.request(draft)
        assert.deepStrictEqual<unknown>(placeOf(outcome), places[0])
        // Another emitter reads from the end, where the outcome of the first is no more.
        await using other = makeEmitter({ source: "/test", ...topics, kafka: kafkaJs(client) })
        assert.notStrictEqual((await other.request(draft)).event.id, outcome.event.id)
        await using misplacing = makeEmitter({
          source: "/test",
          ...topics,
          kafka: kafkaJs(client, { producer: others })
        })
        const error: unknown = await misplacing.emitAll(drafts).catch((error: unknown) => error)
        assert.match(String(error), /The producer wrote to partition .* of 12 where Java's clients write to .*murmur2/)
      })
    }))
})
