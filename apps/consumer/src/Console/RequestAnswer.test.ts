import { assert, describe, it } from "@effect/vitest"
import { canonicalize } from "@origin-regions/domain/OriginIp"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { Pause } from "../Circuit.ts"
import { idlePipeline } from "../fixtures/IdlePipeline.ts"
import { createRequest, sourceRecord } from "../fixtures/ModelKafka.ts"
import type { FoundRequest, RequestState } from "../FoundRequest.ts"
import { PartitionProgress } from "../Progress.ts"
import type { RecentOutcome } from "../RecentOutcomes.ts"
import { RequestMemory } from "../RequestMemory.ts"
import type { StatusReportInput } from "../StatusReport.ts"
import { newOwner, newTask, type Task } from "../Task.ts"
import { answer, type AnswerInput } from "./RequestAnswer.ts"
import { type RequestQuery } from "./RequestQuery.ts"

const noon = Date.UTC(2026, 10, 24, 12)
const pause: Pause = { since: noon - 60_000, until: noon + 10_000, failures: 5, reason: "status 503" }

const partition = (number: number, position = 10) => ({
  partition: number,
  head: 0,
  position,
  undone: 0,
  paused: false,
  waiting: 0,
  wait: undefined
})

const pipeline: StatusReportInput["pipeline"] = {
  ...idlePipeline,
  partitions: [partition(0), partition(1), partition(2), partition(5)]
}

const input = (more: Partial<AnswerInput> = {}): AnswerInput => ({
  requestsTopic: "requests",
  member: { joined: true, ready: true, phase: "at work", lastContact: noon },
  pipeline,
  query: { id: "req-1" },
  found: [],
  outcomes: [],
  startedAt: noon - 3_600_000,
  endOffsets: new Map([0, 1, 2, 3, 4, 5].map((number) => [number, 10])),
  ...more
})

const task = (more: Partial<Task> = {}): Task => {
  const record = sourceRecord(2, 7, createRequest("req-1", "192.0.2.1"))
  const progress = new PartitionProgress({ offset: 7, metadata: "" })
  const undone = progress.receive(7) ?? assert.fail("it was done before")
  const owner = newOwner(2, progress, new RequestMemory(10))
  return { ...newTask({ owner, record, request: readRequest(record), undone, span: undefined }), ...more }
}

const explained = (state: RequestState, more: Partial<FoundRequest> = {}, rest: Partial<AnswerInput> = {}) =>
  answer(input({ found: [{ task: task(), ahead: 0, state, ...more }], ...rest })).requests[0]?.explanation

const outcome = (offset: number, id = "req-1"): RecentOutcome => ({
  publishedAt: noon - offset * 1_000,
  code: "1145",
  kind: "rejected",
  zoneId: "zone",
  originIp: "192.0.2.1",
  id,
  source: "/test",
  operation: "create",
  partition: 2,
  offset,
  millis: 45,
  attempts: 1,
  recovered: false
})

const queryOf = (zoneId: string, ip: string): RequestQuery => {
  const originIp = canonicalize(ip)
  return originIp === undefined ? assert.fail(`${ip} is no address`) : { zoneId, originIp }
}

