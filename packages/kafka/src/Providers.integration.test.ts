import { assert, describe, it } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { whereAvailable } from "@origin-regions/testkit/WhereAvailable"
import { Effect } from "effect"
import {
  layerKafka,
  newTopic,
  numbered,
  ofText,
  readAll,
  sendValues,
  settingsFor,
  until
} from "./internal/fixtures/TestKafka.ts"
import { joinGroup } from "./internal/fixtures/TestMember.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"

const providers = [
  { provider: "jvm", layer: KafkaBroker.layerJvm() },
  { provider: "testcontainers", layer: KafkaBroker.layerTestcontainers() }
] as const

describe("A broker of the test kit's", () => {
  for (const { layer, provider } of providers) {
    it.live(`takes records from an emitter to a group, and keeps what it commits, by ${provider}`, ({ skip }) =>
      whereAvailable(
        layer,
        skip,
        Effect.gen(function*() {
          const { brokers, provider: by } = yield* KafkaBroker
          assert.strictEqual(by, provider)
          yield* Effect.gen(function*() {
            const admin = yield* KafkaAdmin
            const topic = yield* newTopic(2)
            yield* sendValues(topic, numbered("v", 10))
            const member = yield* joinGroup({ topic })
            yield* until(() => member.values.length === 10)
            yield* member.commitAll("settled")
            assert.sameMembers(member.values, numbered("v", 10))
            assert.sameMembers((yield* readAll(topic, 10)).map(({ value }) => ofText(value)), numbered("v", 10))
            const committed = [...(yield* admin.committedOffsets(member.groupId, topic)).values()]
            assert.deepStrictEqual(new Set(committed.map(({ metadata }) => metadata)), new Set(["settled"]))
            assert.strictEqual(committed.reduce((sum, { offset }) => sum + offset, 0), 10)
          }).pipe(Effect.scoped, Effect.provide(layerKafka(settingsFor(...brokers))))
        })
      ))
  }
})
