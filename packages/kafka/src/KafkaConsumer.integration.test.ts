import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer } from "effect"
import { makeKafkaProxy } from "./internal/fixtures/KafkaProxy.ts"
import {
  layerSharedKafka,
  newTopic,
  numbered,
  sendTo,
  sendValues,
  settingsFor,
  takeWarnings,
  until,
  withKafkaJS
} from "./internal/fixtures/TestKafka.ts"
import { joinGroup } from "./internal/fixtures/TestMember.ts"
import { setTimeOfDay } from "./internal/fixtures/TimeOfDay.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import { KafkaConsumer, type Subscription } from "./KafkaConsumer.ts"

/** When the coordinator last answered, on this process's own clock. */
const lastContact = ({ state }: Pick<Subscription, "state">): number => performance.now() - state().silence

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("KafkaConsumer", (it) => {
  it.effect("hands out a topic from its beginning, and what comes later", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(3)
      yield* sendValues(topic, numbered("early", 200))
      const member = yield* joinGroup({ topic })
      yield* until(() => member.values.length === 200)
      yield* sendValues(topic, numbered("late", 100))
      yield* until(() => member.values.length === 300)
      assert.sameMembers(member.values, [...numbered("early", 200), ...numbered("late", 100)])
      assert.deepStrictEqual(member.owned(), [0, 1, 2])
      assert.strictEqual(member.assignments.length, 1)
      assert.deepStrictEqual(member.state().partitions, [0, 1, 2])
      assert.isTrue(member.state().joined)
    }))

  it.effect("commits offsets with their metadata, exactly, and goes on from there after a restart", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      const admin = yield* KafkaAdmin
      yield* sendValues(topic, numbered("v", 10))
      const first = yield* joinGroup({ topic })
      yield* until(() => first.values.length === 10)
      const metadata = `{"é":"\u{1f30d}"} ${"x".repeat(100)}`
      yield* first.commit(first.epoch(), [{ partition: 0, offset: 4, metadata }])
      const { groupId } = first
      assert.deepStrictEqual(yield* admin.committedOffsets(groupId, topic), new Map([[0, { offset: 4, metadata }]]))
      yield* first.leave

      const second = yield* joinGroup({ topic, groupId })
      yield* until(() => second.values.length === 6)
      assert.deepStrictEqual(second.heads(), new Map([[0, { offset: 4, metadata }]]))
      assert.deepStrictEqual(second.values, numbered("v", 10).slice(4))
    }))

  it.effect("takes 4,096 characters of metadata, and refuses one more, though not for the partition beside it", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const admin = yield* KafkaAdmin
      const member = yield* joinGroup({ topic })
      yield* until(() => member.assignments.length === 1)
      const longest = "é".repeat(4096)
      yield* member.commit(1, [{ partition: 0, offset: 0, metadata: longest }])
      const error = yield* Effect.flip(member.commit(1, [
        { partition: 0, offset: 0, metadata: `${longest}x` },
        { partition: 1, offset: 0, metadata: "beside" }
      ]))
      assert.strictEqual(error.reason._tag === "Refused" && error.reason.type, "OFFSET_METADATA_TOO_LARGE")
      assert.deepStrictEqual(
        yield* admin.committedOffsets(member.groupId, topic),
        new Map([[0, { offset: 0, metadata: longest }], [1, { offset: 0, metadata: "beside" }]])
      )
    }))

  it.effect("holds a rebalance until what is in flight is settled and committed, for longer than a session", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(4)
      const groupId = yield* uniqueGroup
      const sessionTimeout = Duration.seconds(2)
      const log: Array<string> = []
      const draining = yield* Deferred.make<void>()
      const settled = yield* Deferred.make<void>()
      yield* sendValues(topic, numbered("v", 40))
      const first = yield* joinGroup({
        topic,
        groupId,
        sessionTimeout,
        drain: Deferred.succeed(draining, undefined).pipe(
          Effect.andThen(Deferred.await(settled)),
          Effect.andThen(Effect.sync(() => log.push("drained")))
        ),
        onAssigned: () => log.push("first assigned")
      })
      yield* until(() => first.values.length === 40)
      const second = yield* joinGroup({
        topic,
        groupId,
        sessionTimeout,
        onAssigned: () => log.push("second assigned")
      })
      yield* Deferred.await(draining)
      assert.isFalse(first.state().joined)
      // Without a heartbeat the group would have gone on without the first member by then.
      const begun = lastContact(first)
      yield* until(() => lastContact(first) > begun + 3_000)
      yield* first.commitAll("in the drain")
      assert.strictEqual(first.drains(), 1)
      yield* Deferred.succeed(settled, undefined)

      yield* until(() => first.assignments.length === 2 && second.assignments.length === 1)
      assert.deepStrictEqual(log.slice(0, 2), ["first assigned", "drained"])
      assert.sameMembers([...first.owned(), ...second.owned()], [0, 1, 2, 3])
      for (const { metadata } of [...first.heads().values(), ...second.heads().values()]) {
        assert.strictEqual(metadata, "in the drain")
      }
      yield* sendValues(topic, numbered("w", 40))
      yield* until(() => first.values.length + second.values.length >= 80)
      assert.sameMembers([...first.values, ...second.values], [...numbered("v", 40), ...numbered("w", 40)])
    }))

  it.effect("cuts a drain off, and refuses what it would still commit without asking the broker", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const groupId = yield* uniqueGroup
      let interrupted = false
      const first = yield* joinGroup({
        topic,
        groupId,
        drainTimeout: Duration.millis(300),
        drain: Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            interrupted = true
          }))
      })
      yield* until(() => first.assignments.length === 1)
      const second = yield* joinGroup({ topic, groupId })
      yield* until(() => second.assignments.length === 1 && first.assignments.length === 2)
      assert.isTrue(interrupted)
      const error = yield* Effect.flip(first.commit(1, [{ partition: 0, offset: 0, metadata: "" }]))
      assert.strictEqual(error.message, "Could not commit offsets: the group has been rebalanced")
      assert.strictEqual(error.reason._tag, "StaleGeneration")
      yield* first.commitAll()
    }))

  it.effect("hands a leaving member's partitions to those that stay", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(4)
      const groupId = yield* uniqueGroup
      const first = yield* joinGroup({ topic, groupId })
      yield* until(() => first.assignments.length === 1)
      const second = yield* joinGroup({ topic, groupId })
      yield* until(() => first.owned().length === 2 && second.owned().length === 2)
      yield* first.leave
      yield* until(() => second.owned().length === 4)
      yield* sendValues(topic, numbered("v", 40))
      yield* until(() => second.values.length === 40)
      assert.strictEqual(first.values.length, 0)
    }))

  it.effect("leaves a generation for the next one when it is told to, whether it leads the group or follows", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const one = yield* joinGroup({ topic })
      yield* until(() => one.assignments.length === 1)
      const other = yield* joinGroup({ topic, groupId: one.groupId })
      const generations = () => [one, other].map((member) => member.assignments.at(-1)?.generation.generationId ?? 0)
      const areAt = (generation: number) => generations().every((each) => each === generation)
      yield* until(() => one.owned().length === 1 && other.owned().length === 1)
      const [first = 0] = generations()
      one.rejoin()
      yield* until(() => areAt(first + 1))
      other.rejoin()
      yield* until(() => areAt(first + 2))
    }))

  it.effect("gives each member of a group partitions of its own topic, and says who is subscribed to which", () =>
    Effect.gen(function*() {
      const admin = yield* KafkaAdmin
      const [led, followed] = [yield* newTopic(3), yield* newTopic(2)]
      const groupId = yield* uniqueGroup
      const leader = yield* joinGroup({ topic: led, groupId })
      yield* until(() => leader.owned().length === 3)
      const followers = [yield* joinGroup({ topic: followed, groupId }), yield* joinGroup({ topic: followed, groupId })]
      yield* until(() => leader.owned().length === 3 && followers.every((each) => each.owned().length === 1))
      yield* sendValues(led, numbered("led", 30))
      yield* sendValues(followed, numbered("followed", 30))
      yield* until(() => leader.values.length === 30 && followers.flatMap(({ values }) => values).length === 30)
      assert.sameMembers(leader.values, numbered("led", 30))
      assert.sameMembers(followers.flatMap(({ values }) => values), numbered("followed", 30))

      const subscriptions = yield* admin.subscriptions(groupId)
      assert.deepStrictEqual(
        new Map([...subscriptions ?? []].map(([topic, hosts]) => [topic, hosts.length])),
        new Map([[led, 1], [followed, 2]])
      )
    }))

  it.effect.each([-3_600_000, 3_600_000])(
    "keeps its membership where the machine's time is set by %i ms",
    (millis) =>
      Effect.gen(function*() {
        const topic = yield* newTopic()
        const member = yield* joinGroup({ topic })
        yield* until(() => member.assignments.length === 1)
        yield* setTimeOfDay(millis)
        assert.isBelow(member.state().silence, 60_000)
        let last = lastContact(member)
        for (let heartbeats = 0; heartbeats < 2; heartbeats++) {
          yield* until(() => lastContact(member) > last + 100)
          last = lastContact(member)
        }
        assert.strictEqual(member.assignments.length, 1)
      })
  )

  it.effect("gives a lost member's partitions to the others, and takes it back when it returns", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const topic = yield* newTopic(2)
      const groupId = yield* uniqueGroup
      const sessionTimeout = Duration.seconds(1)
      const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
      const lost = yield* joinGroup({ topic, groupId, sessionTimeout }).pipe(
        Effect.provide(yield* Layer.build(KafkaConsumer.layer(settingsFor(proxy.address))))
      )
      yield* until(() => lost.assignments.length === 1)
      yield* proxy.down
      const other = yield* joinGroup({ topic, groupId, sessionTimeout })
      yield* until(() => other.owned().length === 2)
      yield* proxy.up
      // It does not know yet that its membership is over, and the broker does not take its word.
      const commit = yield* Effect.flip(lost.commit(1, [{ partition: 0, offset: 0, metadata: "lost" }]))
      assert.include(["StaleGeneration", "Unreachable"], commit.reason._tag)
      yield* until(() => lost.assignments.length > 1 && lost.owned().length === 1 && other.owned().length === 1)
      yield* other.commitAll("other")
      const admin = yield* KafkaAdmin
      const metadata = [...(yield* admin.committedOffsets(groupId, topic)).values()].map(({ metadata }) => metadata)
      assert.deepStrictEqual(metadata, ["other"])
    }))

  it.effect("reads nothing of a paused partition until it is resumed", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const member = yield* joinGroup({ topic })
      yield* until(() => member.assignments.length === 1)
      member.pause(0)
      yield* sendTo(topic, 0, ["paused"])
      // Written later, so that the fetches that bring these would have brought the other.
      for (const value of ["one", "two", "three"]) {
        yield* sendTo(topic, 1, [value])
        yield* until(() => member.values.includes(value))
      }
      assert.deepStrictEqual(member.values, ["one", "two", "three"])
      member.resume(0)
      yield* until(() => member.values.includes("paused"))
    }))

  it.effect("moves on past transaction markers and aborted records, without a record to show for it", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      const member = yield* joinGroup({ topic })
      yield* withKafkaJS(async (client) => {
        const producer = client.producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 })
        await producer.connect()
        const transaction = await producer.transaction()
        await transaction.send({ topic, messages: [{ value: "a" }, { value: "b" }, { value: "c" }] })
        await transaction.abort()
        await producer.disconnect()
      })
      yield* until(() => member.position(0) === 4)
      assert.deepStrictEqual(member.values, [])
      yield* member.commitAll()
      yield* sendValues(topic, ["d"])
      yield* until(() => member.values.length === 1)
    }))

  it.effect("says which records were deleted before they were read, and keeps what was committed", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      const admin = yield* KafkaAdmin
      yield* sendTo(topic, 0, numbered("v", 10))
      const first = yield* joinGroup({ topic })
      yield* until(() => first.values.length === 10)
      yield* first.commit(1, [{ partition: 0, offset: 3, metadata: "kept" }])
      yield* first.leave
      yield* withKafkaJS(async (client) => {
        const raw = client.admin()
        await raw.connect()
        await raw.fetchTopicOffsets(topic)
        await raw.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "7" }] })
        await raw.disconnect()
      })
      const second = yield* joinGroup({ topic, groupId: first.groupId })
      yield* until(() => second.values.length === 3)
      const committed = new Map([[0, { offset: 3, metadata: "kept" }]])
      assert.deepStrictEqual(second.heads(), committed)
      assert.deepStrictEqual(second.skipped, [{ partition: 0, offset: 7 }])
      assert.deepStrictEqual(second.values, numbered("v", 10).slice(7))
      assert.deepStrictEqual(yield* admin.committedOffsets(first.groupId, topic), committed)
    }))

  it.effect("begins anew with a topic that was deleted and made again", () =>
    Effect.gen(function*() {
      const admin = yield* KafkaAdmin
      const topic = yield* newTopic()
      yield* sendTo(topic, 0, numbered("old", 10))
      const member = yield* joinGroup({ topic })
      yield* until(() => member.values.length === 10)
      yield* withKafkaJS(async (client) => {
        const raw = client.admin()
        await raw.connect()
        await raw.deleteTopics({ topics: [topic] })
        await raw.disconnect()
      })
      yield* Effect.repeat(admin.createTopics([{ topic, partitions: 1 }]), { until: ({ length }) => length === 1 })
      yield* sendTo(topic, 0, numbered("new", 3))
      yield* until(() => member.values.length === 13)
      assert.deepStrictEqual(member.skipped, [{ partition: 0, offset: 0 }])
      assert.deepStrictEqual(member.values.slice(10), numbered("new", 3))
    }))

  for (const Fault of [TypeError, Error]) {
    it.effect(`ends with a handler's ${Fault.name}, and calls it no more`, () =>
      Effect.gen(function*() {
        const topic = yield* newTopic()
        yield* sendValues(topic, ["poison"])
        let calls = 0
        const member = yield* joinGroup({
          topic,
          onReceived: () => {
            calls += 1
            throw new Fault("broken handler")
          }
        })
        const exit = yield* Effect.exit(member.failure)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof Fault)
        assert.isFalse(member.state().joined)
        const before = lastContact(member)
        yield* until(() => lastContact(member) > before)
        assert.strictEqual(calls, 1)
      }))
  }

  it.effect("ends with a fault of the handler where nothing has been read yet, and in a drain", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic()
      const deaf = yield* joinGroup({
        topic,
        onAssigned: () => {
          throw new TypeError("in assigned")
        }
      })
      assert.include(String(yield* Effect.exit(deaf.failure)), "in assigned")
      const stuck = yield* joinGroup({ topic, drain: Effect.die(new TypeError("in drain")) })
      yield* until(() => stuck.assignments.length === 1)
      const other = yield* joinGroup({ topic, groupId: stuck.groupId })
      assert.include(String(yield* Effect.exit(stuck.failure)), "in drain")
      yield* stuck.leave
      yield* until(() => other.owned().length === 1)
    }))

  it.effect("waits for a topic that is not there yet, and says so with every try", () =>
    Effect.gen(function*() {
      const admin = yield* KafkaAdmin
      const topic = yield* uniqueTopic
      const { layer, warnings } = takeWarnings()
      const joining = yield* Effect.forkScoped(Effect.provide(joinGroup({ topic }), layer))
      yield* until(() => warnings.some((line) => line.includes(`on the topic ${topic}`)))
      yield* admin.createTopics([{ topic, partitions: 1 }])
      const member = yield* Fiber.join(joining)
      yield* sendValues(topic, ["v"])
      yield* until(() => member.values.length === 1)
    }))
})
