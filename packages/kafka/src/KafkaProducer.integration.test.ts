import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Duration, Effect, Fiber, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { apiKeys, makeKafkaProxy } from "./internal/fixtures/KafkaProxy.ts"
import {
  layerSharedKafka,
  newTopic,
  ofText,
  readAll,
  sendValues,
  settingsFor,
  text,
  until,
  withKafkaJS
} from "./internal/fixtures/TestKafka.ts"
import { CompressionTypes } from "./internal/PatchedKafkaJS.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import { KafkaProducer } from "./KafkaProducer.ts"

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("KafkaProducer", (it) => {
  it.effect("writes keys, values and headers byte for byte, with their order, repeats and nulls", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      const producer = yield* KafkaProducer
      const headers = [
        { name: "b", value: text("1") },
        { name: "7", value: text("number-like") },
        { name: "a", value: new Uint8Array([0xff, 0x00, 0xfe]) },
        { name: "b", value: text("2") },
        { name: "none", value: null },
        { name: "empty", value: new Uint8Array() },
        { name: "__proto__", value: text("p") }
      ]
      yield* producer.send([
        { topic, record: { key: text("k"), value: new Uint8Array([0, 1, 2, 255]), headers } },
        { topic, record: { key: null, value: null, headers: [] } }
      ])
      const [first, second] = yield* readAll(topic, 2)
      assert.deepStrictEqual(first?.headers, headers)
      assert.deepStrictEqual(first?.value, new Uint8Array([0, 1, 2, 255]))
      assert.strictEqual(ofText(first?.key ?? null), "k")
      assert.deepStrictEqual([second?.key, second?.value, second?.headers], [null, null, []])
    }))

  it.effect("keeps the order of a key over many requests, and sends concurrent callers' records once each", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(4)
      const producer = yield* KafkaProducer
      const value = text("x".repeat(10_000))
      yield* Effect.forEach(
        Array.from({ length: 8 }, (_, caller) => caller),
        (caller) =>
          Effect.forEach(Array.from({ length: 5 }, (_, round) => round), (round) =>
            producer.send(
              Array.from({ length: 20 }, (_, index) => ({
                topic,
                record: {
                  key: text(`caller-${caller}`),
                  value,
                  headers: [{ name: "n", value: text(String(round * 20 + index)) }]
                }
              }))
            )),
        { concurrency: "unbounded" }
      )
      const records = yield* readAll(topic, 800)
      const byKey = Map.groupBy(records, (record) => ofText(record.key))
      assert.strictEqual(byKey.size, 8)
      for (const ofKey of byKey.values()) {
        assert.deepStrictEqual(
          ofKey.map((record) => ofText(record.headers[0]?.value ?? null)),
          Array.from({ length: 100 }, (_, index) => String(index))
        )
      }
    }))

  it.effect("says which record was too large, and works on", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(1, { "max.message.bytes": "2000" })
      const producer = yield* KafkaProducer
      const admin = yield* KafkaAdmin
      assert.strictEqual(yield* admin.maxMessageBytes(topic), 2000)
      const error = yield* Effect.flip(
        producer.send([{ topic, record: { key: text("k"), value: text("x".repeat(3000)), headers: [] } }])
      )
      assert.strictEqual(error.reason._tag, "RecordTooLarge")
      yield* producer.send([{ topic, record: { key: text("k"), value: text("small"), headers: [] } }])
      const [record] = yield* readAll(topic, 1)
      assert.strictEqual(ofText(record?.value ?? null), "small")
    }))

  it.effect("a topic that does not exist is named, and never created by writing to it", () =>
    Effect.gen(function*() {
      const producer = yield* KafkaProducer
      const error = yield* Effect.flip(
        producer.send([{ topic: `missing-${randomUUID()}`, record: { key: null, value: text("x"), headers: [] } }])
      )
      assert.strictEqual(error.reason._tag, "UnknownTopic")
    }))

  it.effect("reads every codec that an emitter may choose", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      const codecs = [CompressionTypes.GZIP, CompressionTypes.Snappy, CompressionTypes.LZ4, CompressionTypes.ZSTD]
      yield* withKafkaJS(async (client) => {
        const plain = client.producer({ allowAutoTopicCreation: false, createPartitioner: () => () => 0 })
        await plain.connect()
        for (const compression of codecs) {
          await plain.send({ topic, compression, messages: [{ key: "k", value: `codec ${compression} `.repeat(50) }] })
        }
        await plain.disconnect()
      })
      const records = yield* readAll(topic, codecs.length)
      assert.deepStrictEqual(
        records.map((record) => ofText(record.value)),
        codecs.map((codec) => `codec ${codec} `.repeat(50))
      )
    }))

  it.effect("writes once, and in order, where the broker's answer is lost", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const topic = yield* newTopic()
      const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
      const producer = yield* Layer.build(KafkaProducer.layer(settingsFor(proxy.address)))
      const send = (value: string) => Effect.provide(sendValues(topic, [value]), producer)
      yield* send("first")
      const cut = yield* proxy.cutNextAnswer(apiKeys.Produce)
      yield* Effect.forEach(["lost", "next", "last"], send, { concurrency: "unbounded" })
      yield* cut
      const records = yield* readAll(topic, 4)
      const [first, ...others] = records.map(({ value }) => ofText(value))
      assert.strictEqual(first, "first")
      assert.sameMembers(others, ["lost", "next", "last"])
      assert.deepStrictEqual(yield* KafkaAdmin.use((admin) => admin.endOffsets(topic)), new Map([[0, 4]]))
    }))

  it.effect("gives up within seconds where the broker does not answer any more", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const topic = yield* newTopic()
      const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
      const producer = yield* Layer.build(KafkaProducer.layer(settingsFor(proxy.address)))
      const send = (value: string) => Effect.provide(sendValues(topic, [value]), producer)
      yield* send("first")
      yield* proxy.freeze
      const sending = yield* Effect.forkScoped(send("never answered"))
      yield* until(() => proxy.withheld() > 0)
      const [took] = yield* Effect.timed(Fiber.interrupt(sending))
      assert.isBelow(Duration.toSeconds(took), 7)
      yield* until(() => proxy.openConnections() === 0)
    }))
})
