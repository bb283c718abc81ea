import { assert, describe, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect, Layer, Redacted } from "effect"
import { spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { accessCluster, COORDINATOR_OF } from "./internal/ClusterAccess.ts"
import { layerSharedKafka, newTopic, sendValues, TestSettings } from "./internal/fixtures/TestKafka.ts"
import { makeClient } from "./internal/KafkaClient.ts"
import { transactions } from "./internal/PatchedKafkaJS.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import type { KafkaError } from "./KafkaError.ts"
import { KafkaInspection } from "./KafkaInspection.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

const home = process.env["JAVA_HOME"] ?? ""
// The broker that is made here runs on the JVM; without one, this is reported as skipped.
const isJavaMissing = spawnSync(home === "" ? "java" : join(home, "bin", "java"), ["-version"]).status !== 0

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
        operations: ["Read", "Write", "Describe"]
      })
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

const PASSWORD = "s3cret"
const login = (username: string) => ({ mechanism: "PLAIN", username, password: Redacted.make(PASSWORD) } as const)

/** A broker that allows nobody anything but the admin. */
const Guarded = KafkaBroker.layerJvm({
  properties: {
    "listener.security.protocol.map": "HOST:SASL_PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "listener.name.host.sasl.enabled.mechanisms": "PLAIN",
    "listener.name.host.plain.sasl.jaas.config":
      `org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="${PASSWORD}" user_alice="${PASSWORD}";`,
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    // The brokers among themselves, and the test kit's probe.
    "super.users": "User:admin;User:ANONYMOUS"
  }
})

/** Kafka's numbers. */
const resources = { topic: 2, group: 3, transactionalId: 5 } as const
const LITERAL = 3
const PREFIXED = 4
const ALLOW = 3
const operations = { Read: 3, Write: 4, Describe: 8 } as const

const settingsOf = (username: string) =>
  Effect.map(KafkaBroker, ({ brokers }): KafkaSettings => ({ brokers, tls: undefined, sasl: login(username) }))

const reasonOf = <A>(effect: Effect.Effect<A, KafkaError, KafkaInspection>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

describe.skipIf(isJavaMissing)("A broker with an authorizer", () => {
  layer(Guarded, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    const allow = Effect.fnUntraced(
      function*(
        resource: keyof typeof resources,
        name: string,
        operation: keyof typeof operations,
        pattern: number = LITERAL
      ) {
        const admin = (yield* makeClient(yield* settingsOf("admin"), "admin")).admin()
        yield* Effect.promise(async () => {
          await admin.connect()
          await admin.createAcls({
            acl: [{
              resourceType: resources[resource],
              resourceName: name,
              resourcePatternType: pattern,
              principal: "User:alice",
              host: "*",
              operation: operations[operation],
              permissionType: ALLOW
            }]
          })
        })
      },
      Effect.scoped
    )

    it.effect("tells what each permission allows", () =>
      Effect.gen(function*() {
        const admin = yield* Layer.build(KafkaAdmin.layer(yield* settingsOf("admin")))
        const topic = yield* Effect.provide(newTopic(2), admin)
        const ends = yield* Effect.provide(KafkaAdmin.use(({ endOffsets }) => endOffsets(topic)), admin)
        const group = `group-${randomUUID()}`
        yield* Effect.gen(function*() {
          const inspection = yield* KafkaInspection
          const unauthorized = "Unauthorized"
          assert.strictEqual(yield* reasonOf(inspection.topic(topic)), unauthorized)
          assert.strictEqual(yield* reasonOf(inspection.group(group)), unauthorized)
          assert.strictEqual(yield* reasonOf(inspection.transactionalId(`${group}-1`)), unauthorized)

          yield* allow("topic", topic, "Describe")
          assert.deepStrictEqual(yield* inspection.topic(topic), { partitions: 2, operations: ["Describe"] })
          assert.strictEqual(yield* reasonOf(inspection.fetch(topic, ends)), unauthorized)
          yield* allow("topic", topic, "Read")
          assert.deepStrictEqual((yield* inspection.topic(topic)).operations, ["Read", "Describe"])
          yield* inspection.fetch(topic, ends)

          yield* allow("group", group, "Describe")
          assert.deepStrictEqual(yield* inspection.group(group), ["Describe"])
          yield* allow("group", group, "Read")
          assert.deepStrictEqual(yield* inspection.group(group), ["Read", "Describe"])

          yield* allow("transactionalId", group, "Describe", PREFIXED)
          assert.strictEqual(yield* reasonOf(inspection.transactionalId(`${group}-1`)), unauthorized)
          yield* allow("transactionalId", group, "Write", PREFIXED)
          yield* inspection.transactionalId(`${group}-1`)
        }).pipe(Effect.provide(KafkaInspection.layer(yield* settingsOf("alice"))))
      }))
  })
})
