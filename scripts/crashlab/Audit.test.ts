import { assert, describe, it } from "@effect/vitest"
import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import { audit, type Records, type Verdict } from "./Audit.ts"
import { honestRun, request, saying, unreadable } from "./fixtures/HonestRun.ts"

const exactlyOnce = { delivery: "exactly-once", generation: 1 } as const

/** The counts that should be 0 and are not. */
const broken = ({ duplicate, false: wrong, lost, outOfOrder, wrongState }: Verdict) =>
  Object.fromEntries(
    Object.entries({ lost, duplicate, false: wrong, outOfOrder, wrongState }).filter(([, count]) => count > 0)
  )

const found = (records: Records, terms: Parameters<typeof audit>[1] = exactlyOnce) => broken(audit(records, terms))

/** With one item replaced, or, where the new one is left out, taken away. */
const withItem = <A>(items: ReadonlyArray<A>, index: number, ...item: ReadonlyArray<A>): ReadonlyArray<A> => [
  ...items.slice(0, index),
  ...item,
  ...items.slice(index + 1)
]

const at = <A>(items: ReadonlyArray<A>, index: number): A => {
  const item = items[index]
  if (item === undefined) throw new Error(`there is no item ${index}`)
  return item
}

/** An outcome of an honest run, told differently. */
const retold = (run: ReturnType<typeof honestRun>, index: number, settlement: Settlement): Records => ({
  ...run,
  outcomes: withItem(run.outcomes, index, saying(at(run.outcomes, index), at(run.requests, index), settlement))
})

const modified = (run: ReturnType<typeof honestRun>, sequence: number) => at(run.changes, sequence - 1).after

const everything = () =>
  honestRun(
    request("create"),
    request("create", "192.0.2.1", "eu-west-1"),
    request("upsert", "192.0.2.1", "eu-west-1"),
    unreadable,
    request("upsert", "192.0.2.1", "eu-west-1"),
    request("upsert", "192.0.2.2"),
    request("delete"),
    request("delete"),
    request("create", "192.0.2.1", "moon-east1"),
    request("create"),
    request("create", "192.0.2.1", "moon-east1")
  )

