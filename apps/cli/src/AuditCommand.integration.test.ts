import { assert, layer } from "@effect/vitest"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { deleteRecordsBefore, setOffset } from "@origin-regions/kafka/fixtures/KafkaTampering"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Option } from "effect"
import { type AuditPlan, readAudit } from "./AuditReading.ts"
import { auditText, problemCount } from "./AuditReport.ts"
import { runProgram } from "./fixtures/RunningProgram.ts"
import { type Environment, readRecords, Surroundings, surroundings, TestSettings } from "./fixtures/Surroundings.ts"
import { requestText, requestTextRecord } from "./RequestText.ts"

const sendUpserts = Effect.fnUntraced(function*({ REQUESTS_TOPIC: topic }: Environment, zone: string, count: number) {
  const texts = Array.from({ length: count }, (_, index) =>
    requestText({
      operation: "upsert",
      id: `${zone}-${index}`,
      source: "/test",
      time: "2026-11-28T12:00:00Z",
      zone,
      // The last is none, and is answered without the API.
      ip: index === count - 1 ? "none" : `192.0.2.${index}`,
      vendor: "aws",
      region: "us-east-1",
      expires: undefined
    }))
  yield* KafkaProducer.use(({ send }) => send(texts.map((text) => ({ topic, record: requestTextRecord(text) }))))
})

const planOf = (environment: Environment): AuditPlan => ({
  requestsTopic: environment.REQUESTS_TOPIC,
  outcomesTopic: environment.OUTCOMES_TOPIC,
  groupId: environment.KAFKA_GROUP_ID,
  delivery: "exactly-once",
  since: undefined
})

/** What is found without a process of its own, which takes a second to start. */
const audit = (environment: Environment, changed: Partial<AuditPlan> = {}) =>
  readAudit({ ...planOf(environment), ...changed })

const requestOf = ({ value }: SourceRecord): number =>
  Option.getOrThrow(readOutcome(value ?? assert.fail("no outcome"))).data.request.offset

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions audit", (it) => {
  it.effect("proves what the consumer has done, and finds each thing that somebody does to it", () =>
    Effect.gen(function*() {
      const environment = yield* surroundings
      const settings = yield* TestSettings
      const { KAFKA_GROUP_ID: groupId, OUTCOMES_TOPIC: outcomes, REQUESTS_TOPIC: requests } = environment
      yield* sendUpserts(environment, yield* uniqueZoneId, 20)
      const answers = yield* Effect.scoped(Effect.gen(function*() {
        const consumer = yield* Consumer.start(environment)
        const answers = yield* readRecords(environment.OUTCOMES_TOPIC, 20)
        yield* consumer.terminate
        return answers
      }))
      const proved = yield* runProgram({ args: ["audit"], environment })
      assert.deepStrictEqual([proved.code, proved.stderr], [0, ""])
      assert.match(proved.stdout, /^answered +20 +have their outcome$/m)
      assert.match(proved.stdout, /\n\nProved: .*\n$/)

      // Requests that nobody reads, as the consumer has ended.
      yield* sendUpserts(environment, yield* uniqueZoneId, 3)
      const waiting = yield* audit(environment)
      assert.deepInclude(waiting.completeness, { requests: 23, answered: 20, unanswered: 3, missing: 0, extra: 0 })
      assert.strictEqual(problemCount(waiting), 0)

      // An operator skips two of them.
      const end = (yield* KafkaAdmin.use(({ endOffsets }) => endOffsets(requests))).get(0) ?? 0
      yield* setOffset(settings, { groupId, topic: requests, partition: 0, offset: end - 1 })
      const skipped = (yield* audit(environment)).completeness
      assert.deepInclude(skipped, { answered: 20, unanswered: 1, missing: 2 })
      assert.deepStrictEqual(skipped.missingRuns, [{ partition: 0, first: end - 3, last: end - 2, requests: 2 }])

      // Somebody copies an outcome.
      const copied = answers.find((answer) => requestOf(answer) > 3) ?? assert.fail("no outcome")
      yield* KafkaProducer.use(({ send }) => send([{ topic: outcomes, record: copied }]))
      const doubled = (yield* audit(environment)).completeness
      assert.deepInclude(doubled, { answered: 20, extra: 1, repeated: 0 })
      const [extra] = doubled.extraOutcomes
      assert.deepInclude(extra, { isSame: true, request: { partition: 0, offset: requestOf(copied) } })
      const lax = (yield* audit(environment, { delivery: "at-least-once" })).completeness
      assert.deepInclude(lax, { answered: 20, extra: 0, repeated: 1 })

      // The first outcome is deleted.
      yield* deleteRecordsBefore(settings, { topic: outcomes, partition: 0, offset: 1 })
      const [unanswered = 0] = answers.map(requestOf)
      const deleted = yield* audit(environment)
      assert.deepInclude(deleted.completeness, {
        missing: requestOf(copied) === unanswered ? 2 : 3,
        extra: requestOf(copied) === unanswered ? 0 : 1
      })
      assert.deepStrictEqual(deleted.shortened, [{ partition: 0, offset: 1 }])
      const found = yield* runProgram({ args: ["audit", "--json"], environment })
      assert.deepStrictEqual(
        [found.code, found.stderr],
        [1, "It is not so that every request that is done has exactly one outcome.\n"]
      )
      assert.deepInclude(JSON.parse(found.stdout), {
        proved: false,
        requests: 23,
        outcomes_deleted_before: deleted.shortened
      })
      const told = auditText(planOf(environment), deleted)
      assert.match(told, /\n\d requests without an outcome\. .*: the outcomes topic begins at 0\/1\.\n {2}0\/\d+/)
      assert.match(told, /\nNot proved\.$/)

      // Retention deletes the first requests, and nothing is as young as the next century.
      yield* deleteRecordsBefore(settings, { topic: requests, partition: 0, offset: 3 })
      const shortened = (yield* audit(environment)).completeness
      assert.deepInclude(shortened, { requests: 20, withoutRequest: unanswered < 3 ? 2 : 3 })
      const since = yield* audit(environment, { since: Date.UTC(2126, 0) })
      assert.deepInclude(since.completeness, { requests: 0, missing: 0, withoutRequest: 0 })
    }))

  it.effect("says that a group has committed nothing, and what is wrong with --since", () =>
    Effect.gen(function*() {
      const environment = yield* surroundings
      yield* sendUpserts(environment, yield* uniqueZoneId, 2)
      const unknown = yield* runProgram({ args: ["audit", "--group", "nobody"], environment })
      assert.strictEqual(unknown.code, 1)
      assert.match(unknown.stdout, /\nThe group nobody has committed nothing for this topic: is --group .* at work\?\n/)
      assert.strictEqual(unknown.stderr, "Not proved: the group nobody has done nothing.\n")
      assert.match(unknown.stdout, /\nUnanswered, by age: 2 under a minute, .*\nThe oldest of them is 0\/0, since /)
      const wrong = yield* runProgram({ args: ["audit", "--since", "yesterday"], environment })
      assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
      assert.match(wrong.stderr, /^--since is "yesterday": expected a time such as .*\n$/)
    }))
})
