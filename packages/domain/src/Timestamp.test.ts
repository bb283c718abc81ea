import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { formatRecordTimestamp, formatTimestamp, parseTimestamp, Timestamp } from "./Timestamp.ts"

const readable: ReadonlyArray<readonly [text: string, utc: string]> = [
  ["2026-11-24T09:30:00Z", "2026-11-24T09:30:00.000Z"],
  ["2026-11-24t09:30:00z", "2026-11-24T09:30:00.000Z"],
  ["2026-11-24T09:30:00.5Z", "2026-11-24T09:30:00.500Z"],
  ["2026-11-24T09:30:00.123456789Z", "2026-11-24T09:30:00.123Z"],
  ["2026-11-24T09:30:00.9999Z", "2026-11-24T09:30:00.999Z"],
  ["2026-11-24T09:30:00+05:30", "2026-11-24T04:00:00.000Z"],
  ["2026-11-24T09:30:00-23:59", "2026-11-25T09:29:00.000Z"],
  ["2026-11-24T00:00:00-00:00", "2026-11-24T00:00:00.000Z"],
  ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
  ["2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"],
  ["0000-02-29T00:00:00Z", "0000-02-29T00:00:00.000Z"],
  ["0099-12-31T23:59:59Z", "0099-12-31T23:59:59.000Z"],
  ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  // Leap seconds: RFC 3339's own examples, and two years before 1970.
  ["1990-12-31T23:59:60Z", "1991-01-01T00:00:00.000Z"],
  ["1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00.000Z"],
  ["1968-12-31T23:59:60.7Z", "1969-01-01T00:00:00.700Z"]
]

const unreadable: ReadonlyArray<string> = [
  "",
  "now",
  "1764000000000",
  "2026-11-24",
  "2026-11-24T09:30Z",
  "2026-11-24T09:30:00",
  "2026-11-24 09:30:00Z",
  "2026-11-24T09:30:00.Z",
  "2026-11-24T09:30:00,5Z",
  "2026-11-24T09:30:00Z ",
  "2026-11-24T09:30:00Z\n",
  " 2026-11-24T09:30:00Z",
  "2026-11-24T09:30:00+0530",
  "2026-11-24T09:30:00+05",
  "2026-1-24T09:30:00Z",
  "+002026-11-24T09:30:00Z",
  "26-11-24T09:30:00Z",
  "٢٠٢٦-11-24T09:30:00Z",
  // No such day, month, hour, minute, second or offset.
  "2026-02-29T00:00:00Z",
  "1900-02-29T00:00:00Z",
  "2026-02-30T00:00:00Z",
  "2026-04-31T00:00:00Z",
  "2026-11-00T00:00:00Z",
  "2026-00-01T00:00:00Z",
  "2026-13-01T00:00:00Z",
  "2026-11-24T24:00:00Z",
  "2026-11-24T09:60:00Z",
  "2026-11-24T09:30:61Z",
  "2026-11-24T09:30:60Z",
  "1968-11-24T09:30:60Z",
  "2026-11-24T23:59:60+01:00",
  "2026-11-24T09:30:00+24:00",
  "2026-11-24T09:30:00+23:60"
]

describe("parseTimestamp", () => {
  it.each(readable)("%s is %s", (text, utc) => {
    const milliseconds = parseTimestamp(text)
    assert.strictEqual(milliseconds, Date.parse(utc))
    assert.strictEqual(formatTimestamp(milliseconds ?? Number.NaN), utc)
  })

  it.each(unreadable.map((text) => ({ text, shown: JSON.stringify(text) })))("$shown is none", ({ text }) => {
    assert.isUndefined(parseTimestamp(text))
  })

  const first = Date.parse("0000-01-01T00:00:00Z")
  const last = Date.parse("9999-12-31T23:59:59.999Z")

  it.prop(
    "reads back what formatTimestamp writes",
    [Schema.Int.check(Schema.isBetween({ minimum: first, maximum: last }))],
    ([milliseconds]) => {
      assert.strictEqual(parseTimestamp(formatTimestamp(milliseconds)), milliseconds)
    },
    { arbitrary: { runs: 5000 } }
  )

  it("is what Timestamp goes by", () => {
    const isTimestamp = Schema.is(Timestamp)
    for (const [text] of readable) assert.isTrue(isTimestamp(text), text)
    for (const text of unreadable) assert.isFalse(isTimestamp(text), text)
  })
})

describe("formatRecordTimestamp", () => {
  it("is null where a record has no timestamp, or one that RFC 3339 cannot write", () => {
    assert.strictEqual(formatRecordTimestamp(0), "1970-01-01T00:00:00.000Z")
    assert.strictEqual(formatRecordTimestamp(Date.parse("9999-12-31T23:59:59.999Z")), "9999-12-31T23:59:59.999Z")
    for (const none of [-1, Date.parse("9999-12-31T23:59:59.999Z") + 1, 1.7e18, Number.NaN]) {
      assert.isNull(formatRecordTimestamp(none), String(none))
    }
  })
})
