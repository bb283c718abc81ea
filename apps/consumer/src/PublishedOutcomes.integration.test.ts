import { assert, layer } from "@effect/vitest"
import { mappingOutcome, outcomeRecord } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { openTransaction } from "@origin-regions/kafka/fixtures/KafkaTampering"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Context, Deferred, Effect, Fiber, Layer, Logger } from "effect"
import { createRequest, sourceRecord } from "./fixtures/ModelKafka.ts"
import { createTopics, layerKafka, uniqueTopicNames } from "./fixtures/TestTopics.ts"
import { PublishedOutcomes } from "./PublishedOutcomes.ts"

const settingsOf = (brokers: ReadonlyArray<string>) => ({ brokers, tls: undefined, sasl: undefined })

const Kafka = Layer.unwrap(
  Effect.map(KafkaBroker, ({ brokers }) => Layer.merge(layerKafka(brokers), KafkaScan.layer(settingsOf(brokers))))
).pipe(Layer.provideMerge(KafkaBroker.layer))

const settlement = { _tag: "Succeeded", result: "created", mapping: null, recovered: false } as const

layer(Kafka, { excludeTestServices: true, timeout: "2 minutes" })("What has been published of a request", (it) => {
  it.effect("is not taken for nothing while a transaction keeps it from being read", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const names = uniqueTopicNames()
      yield* createTopics(names)
      const opened = yield* Effect.forEach(
        [0, 1],
        (partition) => openTransaction(settingsOf(brokers), { topic: names.outcomes, partition })
      )
      const record = { ...sourceRecord(0, 7, createRequest("request", "192.0.2.1")), topic: names.requests }
      const request = readRequest(record)
      const told = mappingOutcome({
        groupId: "group",
        record,
        request,
        settlement,
        attempts: 1,
        settledAt: record.timestamp
      })
      yield* KafkaProducer.use(({ send }) => send([{ topic: names.outcomes, record: outcomeRecord(told, null) }]))

      const said = yield* Deferred.make<string>()
      const { find } = Context.get(
        yield* Layer.build(
          PublishedOutcomes.layerNoDeps({ requestsTopic: names.requests, outcomesTopic: names.outcomes })
        ),
        PublishedOutcomes
      )
      const finding = yield* find({ ...record, key: told.subject ?? "" }).pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => {
          Deferred.doneUnsafe(said, Effect.succeed(String(message)))
        })])),
        Effect.forkChild
      )
      assert.match(
        String(yield* Effect.raceFirst(Deferred.await(said), Fiber.join(finding))),
        /a transaction is open on partition \d+ from offset \d+ on.*\. Requests that have come a second time wait; trying again$/
      )
      yield* Effect.forEach(opened, ({ abort }) => abort)
      assert.deepInclude(yield* Fiber.join(finding), settlement)
    }))
})
