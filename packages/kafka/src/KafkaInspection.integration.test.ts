import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { isJavaMissing, layerGuarded, settingsOf } from "./fixtures/GuardedBroker.ts"
import { type Acl, allow, CLUSTER } from "./fixtures/KafkaAcls.ts"
import { accessCluster, COORDINATOR_OF } from "./internal/ClusterAccess.ts"
import { layerSharedKafka, newTopic, sendValues, TestSettings } from "./internal/fixtures/TestKafka.ts"
import { makeClient } from "./internal/KafkaClient.ts"
import { transactions } from "./internal/PatchedKafkaJS.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import type { KafkaError } from "./KafkaError.ts"
import { KafkaInspection } from "./KafkaInspection.ts"

/** What the coordinator of an id says of it. */
const describeTransaction = Effect.fnUntraced(function*(transactionalId: string) {
  const connect = yield* accessCluster(yield* makeClient(yield* TestSettings, "test"))
  return yield* Effect.promise(async () => {
    const coordinator = await (await connect()).findGroupCoordinator({
      groupId: transactionalId,
      coordinatorType: COORDINATOR_OF.transaction
    })
    return coordinator.connectionPool.send(transactions.describeTransaction(transactionalId))
  })
}, Effect.scoped)

const TRANSACTIONAL_ID_NOT_FOUND = 105

const Inspection = Layer.unwrap(Effect.map(TestSettings, (settings) => KafkaInspection.layer(settings))).pipe(
  Layer.provideMerge(layerSharedKafka)
)

layer(Inspection, { excludeTestServices: true, timeout: "2 minutes" })("KafkaInspection", (it) => {
  it.effect("finds that everything is allowed where nobody has forbidden anything, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const inspection = yield* KafkaInspection
      const admin = yield* KafkaAdmin
      const { brokers: [address = ""] } = yield* TestSettings
      yield* inspection.bootstrap(address)
      for (const broker of yield* inspection.brokers) yield* inspection.connect(broker)
      const topic = yield* newTopic(3)
      yield* sendValues(topic, ["v"])
      assert.deepStrictEqual(yield* inspection.topic(topic), {
        partitions: 3,
        operations: ["Read", "Write", "Alter", "Describe"]
      })
      assert.deepStrictEqual(yield* inspection.cluster, ["Alter", "Describe"])
      yield* inspection.fetch(topic, yield* admin.endOffsets(topic))
      const id = `group-${randomUUID()}`
      assert.deepStrictEqual(yield* inspection.group(id), ["Read", "Describe"])
      yield* inspection.transactionalId(id)
      const error = yield* Effect.flip(admin.deleteGroup(id))
      assert.strictEqual(error.reason._tag === "Refused" && error.reason.type, "GROUP_ID_NOT_FOUND", error.message)
      assert.strictEqual((yield* describeTransaction(id))?.errorCode, TRANSACTIONAL_ID_NOT_FOUND)
    }))

  it.effect("says what is not there", () =>
    Effect.gen(function*() {
      const inspection = yield* KafkaInspection
      assert.strictEqual((yield* Effect.flip(inspection.topic("nothing"))).reason._tag, "UnknownTopic")
      const error = yield* Effect.flip(inspection.bootstrap("127.0.0.1:1"))
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.include(error.message, "Could not connect to 127.0.0.1:1: ")
    }))
})

const reasonOf = <A>(effect: Effect.Effect<A, KafkaError, KafkaInspection>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

describe.skipIf(isJavaMissing)("A broker with an authorizer", () => {
  layer(layerGuarded(), { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    it.effect("tells what each permission allows", () =>
      Effect.gen(function*() {
        const admin = yield* Layer.build(KafkaAdmin.layer(yield* settingsOf("admin")))
        const topic = yield* Effect.provide(newTopic(2), admin)
        const ends = yield* Effect.provide(KafkaAdmin.use(({ endOffsets }) => endOffsets(topic)), admin)
        const group = `group-${randomUUID()}`
        const owner = yield* settingsOf("admin")
        const allowAlice = (acl: Omit<Acl, "principal">) => allow(owner, { ...acl, principal: "User:alice" })
        yield* Effect.gen(function*() {
          const inspection = yield* KafkaInspection
          const unauthorized = "Unauthorized"
          assert.strictEqual(yield* reasonOf(inspection.topic(topic)), unauthorized)
          assert.strictEqual(yield* reasonOf(inspection.group(group)), unauthorized)
          assert.strictEqual(yield* reasonOf(inspection.transactionalId(`${group}-1`)), unauthorized)

          yield* allowAlice({ resource: "topic", name: topic, operation: "Describe" })
          assert.deepStrictEqual(yield* inspection.topic(topic), { partitions: 2, operations: ["Describe"] })
          assert.strictEqual(yield* reasonOf(inspection.fetch(topic, ends)), unauthorized)
          yield* allowAlice({ resource: "topic", name: topic, operation: "Read" })
          assert.deepStrictEqual((yield* inspection.topic(topic)).operations, ["Read", "Describe"])
          yield* inspection.fetch(topic, ends)

          yield* allowAlice({ resource: "group", name: group, operation: "Describe" })
          assert.deepStrictEqual(yield* inspection.group(group), ["Describe"])
          yield* allowAlice({ resource: "group", name: group, operation: "Read" })
          assert.deepStrictEqual(yield* inspection.group(group), ["Read", "Describe"])

          yield* allowAlice({ resource: "transactionalId", name: group, operation: "Describe", pattern: "prefixed" })
          assert.strictEqual(yield* reasonOf(inspection.transactionalId(`${group}-1`)), unauthorized)
          yield* allowAlice({ resource: "transactionalId", name: group, operation: "Write", pattern: "prefixed" })
          yield* inspection.transactionalId(`${group}-1`)

          assert.deepStrictEqual(yield* inspection.cluster, [])
          yield* allowAlice({ resource: "cluster", name: CLUSTER, operation: "Alter" })
          assert.deepStrictEqual(yield* inspection.cluster, ["Alter", "Describe"])
        }).pipe(Effect.provide(KafkaInspection.layer(yield* settingsOf("alice"))))
      }))
  })
})
