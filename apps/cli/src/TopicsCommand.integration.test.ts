import { assert, layer } from "@effect/vitest"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueTopic } from "@origin-regions/testkit/Names"
import { Effect, Layer, Result } from "effect"
import { runProgram } from "./fixtures/RunningProgram.ts"

const Kafka = Layer.unwrap(
  Effect.map(
    KafkaBroker,
    ({ brokers }) => KafkaAdmin.layer(Result.getOrThrow(readKafkaSettings({ KAFKA_BROKERS: brokers.join(",") })))
  )
).pipe(Layer.provideMerge(KafkaBroker.layer))

const newNames = Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  return {
    KAFKA_BROKERS: brokers.join(","),
    REQUESTS_TOPIC: yield* uniqueTopic,
    OUTCOMES_TOPIC: yield* uniqueTopic,
    DEAD_LETTERS_TOPIC: yield* uniqueTopic
  }
})

const topics = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
  runProgram({ args: ["topics", ...args], environment })

layer(Kafka, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions topics", (it) => {
  it.effect("creates the topics, finds them the next time, and finds nothing wrong with them", () =>
    Effect.gen(function*() {
      const environment = yield* newNames
      const missing = yield* topics(environment, "check")
      assert.deepStrictEqual([missing.code, missing.stderr], [1, "3 of 3 topics are not as they should be.\n"])
      assert.match(missing.stdout, /^(\S+ +is not there\n){3}$/)

      const created = yield* topics(environment, "create", "--partitions", "4")
      assert.deepStrictEqual([created.code, created.stderr], [0, ""])
      assert.match(created.stdout, /^(\S+ +created +4 partitions, 1 copy of each\n){2}\S+ +created +3 partitions, /)
      const dead = yield* KafkaAdmin.use(({ maxMessageBytes }) => maxMessageBytes(environment.DEAD_LETTERS_TOPIC))
      assert.strictEqual(dead, 2_097_152)

      const again = yield* topics(environment, "create", "--partitions", "4")
      assert.deepStrictEqual(
        [again.code, again.stdout.replaceAll("is there", "created"), again.stderr],
        [0, created.stdout, ""]
      )
      const checked = yield* topics(environment, "check", "--partitions", "4", "--json")
      assert.deepStrictEqual([checked.code, checked.stderr], [0, ""])
      assert.deepStrictEqual(JSON.parse(checked.stdout), {
        ok: true,
        topics: [environment.REQUESTS_TOPIC, environment.OUTCOMES_TOPIC, environment.DEAD_LETTERS_TOPIC].map((
          topic,
          index
        ) => ({ topic, state: "there", partitions: index < 2 ? 4 : 3, replicationFactor: 1, differences: [] }))
      })
    }))

  it.effect("tells what differs, and leaves it as it is", () =>
    Effect.gen(function*() {
      const environment = yield* newNames
      const { createTopics } = yield* KafkaAdmin
      yield* createTopics([{
        topic: environment.REQUESTS_TOPIC,
        partitions: 2,
        configs: { "retention.ms": "60000", "cleanup.policy": "compact" }
      }])
      const created = yield* topics(environment, "create")
      assert.deepStrictEqual([created.code, created.stderr], [0, ""])
      assert.match(
        created.stdout,
        /is there.*\n +differs +partitions is 2; it should be 12 or more\n +differs +retention\.ms is 60000; /
      )
      const again = yield* topics(environment, "create", "--json")
      assert.deepStrictEqual([again.code, JSON.parse(again.stdout).ok], [0, true])
      const checked = yield* topics(environment, "check", "--json")
      assert.isFalse(JSON.parse(checked.stdout).ok)
      assert.deepStrictEqual([checked.code, checked.stderr], [1, "1 of 3 topics are not as they should be.\n"])
      const [{ differences }] = JSON.parse(checked.stdout).topics
      assert.deepStrictEqual(differences.map(({ setting }: { readonly setting: string }) => setting), [
        "partitions",
        "retention.ms",
        "cleanup.policy"
      ])
    }))

  it.effect("says what Kafka says to more copies than brokers", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* topics(yield* newNames, "create", "--replication", "5")
      assert.strictEqual(code, 1)
      assert.match(stderr, /^Could not create the topics .*replication-factor/i)
    }))
})
