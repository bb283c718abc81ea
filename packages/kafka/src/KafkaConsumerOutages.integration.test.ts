import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueGroup } from "@origin-regions/testkit/Names"
import { Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { apiKeys, makeKafkaProxy } from "./internal/fixtures/KafkaProxy.ts"
import {
  layerSharedKafka,
  newTopic,
  numbered,
  sendValues,
  settingsFor,
  takeWarnings,
  until
} from "./internal/fixtures/TestKafka.ts"
import { joinGroup } from "./internal/fixtures/TestMember.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import { KafkaConsumer } from "./KafkaConsumer.ts"

/** A way to the shared broker that can fail, and a consumer that takes it. */
const throughProxy = Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
  return { proxy, services: yield* Layer.build(KafkaConsumer.layer(settingsFor(proxy.address))) }
})

/** A session that cannot be what ends a membership within a test. */
const LONG_SESSION = { sessionTimeout: Duration.minutes(1), rebalanceTimeout: Duration.minutes(2) }

/** What it does not wait for is the end of a drain, a minute later. */
const leaveAtOnce = Effect.fnUntraced(function*({ leave }: { readonly leave: Effect.Effect<void> }) {
  const [took] = yield* Effect.timed(leave)
  assert.isBelow(Duration.toSeconds(took), 30)
})

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("KafkaConsumer in an outage", (it) => {
  it.effect("waits for a broker that is not there yet, and says so with every try", () =>
    Effect.gen(function*() {
      const { proxy, services } = yield* throughProxy
      const topic = yield* newTopic()
      yield* sendValues(topic, ["v"])
      yield* proxy.down
      const { layer, warnings } = takeWarnings()
      const joining = yield* Effect.forkScoped(
        joinGroup({ topic }).pipe(Effect.provide(services), Effect.provide(layer))
      )
      yield* until(() => warnings.some((line) => line.startsWith("Could not join the group")))
      assert.include(warnings.at(-1), `on the topic ${topic}: Connection error: connect ECONNREFUSED ${proxy.address}`)
      yield* proxy.up
      const member = yield* Fiber.join(joining)
      yield* until(() => member.values.length === 1)
    }))

  for (const [request, apiKey] of [["join", apiKeys.JoinGroup], ["synchronization", apiKeys.SyncGroup]] as const) {
    it.effect(`goes on where the answer to its ${request} is lost in a rebalance`, () =>
      Effect.gen(function*() {
        const { proxy, services } = yield* throughProxy
        const topic = yield* newTopic(4)
        const groupId = yield* uniqueGroup
        const first = yield* Effect.provide(joinGroup({ topic, groupId }), services)
        yield* until(() => first.assignments.length === 1)
        const cut = yield* proxy.cutNextAnswer(apiKey)
        const second = yield* joinGroup({ topic, groupId })
        yield* cut
        yield* until(() => first.owned().length === 2 && second.owned().length === 2)
        yield* sendValues(topic, numbered("v", 40))
        yield* until(() => first.values.length + second.values.length === 40)
        assert.sameMembers([...first.values, ...second.values], numbered("v", 40))
      }))
  }

  it.effect("joins where the answer to its first join is lost", () =>
    Effect.gen(function*() {
      const { proxy, services } = yield* throughProxy
      const topic = yield* newTopic()
      yield* sendValues(topic, ["v"])
      const cut = yield* proxy.cutNextAnswer(apiKeys.JoinGroup)
      const member = yield* Effect.provide(joinGroup({ topic }), services)
      yield* cut
      yield* until(() => member.values.length === 1)
    }))

  it.effect("goes on where Kafka is away for a while in the middle of a rebalance", () =>
    Effect.gen(function*() {
      const { proxy, services } = yield* throughProxy
      const { layer, warnings } = takeWarnings()
      const topic = yield* newTopic(4)
      const groupId = yield* uniqueGroup
      const first = yield* joinGroup({ topic, groupId }).pipe(Effect.provide(services), Effect.provide(layer))
      yield* until(() => first.assignments.length === 1)
      const cut = yield* proxy.cutNextAnswer(apiKeys.JoinGroup)
      const second = yield* joinGroup({ topic, groupId })
      yield* cut
      yield* proxy.down
      yield* until(() => warnings.filter((line) => line.startsWith("Connection error")).length >= 4)
      assert.isFalse(first.state().joined)
      yield* proxy.up
      yield* until(() => first.owned().length === 2 && second.owned().length === 2)
      yield* sendValues(topic, numbered("v", 40))
      yield* until(() => first.values.length + second.values.length === 40)
    }))

  it.effect("keeps its membership where all its connections break, and leaves none behind", () =>
    Effect.gen(function*() {
      const { proxy, services } = yield* throughProxy
      const topic = yield* newTopic(2)
      const { layer, warnings } = takeWarnings()
      const member = yield* joinGroup({ ...LONG_SESSION, topic }).pipe(Effect.provide(services), Effect.provide(layer))
      yield* until(() => member.assignments.length === 1)
      for (const [round, failures] of [[1, 0], [2, 0], [3, 14]] as const) {
        warnings.length = 0
        yield* proxy.down
        // In the end for longer than kafkajs tries by itself.
        yield* until(() => warnings.length >= failures)
        yield* proxy.up
        yield* sendValues(topic, numbered(`round-${round}`, 10))
        yield* until(() => member.values.length === round * 10)
        yield* Effect.retry(member.commitAll(String(round)), { while: ({ reason }) => reason._tag === "Unreachable" })
      }
      assert.strictEqual(member.assignments.length, 1)
      yield* member.leave
      // One is the admin's, which the service keeps.
      yield* until(() => proxy.openConnections() <= 1)
    }))

  it.effect("leaves at once from a join that the others keep waiting, the first one or a later one", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const groupId = yield* uniqueGroup
      const options = { ...LONG_SESSION, topic, groupId, drainTimeout: Duration.minutes(1) }
      const settled = yield* Deferred.make<void>()
      let inFlight = Effect.void
      const slow = yield* joinGroup({ ...options, drain: Effect.suspend(() => inFlight) })
      yield* until(() => slow.assignments.length === 1)
      const rejoining = yield* joinGroup(options)
      yield* until(() => slow.owned().length === 1 && rejoining.owned().length === 1)
      inFlight = Deferred.await(settled)
      const joining = yield* joinGroup(options)
      yield* until(() => slow.drains() === 2 && rejoining.drains() === 1)
      yield* leaveAtOnce(rejoining)
      yield* leaveAtOnce(joining)
      yield* Deferred.succeed(settled, undefined)
      yield* until(() => slow.owned().length === 2)
      assert.strictEqual(joining.assignments.length, 0)
    }))

  it.effect("leaves at once from its own drain", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const groupId = yield* uniqueGroup
      const options = { ...LONG_SESSION, topic, groupId, drainTimeout: Duration.minutes(1) }
      const draining = yield* joinGroup({ ...options, drain: Effect.never })
      yield* until(() => draining.assignments.length === 1)
      const other = yield* joinGroup(options)
      yield* until(() => draining.drains() === 1)
      yield* leaveAtOnce(draining)
      yield* until(() => other.owned().length === 2)
    }))

  for (const [name, fault] of [["is down", "down"], ["does not answer", "freeze"]] as const) {
    it.effect(`ends within seconds where the broker ${name}`, () =>
      Effect.gen(function*() {
        const { proxy, services } = yield* throughProxy
        const topic = yield* newTopic()
        const member = yield* Effect.provide(joinGroup({ topic }), services)
        yield* until(() => member.assignments.length === 1)
        yield* proxy[fault]
        const [took] = yield* Effect.timed(member.leave)
        assert.isBelow(Duration.toSeconds(took), 7)
        yield* until(() => proxy.openConnections() <= 1)
      }))
  }

  it.effect("two members of one process do not disturb each other", () =>
    Effect.gen(function*() {
      const admin = yield* KafkaAdmin
      const topic = yield* newTopic(2)
      const one = yield* joinGroup({ topic })
      const other = yield* joinGroup({ topic })
      yield* sendValues(topic, numbered("v", 20))
      yield* until(() => one.values.length === 20 && other.values.length === 20)
      one.pause(0)
      one.pause(1)
      yield* one.commitAll("one")
      assert.strictEqual((yield* admin.committedOffsets(other.groupId, topic)).size, 0)
      yield* one.leave
      yield* sendValues(topic, numbered("w", 20))
      yield* until(() => other.values.length === 40)
      assert.strictEqual(other.assignments.length, 1)
    }))
})
