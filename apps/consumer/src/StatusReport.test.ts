import { assert, describe, it } from "@effect/vitest"
import type { Pause } from "./Circuit.ts"
import { idlePipeline } from "./fixtures/IdlePipeline.ts"
import type { PipelineStatus } from "./PipelineStatus.ts"
import { explain, statusReport, type StatusReportInput } from "./StatusReport.ts"

const noon = Date.UTC(2026, 10, 24, 12)
const busy: Pause = { since: noon - 60_000, until: noon + 10_000, failures: 5, reason: "status 503" }

const input = (pipeline: Partial<PipelineStatus>, rest: Partial<StatusReportInput> = {}): StatusReportInput => ({
  requestsTopic: "requests",
  member: { joined: true, ready: true, phase: "at work", lastContact: noon },
  pipeline: { ...idlePipeline, ...pipeline },
  ...rest
})

const partition = { partition: 3, head: 7, position: 900, undone: 815, paused: false, waiting: 0, wait: undefined }

describe("explain", () => {
  it("says nothing where nothing waits", () => {
    assert.deepStrictEqual(explain(input({ partitions: [partition] })), [])
  })

  it("tells of members that are subscribed to different topics, though this one is at work", () => {
    const member = { joined: true, ready: true, phase: "at work", lastContact: noon, differing: "members differ" }
    assert.deepStrictEqual(explain(input({}, { member })), ["members differ"])
    assert.deepStrictEqual(statusReport(input({}, { member })).explanation, ["members differ"])
  })

  it("tells of a zone that is paused, and of the partition that waits for it", () => {
    assert.deepStrictEqual(
      explain(input({
        waiting: 812,
        zones: new Map([["0a1b", { ...busy, waiting: 812 }]]),
        partitions: [{ ...partition, waiting: 812, wait: busy }]
      })),
      [
        "zone 0a1b: paused since 2026-11-24T11:59:00Z after 5 failures in a row, last: status 503; 812 requests waiting, next try 12:00:10Z",
        "requests-3: 812 waiting since 2026-11-24T11:59:00Z, the oldest for status 503, next try 12:00:10Z"
      ]
    )
  })

  it("tells of an API that fails all, and what to do about a credential", () => {
    const reason = "Authentication error (code 10000)"
    assert.deepStrictEqual(explain(input({ waiting: 1_234, apiPause: { ...busy, failures: 1, reason } })), [
      "the API is not called: 1,234 requests wait since 2026-11-24T11:59:00Z; 1 failure in a row, last: Authentication error (code 10000); next try 12:00:10Z; nothing is lost, and all goes on once the credential works"
    ])
  })

  it("tells of a quota that requests wait for, and of none that nobody waits for", () => {
    const quota = { limit: 1_200, windowMillis: 300_000, left: 0, nextCallAt: noon + 90_000 }
    assert.deepStrictEqual(explain(input({ queued: 812, quota })), [
      "812 requests wait for the API's quota of 1,200 calls in 5m, of which 0 are left for this member: next call 12:01:30Z"
    ])
    assert.deepStrictEqual(explain(input({ quota })), [])
    assert.deepStrictEqual(explain(input({ queued: 1, quota: { ...quota, nextCallAt: undefined } })), [])
    assert.deepStrictEqual(statusReport(input({ quota })).quota, {
      limit: 1_200,
      window_seconds: 300,
      left: 0,
      next_call: "2026-11-24T12:01:30.000Z"
    })
    assert.isNull(statusReport(input({})).quota)
  })

  it("tells of a quota that is pooled, of a pool that is out of reach, and of calls that are refused", () => {
    const quota = { limit: 1_200, windowMillis: 300_000, left: 7, nextCallAt: noon + 90_000, pool: "joined" }
    assert.deepStrictEqual(explain(input({ queued: 812, quota })), [
      "812 requests wait for the API's quota of 1,200 calls in 5m, of which 7 are left for all who pool it: next call 12:01:30Z"
    ])
    assert.deepStrictEqual(explain(input({ queued: 812, quota: { ...quota, refused: true } })), [
      "812 requests wait, as the API refuses all calls for their number: next call 12:01:30Z"
    ])
    const lost = { ...quota, nextCallAt: undefined, pool: "connect ECONNREFUSED" }
    assert.deepStrictEqual(explain(input({ quota: lost })), [
      "the quota is not pooled in Redis (connect ECONNREFUSED): this member keeps to its share by partitions"
    ])
    assert.deepInclude(statusReport(input({ quota: lost })).quota, { pool: "connect ECONNREFUSED", refused: false })
  })

  it("tells of outcomes that can't be published, of partitions that are full, and of a member that isn't at work", () => {
    assert.deepStrictEqual(
      explain(input({
        unpublished: 2,
        publishingProblem: "no broker answers",
        partitions: [{ ...partition, paused: true, undone: 2_000 }]
      }, { member: { joined: false, ready: false, phase: "joining the group g", lastContact: noon } })),
      [
        "not at work: joining the group g",
        "2 outcomes wait to be published: no broker answers",
        "requests-3: no more is read, as 2,000 requests here have no outcome yet"
      ]
    )
    const hanging = input({ publishingProblem: "a transaction hangs" })
    assert.deepStrictEqual(explain(hanging), ["outcomes can't be published: a transaction hangs"])
    assert.strictEqual(statusReport(hanging).publishing_problem, "a transaction hangs")
  })

  it("counts the zones beyond a hundred", () => {
    const zones = new Map(
      Array.from({ length: 150 }, (_, index) => [`zone-${index}`, { ...busy, since: noon - index, waiting: 1 }])
    )
    const lines = explain(input({ zones }))
    assert.lengthOf(lines, 101)
    assert.match(lines[0] ?? "", /^zone zone-149: /)
    assert.strictEqual(lines[100], "50 more zones paused")
  })
})

describe("statusReport", () => {
  it("has the same as data", () => {
    const pause = {
      since: "2026-11-24T11:59:00.000Z",
      next_try: "2026-11-24T12:00:10.000Z",
      failures: 5,
      reason: "status 503"
    }
    const report = statusReport(input({
      waiting: 2,
      zones: new Map([["0a1b", { ...busy, waiting: 2 }]]),
      partitions: [{ ...partition, waiting: 2, wait: busy }]
    }))
    assert.deepInclude(report, {
      ready: true,
      phase: "at work",
      last_contact: "2026-11-24T12:00:00.000Z",
      waiting: 2,
      api: null,
      zones_paused: 1,
      publishing_problem: null
    })
    assert.deepStrictEqual(report.zones, [{ zone_id: "0a1b", waiting: 2, ...pause }])
    assert.deepStrictEqual(report.partitions, [{ topic: "requests", ...partition, waiting: 2, wait: pause }])
    assert.lengthOf(report.explanation, 2)
  })
})