describe("answer", () => {
  it("tells a request in words and as data", () => {
    const failed = task({ failures: 3, inDoubt: true })
    const { outcomes, partition, requests, requests_found } = answer(
      input({ found: [{ task: failed, ahead: 2, state: { _tag: "waiting", pause, of: "zone" } }] })
    )
    assert.deepStrictEqual([outcomes, partition, requests_found], [[], null, 1])
    assert.deepStrictEqual(requests, [{
      state: "waiting",
      zone_id: "zone",
      ip: "192.0.2.1",
      id: "req-1",
      source: "/test",
      operation: "create",
      partition: 2,
      offset: 7,
      timestamp: Date.UTC(2026, 10, 24),
      ahead: 2,
      attempt: 4,
      in_doubt: true,
      next_try: noon + 10_000,
      explanation:
        "waits for its zone since 2026-11-24T11:59:00Z: 5 failures in a row, last: status 503; 3rd in its lane, as its address has 2 before it; attempt 4 comes next, next try 12:00:10Z; an earlier attempt may have been applied, which is found out first"
    }])
  })

  it("says how each stands that has no outcome", () => {
    assert.strictEqual(explained({ _tag: "in_call" }, { task: task({ failures: 1 }) }), "attempt 2 is under way")
    assert.strictEqual(explained({ _tag: "queued" }), "queued, first in its lane; attempt 1 comes next")
    assert.strictEqual(
      explained({ _tag: "queued" }, { ahead: 1 }),
      "queued, 2nd in its lane, as its address has one before it; attempt 1 comes next"
    )
    const quota = { limit: 1_200, windowMillis: 300_000, left: 0, nextCallAt: noon + 90_000 }
    assert.strictEqual(
      explained({ _tag: "queued" }, {}, { pipeline: { ...pipeline, quota } }),
      "queued, first in its lane; attempt 1 comes next, when the quota lets it: next call 12:01:30Z"
    )
    const member = { joined: true, ready: false, phase: "joining the group g", lastContact: noon }
    assert.strictEqual(
      explained({ _tag: "queued" }, {}, { member }),
      "queued, first in its lane; attempt 1 comes next, once this member is at work: joining the group g"
    )
    assert.strictEqual(
      explained({
        _tag: "waiting",
        pause: { ...pause, failures: 0, reason: "its address has changed" },
        of: "request"
      }),
      "waits since 2026-11-24T11:59:00Z: its address has changed; first in its lane; attempt 1 comes next, next try 12:00:10Z"
    )
    assert.strictEqual(
      explained({ _tag: "unpublished", code: "1145" }, {}, {
        pipeline: { ...pipeline, publishingProblem: "no broker answers" }
      }),
      "decided: 1145. Its outcome waits to be published: no broker answers"
    )
  })

  it.each([[11, "12th"], [20, "21st"], [1_000, "1,001st"], [111, "112th"]])("counts %d before it", (ahead, place) => {
    assert.include(explained({ _tag: "queued" }, { ahead }), `queued, ${place} in its lane`)
  })

  it("tells fifty of many, and how many there are", () => {
    const found = Array.from({ length: 60 }, () => ({ task: task(), ahead: 0, state: { _tag: "queued" } as const }))
    const outcomes = Array.from({ length: 70 }, (_, offset) => outcome(offset))
    const told = answer(input({ found, outcomes: [...outcomes, outcome(70, "another")] }))
    assert.deepStrictEqual([told.requests.length, told.requests_found], [50, 60])
    assert.deepStrictEqual([told.outcomes.length, told.outcomes_found], [50, 70])
    assert.strictEqual(told.outcomes[0]?.offset, 0)
    assert.deepStrictEqual(told.explanation, [])
  })

  it("says which partition it belongs to, and that this member has it", () => {
    const { explanation, partition } = answer(input({ query: queryOf("zone-b", "192.0.2.1") }))
    assert.deepStrictEqual(partition, { number: 0, is_ours: true })
    assert.deepStrictEqual(explanation, [
      "with the key zone-b/192.0.2.1, as is recommended, it is in requests-0, which this member has, and where it does not wait",
      "this member has published no outcome since it started at 2026-11-24T11:00:00Z: the outcomes topic has older ones"
    ])
  })

  it("says which partition it belongs to that another member has", () => {
    const { explanation, partition } = answer(
      input({ query: queryOf("zone-g", "192.0.2.1"), outcomes: [outcome(3, "another"), outcome(9, "other")] })
    )
    assert.deepStrictEqual(partition, { number: 4, is_ours: false })
    assert.deepStrictEqual(explanation, [
      "with the key zone-g/192.0.2.1, as is recommended, it is in requests-4, which another member has: ask there. This member's partitions: 0 to 2, 5",
      "it is not among the last 2 outcomes of this member, which are all that it remembers, since 2026-11-24T11:59:51Z: the outcomes topic has older ones"
    ])
  })

  it("says what can't be said of an id alone, or before it is at work, or where Kafka tells nothing", () => {
    const [first] = answer(input()).explanation
    assert.strictEqual(
      first,
      "it does not wait at this member, which has the partitions 0 to 2, 5 of requests; 2 other partitions may have it, at other members"
    )
    const member = { joined: false, ready: false, phase: "joining the group g", lastContact: noon }
    const away = answer(
      input({
        member,
        pipeline: { ...pipeline, partitions: [] },
        endOffsets: new Map(),
        query: queryOf("zone-a", "192.0.2.1")
      })
    )
    assert.isNull(away.partition)
    assert.deepStrictEqual(away.explanation.slice(0, 2), [
      "this member is not at work: joining the group g",
      "it does not wait at this member, which has the partitions none of requests"
    ])
  })

  it("says that it may be among the records that are not read yet", () => {
    const partitions = [partition(0, 4), partition(5, 9)]
    const ofPartition = answer(input({ query: queryOf("zone-b", "192.0.2.1"), pipeline: { ...pipeline, partitions } }))
    assert.include(ofPartition.explanation, "6 records are not read yet: it may be among them")
    const ofAny = answer(input({ pipeline: { ...pipeline, partitions } }))
    assert.include(ofAny.explanation, "7 records are not read yet: it may be among them")
  })
})
