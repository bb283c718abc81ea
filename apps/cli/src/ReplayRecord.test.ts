import { assert, describe, it } from "@effect/vitest"
import { readCloudEvent } from "@origin-regions/domain/CloudEvent"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { originalOf, REPLAY_HEADER, replayId, replayRecord } from "./ReplayRecord.ts"

const OUTCOME = "9d1f5a0e-32c8-5d0e-9a65-6b1a7f8f2f4c"
const bytes = (text: string) => new TextEncoder().encode(text)
const ofBytes = (value: Uint8Array | null) => value === null ? null : new TextDecoder().decode(value)

const recordOf = (value: string | null, headers: Readonly<Record<string, string>> = {}): OutgoingRecord => ({
  key: bytes("key"),
  value: value === null ? null : bytes(value),
  headers: Object.entries(headers).map(([name, text]) => ({ name, value: bytes(text) }))
})

const headersOf = ({ headers }: OutgoingRecord) => headers.map(({ name, value }) => `${name}: ${ofBytes(value)}`)
const link = `${REPLAY_HEADER}: ${OUTCOME}`

const envelope =
  "{\"specversion\":\"1.0\",\"id\":\"old\",\"source\":\"/s\",\"type\":\"t\",\"big\":12345678901234567890,\"small\":1.10," +
  "\"causationid\":\"before\",\"data\":{\"ip\":\"::1\",\"__proto__\":1e2}}"

describe("A request that is sent again", () => {
  it("is its envelope with another id and its cause, and all else as it is written", () => {
    const replay = replayRecord(recordOf(envelope, { "content-type": "application/cloudevents+json" }), OUTCOME, 0)
    assert.strictEqual(
      ofBytes(replay.value),
      envelope.replace("\"old\"", `"${replayId(OUTCOME, 0)}"`).replace("\"before\"", `"${OUTCOME}"`)
    )
    assert.deepStrictEqual(headersOf(replay), ["content-type: application/cloudevents+json", link])
    assert.strictEqual(ofBytes(replay.key), "key")
  })

  it("has its attributes in headers where it had them there", () => {
    const headers = { "CE_ID": "old", "ce_specversion": "1.0", "ce_causationid": "before", "other": "kept" }
    const replay = replayRecord(recordOf("{\"ip\": 1.0}", headers), OUTCOME, 0)
    assert.strictEqual(ofBytes(replay.value), "{\"ip\": 1.0}")
    assert.deepStrictEqual(headersOf(replay), [
      "ce_specversion: 1.0",
      "other: kept",
      link,
      `ce_id: ${replayId(OUTCOME, 0)}`,
      `ce_causationid: ${OUTCOME}`
    ])
  })

  it("goes as it came where it is no event, or has no id", () => {
    for (const value of ["no JSON", "[]", "{\"id\":\"\",\"source\": \"/s\"}", null]) {
      const replay = replayRecord(recordOf(value, { [REPLAY_HEADER]: "older" }), OUTCOME, 0)
      assert.strictEqual(ofBytes(replay.value), value)
      assert.deepStrictEqual(headersOf(replay), [link])
    }
  })

  it("has an id that follows from the outcome, and another each time", () => {
    const ids = [replayId(OUTCOME, 0), replayId(OUTCOME, 1), replayId("another", 0)]
    assert.strictEqual(new Set(ids).size, 3)
    for (const id of ids) assert.match(id, /^[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
    assert.strictEqual(ids[0], replayId(OUTCOME, 0))
    assert.strictEqual(readCloudEvent(replayRecord(recordOf(envelope), OUTCOME, 1)).id, ids[1])
  })

  it("is made of a dead letter without what was added to that", () => {
    const letter = recordOf("value", {
      "origin-regions-reason": "gave_up",
      "other": "kept",
      "origin-regions-offset": "7"
    })
    assert.deepStrictEqual(headersOf(originalOf(letter)), ["other: kept"])
  })
})
