import { assert, describe, it } from "@effect/vitest"
import {
  type MappingOutcome,
  mappingOutcome,
  rejectedByRule,
  type Settlement
} from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { CliOutput } from "effect/cli"
import { describeOutcome, describeRequest, kindOf, outcomeRow, shownTime, tableHead, tableRow } from "./OutcomeTable.ts"
import { requestText } from "./RequestText.ts"

const mapping = {
  zone_id: "demo-shop",
  origin_ip: "2001:db8::1",
  vendor: "aws",
  region: "us-east-1",
  modified_on: null
}

const outcomeOf = (
  settlement: Settlement,
  ip: string | undefined = "2001:0db8::1",
  id = "request-1"
): MappingOutcome => {
  const text = requestText({
    operation: "create",
    id,
    source: "/test",
    time: "2026-11-24T12:00:00Z",
    zone: "demo-shop",
    ip,
    vendor: "aws",
    region: "us-east-1",
    expires: undefined
  })
  return mappingOutcome({
    groupId: "group",
    record: { topic: "requests", partition: 3, offset: 14, timestamp: 0 },
    request: readRequest({ value: new TextEncoder().encode(text), headers: [] }),
    settlement,
    attempts: 2,
    settledAt: 0
  })
}

const succeeded = (
  result: "created" | "upserted" | "deleted" | "unchanged",
  there = true,
  recovered = false
): Settlement => ({
  _tag: "Succeeded",
  result,
  mapping: there ? (mapping as Extract<Settlement, { readonly _tag: "Succeeded" }>["mapping"]) : null,
  recovered
})

const conflict = (
  existing: { readonly vendor: string; readonly region: string } | null,
  matches: boolean
): Settlement => ({
  ...rejectedByRule("already_exists"),
  ...(existing === null
    ? { conflict: { existing, matches } }
    : { conflict: { existing: { ...existing, modified_on: null }, matches } })
})

describe("describeOutcome", () => {
  it.each<readonly [string, Settlement]>([
    ["2001:db8::1 is aws us-east-1", succeeded("created")],
    ["2001:db8::1 is aws us-east-1", succeeded("upserted")],
    ["2001:db8::1 is aws us-east-1; an earlier attempt had done it", succeeded("created", true, true)],
    ["2001:db8::1 was aws us-east-1", succeeded("deleted")],
    ["2001:db8::1 has no mapping now; an earlier attempt had done it", succeeded("deleted", false, true)],
    ["2001:db8::1 had no mapping", succeeded("unchanged", false)],
    ["2001:db8::1 has this very mapping already", conflict({ vendor: "aws", region: "us-east-1" }, true)],
    ["2001:db8::1 is gcp us-east1 already", conflict({ vendor: "gcp", region: "us-east1" }, false)],
    ["2001:db8::1 had a mapping, which has gone since", conflict(null, false)],
    ["no valid IP address", rejectedByRule("invalid_ip")],
    ["no such vendor, or no such region of it", rejectedByRule("unsupported_region")],
    ["the zone is full", rejectedByRule("limit_reached")],
    ["the API does not know the zone", rejectedByRule("unknown_zone")],
    ["verbatim", { _tag: "Rejected", code: 4711, message: "verbatim" }],
    ["one", { _tag: "Malformed", issues: [{ path: "id", message: "one" }] }],
    ["one, and 2 more", {
      _tag: "Malformed",
      issues: ["one", "two", "three"].map((message) => ({ path: "", message }))
    }],
    ["too late: its expirytime had passed", { _tag: "Failed", name: "expired", message: "" }],
    ["given up after 2 attempts: the API is down", {
      _tag: "Failed",
      name: "gave_up",
      message: "the API is down"
    }],
    ["2001:db8::1 had no mapping; as it was told when the same request came before", {
      _tag: "Succeeded",
      result: "unchanged",
      mapping: null,
      recovered: false,
      replayed: true
    }]
  ])("says: %s", (meaning, settlement) => assert.strictEqual(describeOutcome(outcomeOf(settlement)), meaning))

  it("tells the three kinds apart", () => {
    const kinds = [
      succeeded("created"),
      rejectedByRule("invalid_ip"),
      {
        _tag: "Failed",
        name: "expired",
        message: ""
      } as const
    ].map((settlement) => kindOf(outcomeOf(settlement)))
    assert.deepStrictEqual(kinds, ["succeeded", "rejected", "failed"])
  })
})

describe("outcomeRow", () => {
  it("shows what the outcome alone tells", () => {
    assert.deepStrictEqual(outcomeRow(outcomeOf(succeeded("created"))), {
      mark: "",
      time: "",
      request: "request-1",
      asked: "create demo-shop/2001:db8::1",
      code: "created",
      meaning: "2001:db8::1 is aws us-east-1",
      kind: "succeeded"
    })
  })

  it("shows the record's place where the address is unknown", () => {
    const row = outcomeRow(outcomeOf(rejectedByRule("invalid_ip"), "x", ""))
    assert.deepStrictEqual([row.request, row.asked], ["(no id)", "create requests 3/14"])
  })
})

