import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer } from "effect"
import { makeKafkaProxy } from "./internal/fixtures/KafkaProxy.ts"
import {
  layerSharedKafka,
  newTopic,
  numbered,
  sendTo,
  sendValues,
  settingsFor,
  until,
  withKafkaJS
} from "./internal/fixtures/TestKafka.ts"
import { joinGroup } from "./internal/fixtures/TestMember.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"

/** An admin of its own, by its own way to the broker. */
const adminFor = (broker: string) =>
  Effect.map(Layer.build(Layer.fresh(KafkaAdmin.layer(settingsFor(broker)))), Context.get(KafkaAdmin))

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("KafkaAdmin", (it) => {
  it.effect("creates what is missing, with partitions and settings, and leaves alone what is there", () =>
    Effect.gen(function*() {
      const admin = yield* KafkaAdmin
      const [one, other] = [yield* uniqueTopic, yield* uniqueTopic]
      const first = { topic: one, partitions: 3, configs: { "max.message.bytes": "5000" } }
      assert.deepStrictEqual(yield* admin.createTopics([first]), [one])
      assert.deepStrictEqual(
        yield* admin.createTopics([{ ...first, partitions: 9 }, { topic: other, partitions: 1 }]),
        [
          other
        ]
      )
      assert.deepStrictEqual(yield* admin.createTopics([first]), [])
      assert.strictEqual(yield* admin.partitionCount(one), 3)
      assert.strictEqual(yield* admin.partitionCount(other), 1)
      assert.strictEqual(yield* admin.maxMessageBytes(one), 5000)
      assert.strictEqual(yield* admin.maxMessageBytes(other), 1_048_588)
    }))

  it.effect("describes a topic that is there, and no other", () =>
    Effect.gen(function*() {
      const admin = yield* KafkaAdmin
      assert.strictEqual(yield* admin.brokerCount, 1)
      const topic = yield* newTopic(3, { "retention.ms": "5000" })
      assert.deepStrictEqual(yield* admin.describeTopic(topic, ["retention.ms", "cleanup.policy"]), {
        partitions: 3,
        replicationFactor: 1,
        configs: new Map([["cleanup.policy", "delete"], ["retention.ms", "5000"]])
      })
      const missing = yield* uniqueTopic
      assert.isUndefined(yield* admin.describeTopic(missing, ["retention.ms"]))
      assert.isUndefined(yield* admin.describeTopic(missing, ["retention.ms"]))
    }))

  it.effect("creates a topic once where several ask for it at the same time", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const topic = yield* uniqueTopic
      const admins = yield* Effect.forEach([1, 2, 3, 4], () => adminFor(brokers[0] ?? ""))
      yield* Effect.forEach(admins, (admin) => admin.createTopics([{ topic, partitions: 2 }]), {
        concurrency: "unbounded"
      })
      assert.strictEqual(yield* KafkaAdmin.use((admin) => admin.partitionCount(topic)), 2)
    }))

  it.effect("knows the first and the next offset of each partition", () =>
    Effect.gen(function*() {
      const admin = yield* KafkaAdmin
      const topic = yield* newTopic(2)
      yield* sendTo(topic, 1, numbered("v", 10))
      yield* withKafkaJS(async (client) => {
        const raw = client.admin()
        await raw.connect()
        await raw.fetchTopicOffsets(topic)
        await raw.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: "4" }] })
        await raw.disconnect()
      })
      assert.deepStrictEqual(yield* admin.beginningOffsets(topic), new Map([[0, 0], [1, 4]]))
      assert.deepStrictEqual(yield* admin.endOffsets(topic), new Map([[0, 0], [1, 10]]))
    }))

  it.effect("looks up the offsets of one topic while it looks others up", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const admin = yield* adminFor(brokers[0] ?? "")
      const [asked, other] = [yield* newTopic(2), yield* newTopic()]
      const nothing = new Map([[0, 0], [1, 0]])
      const [offsets] = yield* Effect.all([
        Effect.forEach(Array.from({ length: 100 }), () => admin.offsetsSince(asked, 0)),
        Effect.forEach(Array.from({ length: 200 }), () => admin.partitionCount(other))
      ], { concurrency: "unbounded" })
      for (const each of offsets) assert.deepStrictEqual(each, nothing)
    }))

  it.effect("reads what a group has committed, and nothing where it has not", () =>
    Effect.gen(function*() {
      const admin = yield* KafkaAdmin
      const topic = yield* newTopic(2)
      assert.deepStrictEqual(yield* admin.committedOffsets(yield* uniqueGroup, topic), new Map())
      const member = yield* joinGroup({ topic })
      yield* until(() => member.assignments.length === 1)
      yield* member.commit(1, [{ partition: 1, offset: 0, metadata: "m" }])
      assert.deepStrictEqual(
        yield* admin.committedOffsets(member.groupId, topic),
        new Map([[1, { offset: 0, metadata: "m" }]])
      )
      assert.strictEqual((yield* Effect.flip(admin.deleteGroup(member.groupId))).reason._tag, "Refused")
      yield* member.leave
      yield* admin.deleteGroup(member.groupId)
      assert.deepStrictEqual(yield* admin.committedOffsets(member.groupId, topic), new Map())
    }))

  it.effect("needs no broker until it is asked something, names the one that is away, and finds it again", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const topic = yield* newTopic()
      yield* sendValues(topic, ["v"])
      const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
      yield* proxy.down
      const admin = yield* adminFor(proxy.address)
      const error = yield* Effect.flip(admin.endOffsets(topic))
      assert.strictEqual(
        error.message,
        `Could not look up the offsets of the topic ${topic}: Connection error: connect ECONNREFUSED ${proxy.address}`
      )
      assert.strictEqual(error.reason._tag, "Unreachable")
      for (const _round of [1, 2]) {
        yield* proxy.up
        // That a connection is gone may show only when it is used.
        const offsets = yield* Effect.retry(admin.endOffsets(topic), { times: 1 })
        assert.deepStrictEqual(offsets, new Map([[0, 1]]))
        yield* proxy.down
      }
    }))
})
