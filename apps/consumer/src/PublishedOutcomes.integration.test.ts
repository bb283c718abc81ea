import { assert, layer } from "@effect/vitest"
import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { type MappingOutcome, mappingOutcome, outcomeRecord } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { openTransaction } from "@origin-regions/kafka/fixtures/KafkaTampering"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Context, Effect, Fiber, Layer, Logger, Queue } from "effect"
import { createRequest, sourceRecord } from "./fixtures/ModelKafka.ts"
import { createTopics, layerKafka, uniqueTopicNames } from "./fixtures/TestTopics.ts"
import { PublishedOutcomes } from "./PublishedOutcomes.ts"

const settingsOf = (brokers: ReadonlyArray<string>) => ({ brokers, tls: undefined, sasl: undefined })

const Kafka = Layer.unwrap(
  Effect.map(KafkaBroker, ({ brokers }) => Layer.merge(layerKafka(brokers), KafkaScan.layer(settingsOf(brokers))))
).pipe(Layer.provideMerge(KafkaBroker.layer))

const timestamp = Date.UTC(2026, 10, 24)

const settlement = { _tag: "Succeeded", result: "created", mapping: null, recovered: false } as const

/** What was told of many requests, each of another address. */
const outcomesOf = (topic: string): ReadonlyArray<MappingOutcome> =>
  Array.from({ length: 20 }, (_, offset) => {
    const record = { ...sourceRecord(0, offset, createRequest(`${offset}`, `192.0.2.${offset}`)), topic, timestamp }
    return mappingOutcome({
      groupId: "group",
      record,
      request: readRequest(record),
      settlement,
      attempts: 1,
      settledAt: timestamp
    })
  })

layer(Kafka, { excludeTestServices: true, timeout: "2 minutes" })("What has been published of a request", (it) => {
  it.effect("is not taken for nothing while a transaction keeps it from being read, and of others is found meanwhile", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const names = uniqueTopicNames()
      yield* createTopics(names)
      const opened = yield* openTransaction(settingsOf(brokers), { topic: names.outcomes, partition: 0 })
      /** What was told of a request whose outcome is in this partition of two. */
      const toldIn = (partition: number) =>
        outcomesOf(names.requests).find(({ subject = "" }) =>
          keyPartition(new TextEncoder().encode(subject), 2) === partition
        ) ?? assert.fail("there is none")
      const [hidden, readable] = [toldIn(0), toldIn(1)]
      yield* KafkaProducer.use(({ send }) =>
        send(
          [hidden, readable].map((told) => ({ topic: names.outcomes, record: outcomeRecord(told, null) }))
        )
      )
      const lines = yield* Queue.unbounded<unknown>()
      const { find } = Context.get(
        yield* Layer.build(
          PublishedOutcomes.layerNoDeps({ requestsTopic: names.requests, outcomesTopic: names.outcomes }).pipe(
            Layer.provide(Logger.layer([Logger.make(({ message }) => Queue.offerUnsafe(lines, message))]))
          )
        ),
        PublishedOutcomes
      )
      const problems = yield* Queue.unbounded<string>()
      const look = ({ data: { request }, subject = "" }: MappingOutcome) =>
        Effect.forkChild(
          find({ ...request, timestamp, key: subject }, (problem) => Queue.offerUnsafe(problems, problem))
        )
      const finding = yield* look(hidden)
      const problem =
        `Could not read the topic ${names.outcomes}: a transaction is open on partition 0 from offset 0 on`
      assert.strictEqual(yield* Effect.raceFirst(Queue.take(problems), Fiber.join(finding)), problem)
      assert.deepInclude(yield* Fiber.join(yield* look(readable)), settlement)
      // It is still waited for, and that is not said again.
      assert.strictEqual(yield* Effect.raceFirst(Queue.take(problems), Fiber.join(finding)), problem)
      assert.deepStrictEqual((yield* Queue.clear(lines)).flat(), [
        `${problem}. Requests that have come a second time wait; trying again`
      ])
      yield* opened.abort
      assert.deepInclude(yield* Fiber.join(finding), settlement)
    }))
})