describe("shownTime", () => {
  it.each([
    ["2026-11-24T12:00:00.123Z", "12:00:00Z"],
    ["2026-11-24T13:00:00+14:00", "2026-11-23T23:00:00Z"],
    ["2025-11-24T12:00:00Z", "2025-11-24T12:00:00Z"]
  ])("of %s is %s on 24 November 2026", (time, shown) => {
    const outcome = { ...outcomeOf(succeeded("created")), time }
    assert.strictEqual(shownTime(outcome, Date.UTC(2026, 10, 24, 23, 59, 59, 999)), shown)
  })
})

describe("describeRequest", () => {
  it("leaves gaps visible", () => {
    assert.strictEqual(
      describeRequest({ operation: "create", address: "z/1", mapping: { vendor: "aws", region: "r" } }),
      "create z/1 as aws r"
    )
    assert.strictEqual(describeRequest({ operation: null, address: undefined, mapping: undefined }), "(unknown) ?")
  })
})

const letters = (text: string) => [...text.replaceAll(/\s/g, "")].sort().join("")

describe("the table", () => {
  const row = {
    mark: "✓",
    time: "2026-11-24T12:00:00Z",
    request: "3a8da296-9575-40dd-a11b-e2eb9b7862fe",
    asked: "create demo-shop/2001:0db8:0000:0000:0000:0000:0000:0001 as aws us-east-1",
    code: "1145",
    meaning: "2001:db8::1 has this very mapping already",
    kind: "rejected"
  } as const

  it.each([40, 60, 80, 100, 120, 160, 400])("loses nothing and stays within %i columns", (width) => {
    for (const timed of [false, true]) {
      const style = { width, requestWidth: 36, timed, colors: false }
      const text = tableRow(row, style)
      for (const line of [...text.split("\n"), ...tableHead(style).split("\n")]) {
        assert.isAtMost(line.length, Math.max(60, width))
      }
      assert.strictEqual(
        letters(text),
        letters(`${row.mark}${timed ? row.time : ""}${row.request}${row.asked}${row.code}:${row.meaning}`)
      )
    }
  })

  it("breaks no id where there are 120 columns, and a time only behind its day", () => {
    const [first = "", second = ""] = tableRow(row, { width: 120, requestWidth: 36, timed: true, colors: false })
      .split("\n")
    assert.match(first, /^✓ {2}2026-11-24 {2}3a8da296-9575-40dd-a11b-e2eb9b7862fe {2}create /)
    assert.match(second, /^ {3}T12:00:00Z {2}/)
  })

  it("puts the columns below their titles", () => {
    const style = { width: 120, requestWidth: 10, timed: true, colors: false }
    const [head = ""] = tableHead(style).split("\n")
    const [line = ""] = tableRow({ ...row, time: "12:00:00Z", request: "id", asked: "asked" }, style).split("\n")
    assert.deepStrictEqual(
      [line.indexOf("12:00"), line.indexOf("id"), line.indexOf("asked"), line.indexOf("1145")],
      [head.indexOf("time"), head.indexOf("request"), head.indexOf("asked for"), head.indexOf("outcome")]
    )
  })

  it("keeps the columns with wide and combined characters", () => {
    const style = { width: 80, requestWidth: 12, timed: false, colors: false }
    const cells = { ...row, request: "日本語の要求", asked: "e\u0301".repeat(60), meaning: "meaning ".repeat(9) }
    const lines = tableRow(cells, style).split("\n")
    const starts = lines.slice(0, 2).map((line) => CliOutput.displayWidth(line.slice(0, line.search(/1145|meaning/))))
    assert.strictEqual(starts[0], starts[1])
    for (const line of lines) assert.isAtMost(CliOutput.displayWidth(line), 80)
    assert.strictEqual(letters(lines.join("")).match(/\u0301/g)?.length, 60)
  })

  it("colours the code alone, also where the id looks like it", () => {
    const line = tableRow({ ...row, request: "1145", asked: "1145" }, {
      width: 120,
      requestWidth: 10,
      timed: false,
      colors: true
    })
    assert.include(line, "\u001B[33m1145\u001B[39m: 2001")
    assert.strictEqual(line.split("\u001B[33m").length, 2)
  })

  it("lets no control character of an emitter through", () => {
    const line = tableRow({ ...row, request: "\u001B[2J\u0007\u009B1\n", meaning: "a\tb" }, {
      width: 120,
      requestWidth: 10,
      timed: false,
      colors: false
    })
    assert.notMatch(line.replaceAll("\n", ""), /\p{Cc}/u)
  })
})
