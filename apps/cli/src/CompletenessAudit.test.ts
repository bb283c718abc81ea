import { assert, describe, it } from "@effect/vitest"
import { outcomeId } from "@origin-regions/domain/OutcomeId"
import { type AuditScope, CompletenessAudit, expectedId, type RequestPartition } from "./CompletenessAudit.ts"

const NOW = Date.UTC(2026, 10, 28)
const MINUTE = 60_000

const everything: RequestPartition = { beginning: 0, from: 0, to: 100, head: 100, done: [] }

const scope: AuditScope = {
  topic: "requests",
  source: "/origin-regions/consumer/group",
  delivery: "exactly-once",
  partitions: new Map([[0, everything], [1, everything]])
}

const onePartition = (partition: Partial<RequestPartition>): AuditScope => ({
  ...scope,
  partitions: new Map([[0, { ...everything, ...partition }]])
})

const requestAt = (offset: number, age = 0) => ({
  offset,
  timestamp: NOW - age,
  headers: [],
  value: Buffer.from(JSON.stringify({ specversion: "1.0", id: `id-${offset}`, source: "/s" }))
})

const outcomeOf = (offset: number, changed: Readonly<Record<string, unknown>> = {}) => {
  const { id, partition = 0, source = scope.source, topic = "requests", ...named } = changed
  const request = { id: `id-${offset}`, source: "/s", type: null, time: null, topic, partition, offset, ...named }
  return {
    offset: 1_000 + offset,
    value: Buffer.from(JSON.stringify({
      specversion: "1.0",
      id: id ?? outcomeId({ topic: "requests", partition: Number(partition), offset }, "/s", `id-${offset}`),
      source,
      data: { request, operation: null }
    }))
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

/** Two outcomes of each of two requests, of which one has another id. */
const runTwice = (delivery: AuditScope["delivery"]) => {
  const audit = new CompletenessAudit({ ...scope, delivery }, NOW)
  for (const each of [outcomeOf(0), outcomeOf(1), outcomeOf(1), outcomeOf(0, { id: "another" })]) {
    audit.outcome(7, each)
  }
  for (const offset of [0, 1]) audit.request(0, requestAt(offset))
  return audit.result()
}

describe("An audit of completeness", () => {
  it("finds nothing where every request has its outcome, in whichever partition", () => {
    const audit = new CompletenessAudit(scope, NOW)
    for (const partition of [0, 1]) {
      for (const offset of range(0, 9)) audit.outcome(offset % 3, outcomeOf(offset, { partition }))
    }
    for (const partition of [1, 0]) for (const offset of range(0, 9)) audit.request(partition, requestAt(offset))
    const { answered, extra, mismatched, missing, requests, unanswered, withoutRequest } = audit.result()
    assert.deepStrictEqual([requests, answered], [18, 18])
    assert.deepStrictEqual([missing, extra, mismatched, unanswered, withoutRequest], [0, 0, 0, 0, 0])
  })

  it("finds what is done without an outcome, run by run, and no offset that is no record", () => {
    const audit = new CompletenessAudit(scope, NOW)
    for (const offset of [0, 1, 5, 9]) audit.outcome(0, outcomeOf(offset))
    // 3 and 7 are markers, or compacted.
    for (const offset of [0, 1, 2, 4, 5, 6, 8, 9, 10]) audit.request(0, requestAt(offset))
    const { missing, missingRuns } = audit.result()
    assert.strictEqual(missing, 5)
    assert.deepStrictEqual(missingRuns, [
      { partition: 0, first: 2, last: 4, requests: 2 },
      { partition: 0, first: 6, last: 8, requests: 2 },
      { partition: 0, first: 10, last: 10, requests: 1 }
    ])
  })

  it("waits for what is not done, and holds what is done beyond the head to its outcome", () => {
    const audit = new CompletenessAudit(
      onePartition({ head: 2, done: [{ start: 4, end: 6 }, { start: 8, end: 9 }] }),
      NOW
    )
    for (const offset of [0, 1, 4, 6]) audit.outcome(0, outcomeOf(offset))
    for (const offset of range(0, 10)) audit.request(0, requestAt(offset, offset * MINUTE * 30))
    const { ages, answered, missingRuns, oldest, unanswered } = audit.result()
    assert.deepStrictEqual(missingRuns.map(({ first, last }) => [first, last]), [[5, 5], [8, 8]])
    // 6 has been answered since the progress was read.
    assert.deepStrictEqual([answered, unanswered], [4, 4])
    assert.deepStrictEqual(ages, { underMinute: 0, underHour: 0, underDay: 4, older: 0 })
    assert.deepStrictEqual(oldest, { partition: 0, offset: 9, ageMillis: 9 * 30 * MINUTE })
  })

  it("finds second outcomes, of which those with the same id are repeats in at-least-once", () => {
    const exact = runTwice("exactly-once")
    assert.deepStrictEqual([exact.extra, exact.repeated, exact.answered], [2, 0, 2])
    assert.deepStrictEqual(exact.extraOutcomes, [
      { request: { partition: 0, offset: 1 }, outcome: { partition: 7, offset: 1_001 }, isSame: true },
      { request: { partition: 0, offset: 0 }, outcome: { partition: 7, offset: 1_000 }, isSame: false }
    ])
    const lax = runTwice("at-least-once")
    assert.deepStrictEqual([lax.extra, lax.repeated], [1, 1])
  })

  it("finds outcomes whose id, or whose request, is not the record's", () => {
    const audit = new CompletenessAudit(scope, NOW)
    const wrong = [{ id: "9d1f5a0e-32c8-5d0e-9a65-6b1a7f8f2f4c" }, { source: scope.source, id: null }, { type: "any" }]
    audit.outcome(0, outcomeOf(0, wrong[0]))
    audit.outcome(0, outcomeOf(1))
    audit.outcome(0, {
      ...outcomeOf(2),
      value: Buffer.from(String(outcomeOf(2).value).replace("\"id-2\"", "\"id-3\""))
    })
    for (const offset of range(0, 3)) audit.request(0, requestAt(offset))
    const { mismatched, mismatchedRequests } = audit.result()
    assert.strictEqual(mismatched, 2)
    assert.deepStrictEqual(mismatchedRequests.map(({ offset }) => offset), [0, 2])
  })

  it("leaves outcomes of others aside, counts those whose requests are gone, and tells of what is no outcome", () => {
    const audit = new CompletenessAudit(onePartition({ beginning: 10, from: 20 }), NOW)
    for (
      const each of [
        outcomeOf(9),
        outcomeOf(15),
        outcomeOf(100),
        outcomeOf(30, { topic: "others" }),
        outcomeOf(30, { source: "/origin-regions/consumer/other" }),
        outcomeOf(30, { partition: 5 }),
        // Compaction has taken its request.
        outcomeOf(40)
      ]
    ) audit.outcome(0, each)
    audit.outcome(2, { offset: 5, value: Buffer.from("{}") })
    audit.outcome(2, { offset: 6, value: null })
    const { beside, extra, outcomes, unreadableRecords, withoutRequest } = audit.result()
    assert.deepStrictEqual([outcomes, extra, beside, withoutRequest], [1, 0, 5, 2])
    assert.deepStrictEqual(unreadableRecords, [{ partition: 2, offset: 5 }, { partition: 2, offset: 6 }])
  })

  it("counts all, and lists the first hundred", () => {
    const audit = new CompletenessAudit(onePartition({ to: 1_000_000, head: 1_000_000 }), NOW)
    for (const offset of range(0, 2_000)) if (offset % 2 === 0) audit.outcome(0, outcomeOf(offset))
    for (const offset of range(0, 2_000)) audit.request(0, requestAt(offset))
    const { answered, missing, missingRuns } = audit.result()
    assert.deepStrictEqual([answered, missing, missingRuns.length], [1_000, 1_000, 100])
  })

  it("expects the ids that the contract says", () => {
    for (
      const [offset, source, id] of [[0, null, null], [2 ** 52, "/ü\"", "id"], [
        7,
        "s".repeat(1024),
        "\u0000".repeat(1024)
      ]] as const
    ) {
      assert.strictEqual(
        expectedId("t", 3, offset, source, id),
        outcomeId({ topic: "t", partition: 3, offset }, source, id)
      )
    }
  })
})
