import { assert, describe, it } from "@effect/vitest"
import { deadLetter } from "@origin-regions/domain/DeadLetter"
import { mappingOutcome, rejectedByRule } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { REPLAY_HEADER } from "./ReplayRecord.ts"
import { type ReplayFilter, ReplaySelection, type Skipped } from "./ReplaySelection.ts"
import { requestText, requestTextRecord } from "./RequestText.ts"

const NOW = Date.UTC(2026, 10, 28)
const meant: ReplayFilter = { topic: "requests", codes: new Set(["1157"]), zone: "zone" }

const requestOf = (ip: string, expires?: string, zone = "zone"): OutgoingRecord =>
  requestTextRecord(requestText({
    operation: "upsert",
    id: `id of ${ip}`,
    source: "/s",
    time: "2026-11-27T12:00:00Z",
    zone,
    ip,
    vendor: "aws",
    region: "us-west-9",
    expires
  }))

const seen = ({ headers, key, value }: OutgoingRecord, offset = 0) => ({
  offset,
  headers,
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value)
})

const outcomeOf = (request: OutgoingRecord, offset: number, topic = "requests") =>
  mappingOutcome({
    groupId: "group",
    record: { topic, partition: 0, offset, timestamp: 0 },
    request: readRequest(request),
    settlement: rejectedByRule(readRequest(request).zoneId === "limit" ? "limit_reached" : "unsupported_region"),
    attempts: 0,
    settledAt: 0
  })

const outcomeRecordOf = (request: OutgoingRecord, offset: number, topic?: string) => ({
  value: Buffer.from(JSON.stringify(outcomeOf(request, offset, topic)))
})

const offsetsOf = (selection: ReplaySelection, skipped: Skipped | undefined, force = false) =>
  selection.replays(NOW, force).filter((replay) => replay.skipped === skipped).map(({ offset }) => offset)

describe("What is chosen to be sent again", () => {
  it("has the outcome that is meant, is of the zone and of the topic, and is chosen once", () => {
    const selection = new ReplaySelection(meant)
    const [one, other, limit] = [
      requestOf("192.0.2.1"),
      requestOf("192.0.2.2", undefined, "other"),
      requestOf("192.0.2.3", undefined, "limit")
    ]
    for (const each of [one, one, other, limit]) selection.outcome(outcomeRecordOf(each, each === one ? 5 : 6))
    selection.outcome(outcomeRecordOf(one, 8, "of others"))
    selection.outcome({ value: Buffer.from("\"outcomecode\":\"1157\"") })
    selection.outcome({ value: null })
    assert.deepStrictEqual([...selection.firstOffsets], [[0, 5]])
    for (const offset of [5, 6, 8]) selection.request(0, seen(one, offset))
    assert.strictEqual(selection.replays(NOW, true).length, 1)
    assert.deepInclude(selection.replays(NOW, true)[0], { offset: 5, code: "1157", address: "zone/192.0.2.1" })
  })

  it("is left alone where it is gone, has expired, was replayed, or is overtaken by another of its key", () => {
    const selection = new ReplaySelection({ ...meant, zone: undefined })
    const requests = [
      requestOf("192.0.2.1"),
      requestOf("192.0.2.2"),
      requestOf("192.0.2.3", "2026-11-27T13:00:00Z"),
      requestOf("192.0.2.4"),
      requestOf("192.0.2.1"),
      requestOf("192.0.2.5", "2026-11-29T13:00:00Z")
    ]
    for (const [offset, request] of requests.entries()) selection.outcome(outcomeRecordOf(request, offset))
    const replayed = selection.replays(NOW, false)[3]?.outcomeId ?? ""
    for (const [offset, request] of requests.entries()) {
      if (offset !== 1) selection.request(0, seen(request, offset))
    }
    const replay = {
      ...requestOf("192.0.2.4"),
      headers: [{ name: REPLAY_HEADER, value: new TextEncoder().encode(replayed) }]
    }
    selection.request(0, seen(replay, 17))
    assert.deepStrictEqual(offsetsOf(selection, undefined), [4, 5])
    assert.deepStrictEqual(offsetsOf(selection, "superseded"), [0])
    assert.deepStrictEqual(offsetsOf(selection, "gone"), [1])
    assert.deepStrictEqual(offsetsOf(selection, "expired"), [2])
    assert.deepStrictEqual(offsetsOf(selection, "replayed"), [3])
    // What is gone or expired can't be forced.
    assert.deepStrictEqual(offsetsOf(selection, undefined, true), [0, 3, 4, 5])
    const [once, again] = [selection.replays(NOW, true)[3], new ReplaySelection(meant)]
    again.outcome(outcomeRecordOf(requests[3] ?? replay, 3))
    again.request(0, seen(requests[3] ?? replay, 3))
    assert.notStrictEqual(once?.id, again.replays(NOW, false)[0]?.id)
  })

  it("comes from dead letters byte for byte, those that were cut off left out", () => {
    const selection = new ReplaySelection({ ...meant, codes: new Set(), zone: undefined })
    const original: OutgoingRecord = {
      key: null,
      value: Uint8Array.from([0xff, 0x00]),
      headers: [{ name: "h", value: null }]
    }
    const letterOf = (id: string, offset: number, maxBytes: number, value = original.value) =>
      deadLetter(
        { ...original, value, topic: "requests", partition: 2, offset, timestamp: 0 },
        { id, code: "malformed_request" },
        maxBytes
      )
    selection.letter(seen(letterOf("one", 40, 10_000)))
    selection.letter(seen(letterOf("other", 41, 1_000, new Uint8Array(2_000))))
    selection.letter(seen({ key: null, value: null, headers: [] }))
    const [one, other] = selection.replays(NOW, false)
    assert.deepInclude(other, { offset: 41, skipped: "truncated", record: undefined })
    assert.deepInclude(one, { partition: 2, offset: 40, code: "malformed_request", address: null })
    assert.deepStrictEqual(one?.record, {
      ...original,
      headers: [...original.headers, { name: REPLAY_HEADER, value: new TextEncoder().encode("one") }]
    })
  })

  it("comes from the dead letters of a code and a zone", () => {
    const selection = new ReplaySelection({ topic: "requests", codes: new Set(["gave_up"]), zone: "zone" })
    const letters = [["gave_up", "zone"], ["expired", "zone"], ["gave_up", "other"]] as const
    for (const [offset, [code, zone]] of letters.entries()) {
      const record = {
        ...requestOf("192.0.2.1", undefined, zone),
        topic: "requests",
        partition: 0,
        offset,
        timestamp: 0
      }
      selection.letter(seen(deadLetter(record, { id: `id ${offset}`, code }, 10_000)))
    }
    assert.deepStrictEqual(offsetsOf(selection, undefined), [0])
  })
})
