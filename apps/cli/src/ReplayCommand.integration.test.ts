import { assert, layer } from "@effect/vitest"
import { readCloudEvent } from "@origin-regions/domain/CloudEvent"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Option } from "effect"
import { runProgram } from "./fixtures/RunningProgram.ts"
import { readRecords, Surroundings, surroundings } from "./fixtures/Surroundings.ts"
import { replayId } from "./ReplayRecord.ts"
import { requestText, requestTextRecord } from "./RequestText.ts"

const outcomesOf = (topic: string, count: number) =>
  Effect.map(
    readRecords(topic, count),
    (records) => records.map(({ value }) => Option.getOrThrow(readOutcome(value ?? assert.fail("no outcome"))))
  )

const requestIn = (zone: string, ip: string) =>
  requestTextRecord(requestText({
    operation: "upsert",
    id: `${zone} ${ip}`,
    source: "/test",
    time: "2026-11-28T12:00:00Z",
    zone,
    ip,
    vendor: "aws",
    region: "us-nowhere-9",
    expires: undefined
  }))

const endOf = (topic: string) => KafkaAdmin.use(({ endOffsets }) => endOffsets(topic))

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions replay", (it) => {
  it.effect("sends again what was refused, once, linked to its outcome, and what is dead-lettered as it was", () =>
    Effect.gen(function*() {
      const environment = yield* surroundings
      const { DEAD_LETTERS_TOPIC: letters, OUTCOMES_TOPIC: outcomes, REQUESTS_TOPIC: topic } = environment
      yield* Consumer.start(environment)
      const [zone, other] = [yield* uniqueZoneId, yield* uniqueZoneId]
      const unreadable = {
        key: null,
        value: new TextEncoder().encode("no JSON"),
        headers: [{ name: "kept", value: null }]
      }
      const sent = [
        requestIn(zone, "192.0.2.1"),
        requestIn(zone, "192.0.2.2"),
        requestIn(other, "192.0.2.1"),
        unreadable
      ]
      yield* KafkaProducer.use(({ send }) => send(sent.map((record) => ({ topic, record }))))
      const before = yield* outcomesOf(outcomes, 4)
      assert.deepStrictEqual(before.map(({ outcomecode }) => outcomecode).toSorted(), [
        "1157",
        "1157",
        "1157",
        "malformed_request"
      ])
      const ends = yield* endOf(topic)

      const meant = ["replay", "--code", "1157", "--zone", zone]
      const shown = yield* runProgram({ args: meant, environment })
      assert.deepStrictEqual([shown.code, shown.stderr], [0, ""])
      assert.match(
        shown.stdout,
        /^2 chosen, 2 to send again\.\n {2}0\/0 .*\n {2}0\/1 .*\nNothing was sent\. With --apply they are, 20 a second\.\n$/
      )
      assert.deepStrictEqual(yield* endOf(topic), ends)

      const applied = yield* runProgram({ args: [...meant, "--apply", "--json", "--rate", "1"], environment })
      assert.deepStrictEqual([applied.code, applied.stderr], [0, ""])
      assert.deepInclude(JSON.parse(applied.stdout), { chosen: 2, to_send: 2, sent: 2 })
      const chosen = before.filter(({ outcomecode, subject }) => outcomecode === "1157" && subject?.startsWith(zone))
      const ids = chosen.map(({ id }) => replayId(id, 0))
      const after = (yield* outcomesOf(outcomes, 6)).slice(4)
      assert.sameMembers(after.map(({ causationid }) => causationid), ids)
      const replays = (yield* readRecords(topic, 6)).slice(4)
      assert.sameMembers(replays.map((record) => readCloudEvent(record).id), ids)
      for (const [index, { key, value }] of replays.entries()) {
        assert.deepStrictEqual(key, sent[index]?.key)
        assert.include(chosen.map(({ id }) => id), JSON.parse(new TextDecoder().decode(value ?? undefined)).causationid)
      }

      // Their own outcomes are meant by now, too; those before are done with.
      const again = yield* runProgram({ args: [...meant, "--json"], environment })
      assert.deepInclude(JSON.parse(again.stdout), { chosen: 4, to_send: 2, sent: 0 })
      assert.deepInclude(JSON.parse(again.stdout).skipped, { replayed: 2 })

      const dead = yield* runProgram({ args: ["replay", "--dead-letters", "--apply"], environment })
      assert.deepStrictEqual([dead.code, dead.stderr], [0, ""])
      assert.match(
        dead.stdout,
        /^1 chosen, 1 to send again\.\n.*\(unreadable\) +malformed_request .*\nSent 1 request to topic-/
      )
      const [, letter] = yield* readRecords(letters, 2)
      assert.deepStrictEqual(letter?.value, unreadable.value)
      const resent = (yield* readRecords(topic, 7))[6]
      assert.deepStrictEqual([resent?.key, resent?.value, resent?.headers[0]], [
        null,
        unreadable.value,
        unreadable.headers[0]
      ])
    }))

  it.effect("says what is missing, and that nothing is chosen", () =>
    Effect.gen(function*() {
      const environment = yield* surroundings
      const wrong = yield* runProgram({ args: ["replay"], environment })
      assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
      assert.match(wrong.stderr, /^Say which outcomes are meant by --code, .*\n$/)
      const none = yield* runProgram({ args: ["replay", "--code", "1157", "--apply", "--since", "1 day"], environment })
      assert.deepStrictEqual([none.code, none.stderr], [0, ""])
      assert.match(none.stdout, /^0 chosen, 0 to send again\.\nSent 0 requests to topic-/)
    }))
})