describe("The audit", () => {
  it("finds nothing in an honest run", () => {
    assert.deepStrictEqual(found(everything()), {})
    const { outcomes, requests } = audit(everything(), exactlyOnce)
    assert.deepStrictEqual([requests, outcomes], [11, 11])
  })

  it("knows which of two problems each generation tells of a create", () => {
    assert.deepStrictEqual(found(everything(), { delivery: "exactly-once", generation: 2 }), { false: 1 })
    const run = honestRun(request("create"), request("create", "192.0.2.1", "moon-east1"))
    const existing = modified(run, 1)
    const told = retold(run, 1, {
      _tag: "Rejected",
      code: 1145,
      message: "It exists.",
      conflict: { existing, matches: false }
    })
    assert.deepStrictEqual(found(told, { delivery: "exactly-once", generation: 2 }), {})
    assert.deepStrictEqual(found(told), { false: 1 })
  })

  it("misses an outcome", () => {
    const run = everything()
    for (const index of run.outcomes.keys()) {
      assert.deepStrictEqual(found({ ...run, outcomes: withItem(run.outcomes, index) }), { lost: 1 }, String(index))
    }
  })

  it("misses a dead letter", () => {
    assert.deepStrictEqual(found({ ...everything(), deadLetters: [] }), { lost: 1 })
  })

  it("counts an outcome that is there twice, in at-least-once only with another id", () => {
    const run = everything()
    const outcomes = [...run.outcomes, at(run.outcomes, 10)]
    assert.deepStrictEqual(found({ ...run, outcomes }), { duplicate: 1 })
    const atLeastOnce = { ...exactlyOnce, delivery: "at-least-once" } as const
    assert.deepStrictEqual(found({ ...run, outcomes }, atLeastOnce), {})
    assert.strictEqual(audit({ ...run, outcomes }, atLeastOnce).repeated, 1)
    const others = [...run.outcomes, { ...at(run.outcomes, 10), id: "another" }]
    assert.deepStrictEqual(found({ ...run, outcomes: others }, atLeastOnce), { duplicate: 1 })
  })

  it("counts a dead letter that is there twice", () => {
    const run = everything()
    assert.deepStrictEqual(found({ ...run, deadLetters: [...run.deadLetters, ...run.deadLetters] }), { duplicate: 1 })
  })

  it("sees a dead letter that is not its record, and one that should not be", () => {
    const run = everything()
    const letter = at(run.deadLetters, 0)
    const changed = { ...letter, value: new TextEncoder().encode("something else") }
    assert.deepStrictEqual(found({ ...run, deadLetters: [changed] }), { false: 1 })
    const headers = letter.headers.map((header) =>
      header.name === "origin-regions-offset" ? { ...header, value: new TextEncoder().encode("0") } : header
    )
    assert.deepStrictEqual(found({ ...run, deadLetters: [letter, { ...letter, headers }] }), { false: 1 })
  })

  it("sees an outcome of what is no request", () => {
    const run = everything()
    const stranger = at(run.outcomes, 3)
    const outcomes = [
      ...run.outcomes,
      {
        ...stranger,
        data: { ...stranger.data, request: { ...stranger.data.request, offset: 99 } }
      } as typeof stranger
    ]
    assert.deepStrictEqual(found({ ...run, outcomes }), { false: 1 })
  })

  it("sees a 1145 for what the request itself has made", () => {
    const run = honestRun(request("create"))
    const existing = modified(run, 1)
    const told = retold(run, 0, {
      _tag: "Rejected",
      code: 1145,
      message: "It exists.",
      conflict: { existing, matches: true }
    })
    // The request, and the change that nobody owns up to.
    assert.deepStrictEqual(found(told), { false: 2 })
    assert.match(audit(told, exactlyOnce).findings.join("\n"), /1145, and nothing was there before it/)
  })

  it("sees a 1145 that tells of another mapping than the one that is there", () => {
    const run = honestRun(request("create"), request("create"))
    const existing = { vendor: "aws", region: "us-east-1", modified_on: "2001-01-01T00:00:00.000Z" }
    const told = retold(run, 1, {
      _tag: "Rejected",
      code: 1145,
      message: "It exists.",
      conflict: { existing, matches: true }
    })
    assert.deepStrictEqual(found(told), { false: 1 })
  })

  it("sees a request that was done twice, or told as if it had been there before", () => {
    const create = request("create")
    const upsert = request("upsert")
    const run = honestRun(create, create, upsert, request("upsert", "192.0.2.1", "eu-west-1"), upsert)
    assert.deepStrictEqual(found(run), {})
    assert.strictEqual(audit(run, exactlyOnce).replayed, 2)
    const conflict = { existing: at(run.changes, 0).after, matches: true }
    const twice = retold(run, 1, { _tag: "Rejected", code: 1145, message: "It exists.", conflict })
    assert.deepStrictEqual(found(twice), { false: 1 })
    const { data } = at(run.outcomes, 0)
    const mapping = "mapping" in data ? data.mapping : null
    const created = { _tag: "Succeeded", result: "created", mapping, recovered: false } as const
    assert.deepStrictEqual(found(retold(run, 0, { ...created, replayed: true })), { false: 1 })
    const undone = {
      ...at(run.changes, 2),
      before: at(run.changes, 2).after,
      after: at(run.changes, 1).after,
      sequence: 9
    }
    assert.deepStrictEqual(found({ ...run, changes: [...run.changes, undone] }), { false: 1 })
  })

  it("sees a created of what somebody else has made", () => {
    const run = honestRun(request("create"), request("create"))
    const mapping = "mapping" in at(run.outcomes, 0).data ? at(run.outcomes, 0).data : undefined
    const told = retold(run, 1, {
      _tag: "Succeeded",
      result: "created",
      mapping: mapping !== undefined && "mapping" in mapping ? mapping.mapping : null,
      recovered: true
    })
    assert.deepStrictEqual(found(told), { false: 1 })
  })

  it("sees a created, an upserted and a deleted that the API never did", () => {
    const run = honestRun(
      request("create", "192.0.2.1"),
      request("upsert", "192.0.2.2"),
      request("upsert", "192.0.2.3"),
      request("delete", "192.0.2.3")
    )
    for (const index of [0, 1, 3]) {
      assert.deepStrictEqual(found({ ...run, changes: withItem(run.changes, index) }), { false: 1 }, String(index))
    }
  })

  it("sees a created where the API has replaced something", () => {
    const run = honestRun(request("create"))
    const change = at(run.changes, 0)
    const changes = [{ ...change, before: { vendor: "aws", region: "eu-west-1", modified_on: "" } }]
    assert.deepStrictEqual(found({ ...run, changes }), { false: 1 })
  })

  it("sees a change that no outcome tells of, but for attempts at an upsert", () => {
    const run = everything()
    const change = at(run.changes, 2)
    const again = { ...change, sequence: 100 }
    assert.deepStrictEqual(found({ ...run, changes: [...run.changes, again] }), { false: 1 })
    const before = { ...change, after: modified(honestRun(request("upsert", "192.0.2.1", "eu-west-1")), 1) }
    assert.deepStrictEqual(found({ ...run, changes: withItem(run.changes, 2, before, change) }), {})
    const created = { ...at(run.changes, 0), after: modified(honestRun(request("create")), 1) }
    const twice = withItem(run.changes, 0, { ...created, before: null }, at(run.changes, 0))
    assert.deepStrictEqual(found({ ...run, changes: twice }), { false: 1 })
  })

  it("takes what a batch has done for any change that fits, also after further attempts", () => {
    const run = honestRun(
      request("upsert", "192.0.2.1"),
      request("create", "192.0.2.1"),
      request("delete", "192.0.2.1"),
      request("upsert", "192.0.2.2")
    )
    const untimed = (index: number, result: "upserted" | "deleted"): Records => {
      const { data } = at(run.outcomes, index)
      const mapping = "mapping" in data ? data.mapping : null
      if (mapping === null) throw new Error("it tells of no mapping")
      return retold(run, index, {
        _tag: "Succeeded",
        result,
        mapping: { ...mapping, modified_on: null },
        recovered: false
      })
    }
    assert.deepStrictEqual(found(untimed(2, "deleted")), {})
    const upserted = untimed(0, "upserted")
    assert.deepStrictEqual(found(upserted), {})
    assert.deepStrictEqual(found({ ...upserted, changes: withItem(run.changes, 0) }), { false: 2 })
    const earlier = { ...at(run.changes, 0), after: modified(honestRun(request("upsert", "192.0.2.1")), 1) }
    assert.deepStrictEqual(found({ ...upserted, changes: withItem(run.changes, 0, earlier, at(run.changes, 0)) }), {})
    const recovered = { _tag: "Succeeded", result: "deleted", mapping: null, recovered: true } as const
    const gone = {
      ...run,
      outcomes: withItem(retold(run, 2, recovered).outcomes, 0, at(upserted.outcomes, 0)),
      changes: withItem(run.changes, 0, earlier, at(run.changes, 0))
    }
    assert.deepStrictEqual(found(gone), {})
    assert.deepStrictEqual(found({ ...run, changes: [...run.changes, at(run.changes, 2)] }), { false: 1 })
  })

  it("sees a deleted whose mapping is still there, and lets one pass that found nothing after a crash", () => {
    const recovered = { _tag: "Succeeded", result: "deleted", mapping: null, recovered: true } as const
    const absent = honestRun(request("delete"))
    assert.deepStrictEqual(found(retold(absent, 0, recovered)), {})
    assert.deepStrictEqual(found(retold(absent, 0, { ...recovered, recovered: false })), { false: 1 })
    const present = honestRun(request("create"), request("delete"))
    assert.deepStrictEqual(found(retold(present, 1, recovered)), {})
    assert.deepStrictEqual(found({ ...retold(present, 1, recovered), changes: withItem(present.changes, 1) }), {
      false: 1
    })
  })

  it("sees an unchanged where there was something", () => {
    const run = honestRun(request("create"), request("delete"))
    const told = retold(run, 1, { _tag: "Succeeded", result: "unchanged", mapping: null, recovered: false })
    // The request, and the change that nobody owns up to.
    assert.deepStrictEqual(found(told), { false: 2 })
  })

  it("sees outcomes of an address in another order, but for repeats", () => {
    const run = everything()
    const [first, second, ...others] = run.outcomes
    if (first === undefined || second === undefined) throw new Error("there are eleven")
    assert.deepStrictEqual(found({ ...run, outcomes: [second, first, ...others] }), { outOfOrder: 1 })
    const atLeastOnce = { ...exactlyOnce, delivery: "at-least-once" } as const
    assert.deepStrictEqual(found({ ...run, outcomes: [...run.outcomes, first] }, atLeastOnce), {})
  })

  it("sees a mapping that is not the one that should be there", () => {
    const run = everything()
    const [key] = [...run.mappings.keys()]
    if (key === undefined) throw new Error("there are two")
    const missing = new Map(run.mappings)
    missing.delete(key)
    assert.deepStrictEqual(found({ ...run, mappings: missing }), { wrongState: 1 })
    assert.deepStrictEqual(found({ ...run, mappings: new Map(run.mappings).set(key, "aws moon-east1") }), {
      wrongState: 1
    })
    assert.deepStrictEqual(found({ ...run, mappings: new Map(run.mappings).set("zone/192.0.2.9", "aws us-east-1") }), {
      wrongState: 1
    })
  })
})
