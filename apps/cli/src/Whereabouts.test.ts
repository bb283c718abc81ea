import { assert, describe, it } from "@effect/vitest"
import { mappingOutcome, outcomeRecord } from "@origin-regions/domain/MappingOutcome"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { encodeMetadata } from "@origin-regions/kafka/ProgressMetadata"
import { requestText, requestTextRecord } from "./RequestText.ts"
import { type LookedAt, type Wanted, Whereabouts } from "./Whereabouts.ts"

const address: Wanted = {
  _tag: "Address",
  zoneId: ZoneId.make("demo-shop"),
  originIp: OriginIp.make("2001:db8::1")
}

const text = (offset: number, ip: string) =>
  requestText({
    operation: "upsert",
    id: `id-${offset}`,
    source: "/test",
    time: "2026-11-24T12:00:00Z",
    zone: "demo-shop",
    ip,
    vendor: "aws",
    region: "us-east-1",
    expires: undefined
  })

const record = (offset: number, ip = "2001:DB8:0::1"): LookedAt => {
  const { headers, key, value } = requestTextRecord(text(offset, ip))
  return { offset, timestamp: offset * 1_000, key: Buffer.from(key ?? []), value: Buffer.from(value ?? []), headers }
}

const outcome = (offset: number, { groupId = "group", topic = "requests" } = {}) => {
  const { value } = outcomeRecord(
    mappingOutcome({
      groupId,
      record: { topic, partition: 0, offset, timestamp: 0 },
      request: readRequest(record(offset)),
      settlement: { _tag: "Succeeded", result: "upserted", mapping: null, recovered: false },
      attempts: 1,
      settledAt: 0
    }),
    null
  )
  return { value: Buffer.from(value ?? "") }
}

/** The group has done everything before 10, and 12, 13 and 15; 11 may have been sent since 5,000, and 14 were reserved, did it not wait for 11. */
const committed = {
  offset: 10,
  metadata: encodeMetadata(10, {
    owner: "member",
    reservation: { through: 15, since: 6_000, attempted: new Map([[11, 5_000]]) },
    untimed: 0,
    done: [{ start: 12, end: 14 }, { start: 15, end: 16 }]
  })
}

const whereabouts = (wanted: Wanted = address, progress = new Map([[0, committed]])) =>
  new Whereabouts({ wanted, topic: "requests", groupId: "group", committed: progress, partitions: [0, 1] })

describe("Whereabouts", () => {
  it("knows what is done behind the group's offset, and counts what is not", () => {
    const where = whereabouts()
    where.request(0, record(9))
    where.request(0, record(10, "2001:db8::2"))
    for (const offset of [11, 12, 14, 15]) where.request(0, record(offset))
    assert.deepStrictEqual(
      where.found.map(({ before, isDone, offset, owner, sentSince }) => [offset, isDone, before, sentSince, owner]),
      [
        [15, true, 0, undefined, undefined],
        [14, false, 2, undefined, "member"],
        [12, true, 0, undefined, undefined],
        [11, false, 1, 5_000, "member"],
        [9, true, 0, undefined, undefined]
      ]
    )
  })

  it("finds the outcome of the very record, by the group that is asked for", () => {
    const where = whereabouts()
    where.request(0, record(9))
    where.request(0, record(11))
    where.outcome(outcome(9, { groupId: "another" }))
    where.outcome(outcome(9, { topic: "another" }))
    where.outcome(outcome(8))
    where.outcome({ value: null })
    assert.deepStrictEqual(where.found.map(({ outcome }) => outcome), [undefined, undefined])
    where.outcome(outcome(11))
    assert.deepStrictEqual(where.found.map(({ outcome }) => outcome?.data.request.offset), [11, undefined])
  })

  it("finds by id, whatever the address, and in what a group has not begun", () => {
    const where = whereabouts({ _tag: "Id", id: "id-3" }, new Map())
    for (const partition of [0, 1]) {
      where.request(partition, record(2))
      where.request(partition, record(3, "none"))
    }
    assert.deepStrictEqual(
      where.found.map(({ address, before, isDone, partition }) => [partition, isDone, before, address]),
      [[1, false, 1, "demo-shop"], [0, false, 1, "demo-shop"]]
    )
  })
})
