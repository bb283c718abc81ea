import { assert, layer } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import { deleteRecordsBefore, openTransaction } from "./fixtures/KafkaTampering.ts"
import {
  layerSharedKafka,
  newTopic,
  numbered,
  sendTo,
  TestSettings,
  withKafkaJS
} from "./internal/fixtures/TestKafka.ts"
import { CompressionTypes } from "./internal/PatchedKafkaJS.ts"
import { KafkaScan } from "./KafkaScan.ts"

const scanner = Effect.flatMap(
  TestSettings,
  (settings) => Effect.map(Layer.build(KafkaScan.layer(settings)), Context.get(KafkaScan))
)

/** Everything from offsets on, as text, and what could not be read. */
const scanFrom = Effect.fnUntraced(
  function*(topic: string, from: ReadonlyMap<number, number>, to?: ReadonlyMap<number, number>) {
    const { scan } = yield* scanner
    const seen: Array<readonly [number, number, string]> = []
    const held = yield* scan(
      { topic, from, ...to === undefined ? undefined : { to }, patience: Duration.zero },
      (partition, { offset, value }) => {
        seen.push([partition, offset, String(value)])
      }
    )
    return { seen, held: [...held] }
  }
)

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("KafkaScan", (it) => {
  it.effect("shows all of a range, each partition in its order, and nothing beyond", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(3)
      yield* sendTo(topic, 0, numbered("a", 500))
      yield* sendTo(topic, 1, numbered("b", 20))
      const { seen } = yield* scanFrom(topic, new Map([[0, 10], [1, 5]]), new Map([[0, 490], [1, 20]]))
      const byPartition = Map.groupBy(seen, ([partition]) => partition)
      assert.deepStrictEqual(
        byPartition.get(0),
        numbered("a", 500).slice(10, 490).map((value, index) => [0, index + 10, value])
      )
      assert.deepStrictEqual(
        byPartition.get(1),
        numbered("b", 20).slice(5).map((value, index) => [1, index + 5, value])
      )
      assert.strictEqual(byPartition.size, 2)
    }))

  it.effect("ends once enough has been seen, whatever is left, or held by a transaction", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      // An answer has room for one of them.
      for (const value of numbered("a", 3)) yield* sendTo(topic, 0, [value.padEnd(900_000)])
      yield* sendTo(topic, 1, numbered("b", 1))
      yield* openTransaction(yield* TestSettings, { topic, partition: 1 })
      const { scan } = yield* scanner
      const seen = new Set<string>()
      const range = { topic, from: new Map([[0, 0], [1, 0]]), patience: Duration.hours(1) }
      const held = yield* scan({ ...range, isEnough: () => seen.has("a-0") }, (_, { value }) => {
        seen.add(String(value).trim())
      })
      assert.deepStrictEqual([seen.has("a-0"), seen.has("a-2"), held], [true, false, new Map()])
    }))

  it.effect("shows keys, headers and times as they are, whatever the codec", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      const codecs = ["None", "GZIP", "Snappy", "LZ4", "ZSTD"] as const
      yield* withKafkaJS(async (client) => {
        const producer = client.producer({ allowAutoTopicCreation: false })
        await producer.connect()
        for (const [index, codec] of codecs.entries()) {
          const messages = numbered(codec, 3).map((value, each) => ({
            key: each === 0 ? null : `key of ${value}`,
            value: each === 1 ? null : value.repeat(50),
            // The patched record format takes the list.
            headers: [{ name: "one", value: "1" }, { name: "other", value }] as unknown as Record<string, string>,
            timestamp: String(1_795_000_000_000 + index * 10 + each)
          }))
          await producer.send({ topic, messages, compression: CompressionTypes[codec] })
        }
        await producer.disconnect()
      })
      const { scan } = yield* scanner
      const seen: Array<unknown> = []
      yield* scan({ topic, from: new Map([[0, 1]]), to: new Map([[0, 15]]), patience: Duration.zero }, (_, record) => {
        const headers = record.headers.map(({ name, value }) => `${name}: ${value}`)
        seen.push([
          record.offset,
          record.timestamp,
          record.key && String(record.key),
          record.value && String(record.value),
          headers
        ])
      })
      const expected = codecs.flatMap((codec, index) =>
        numbered(codec, 3).map((value, each) => [
          index * 3 + each,
          1_795_000_000_000 + index * 10 + each,
          each === 0 ? null : `key of ${value}`,
          each === 1 ? null : value.repeat(50),
          ["one: 1", `other: ${value}`]
        ])
      )
      assert.deepStrictEqual(seen, expected.slice(1))
    }))

  it.effect("passes over markers and aborted transactions, ends where one is open, and says where", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      yield* withKafkaJS(async (client) => {
        const producer = client.producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 })
        await producer.connect()
        const transact = async (value: string, end: "abort" | "commit" | "nothing") => {
          const transaction = await producer.transaction()
          await transaction.send({ topic, messages: [{ value }] })
          if (end !== "nothing") await transaction[end]()
        }
        await transact("aborted", "abort")
        await transact("committed", "commit")
        await transact("aborted, too", "abort")
        await transact("committed, too", "commit")
        await transact("open", "nothing")
        await producer.disconnect()
      })
      yield* sendTo(topic, 0, ["behind it"])
      const { held, seen } = yield* scanFrom(topic, new Map([[0, 0]]))
      assert.deepStrictEqual(seen, [[0, 2, "committed"], [0, 6, "committed, too"]])
      assert.deepStrictEqual(held, [[0, 8]])
      // Markers alone make an end, too.
      const { held: none } = yield* scanFrom(topic, new Map([[0, 0]]), new Map([[0, 8]]))
      assert.deepStrictEqual(none, [])
    }))

  it.effect("goes on with what is left where records have been deleted, and says so where an offset is yet to come", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      for (const partition of [0, 1]) yield* sendTo(topic, partition, numbered("v", 10))
      const settings = yield* TestSettings
      yield* deleteRecordsBefore(settings, { topic, partition: 0, offset: 7 })
      yield* deleteRecordsBefore(settings, { topic, partition: 1, offset: 10 })
      const { held, seen } = yield* scanFrom(topic, new Map([[0, 0], [1, 0]]))
      assert.deepStrictEqual([seen, held], [[[0, 7, "v-7"], [0, 8, "v-8"], [0, 9, "v-9"]], []])
      const error = yield* Effect.flip(scanFrom(topic, new Map([[0, 30]]), new Map([[0, 40]])))
      assert.match(error.message, /^Could not read the topic topic-\S+: The requested offset is not within the range/)
    }))

  it.effect("says that the topic is not there, or the partition", () =>
    Effect.gen(function*() {
      const partition = yield* Effect.flip(scanFrom(yield* newTopic(), new Map([[0, 0], [1, 0]])))
      assert.strictEqual(partition.reason._tag, "UnknownTopic")
      const error = yield* Effect.flip(scanFrom("not-there", new Map([[0, 0]]), new Map([[0, 1]])))
      assert.strictEqual(error.reason._tag, "UnknownTopic")
    }))
})
