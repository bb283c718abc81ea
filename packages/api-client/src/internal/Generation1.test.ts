import { assert, describe, it } from "@effect/vitest"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Schema } from "effect"
import { isRecord } from "./ApiAnswer.ts"
import { parseOnlyEntryOf, pickMapping } from "./Generation1.ts"

const zone = ZoneId.make("zone")
const ip = (text: string) => OriginIp.make(text)

const wrapped = (value: unknown, modified_on: unknown = "2026-11-24T10:00:00Z") => ({
  id: "origin_public_cloud_region",
  editable: true,
  modified_on,
  value
})

const aws = { "origin-ip": "192.0.2.1", vendor: "aws", region: "us-east-1" }

describe("pickMapping", () => {
  it("finds the address in whatever spelling", () => {
    const result = wrapped([aws, { ...aws, "origin-ip": "2001:DB8:0:0::1", region: "eu-west-1" }])
    assert.strictEqual(pickMapping({ zone_id: zone, origin_ip: ip("2001:db8::1") })(result)?.region, "eu-west-1")
    assert.isUndefined(pickMapping({ zone_id: zone, origin_ip: ip("2001:db8::2") })(result))
  })
})

const envelope = (entries: ReadonlyArray<unknown>) =>
  JSON.stringify({ success: true, errors: [], messages: [], result: wrapped(entries) })
const read = (text: string) => parseOnlyEntryOf(Buffer.from(text), ip("192.0.2.1"))
const picked = (envelope: unknown) =>
  isRecord(envelope) ? pickMapping({ zone_id: zone, origin_ip: ip("192.0.2.1") })(envelope["result"]) : undefined

describe("parseOnlyEntryOf", () => {
  it("leaves one entry of a full zone's list", () => {
    const others = Array.from({ length: 3_499 }, (_, index) => ({
      ...aws,
      "origin-ip": `198.51.${index >> 8}.${index & 255}`
    }))
    const text = envelope([...others.slice(0, 2_000), aws, ...others.slice(2_000)])
    assert.deepStrictEqual(read(text), JSON.parse(envelope([aws])))
  })

  it("doesn't take an address for one that begins or ends with it", () => {
    const text = envelope([{ ...aws, "origin-ip": "192.0.2.11" }, { ...aws, "origin-ip": "1192.0.2.1" }])
    assert.isUndefined(read(text))
  })

  it("gives up where the text is laid out in another way", () => {
    for (
      const text of [
        "",
        "not JSON",
        "{\"value\":[",
        JSON.stringify({ success: true, result: wrapped([aws]) }, undefined, 2),
        envelope([{ ...aws, "origin-ip": "192.0.2.01" }]),
        `${envelope([])}"origin-ip":"192.0.2.1"`,
        JSON.stringify({ success: true, result: wrapped([]), messages: [aws] }),
        JSON.stringify({ success: true, messages: [{ value: [aws] }], result: wrapped([{ ...aws, region: "other" }]) })
      ]
    ) assert.isUndefined(read(text), text)
  })

  const Entries = Schema.Array(Schema.Struct({
    vendor: Schema.String,
    region: Schema.NonEmptyString,
    "origin-ip": Schema.Literals(["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
    modified_on: Schema.String
  }))
  const Nasty = Schema.Literals([
    "a",
    "]",
    "}",
    "{",
    "[",
    "\"",
    "\\",
    "\"value\":[",
    "\"origin-ip\":\"192.0.2.1\"",
    "é😀"
  ])

  it.effect.prop(
    "whatever the texts hold, it gives what parsing everything gives, or nothing",
    [Entries, Nasty, Nasty],
    ([entries, vendor, region]) =>
      Effect.sync(() => {
        const seen = new Set<string>()
        const distinct = entries.filter(({ "origin-ip": address }) => seen.size !== seen.add(address).size)
        const text = envelope(distinct.map((entry) => ({ ...entry, vendor: entry.vendor + vendor, region })))
        const shortened = read(text)
        if (shortened !== undefined) assert.deepStrictEqual(picked(shortened), picked(JSON.parse(text)))
      }),
    { arbitrary: { runs: 2_000 } }
  )
})
