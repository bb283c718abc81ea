import { assert, describe, it } from "@effect/vitest"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { readBatch, readEntries, readEntry } from "./MappingEntry.ts"

const zone = ZoneId.make("zone")
const ip = (text: string) => OriginIp.make(text)
const time = "2026-11-24T10:00:00Z"
const aws = { vendor: "aws", region: "us-east-1" }

const read = (entry: unknown, modifiedOn: unknown = time) => readEntry(entry, modifiedOn, zone, ip("192.0.2.1"))

describe("readEntry", () => {
  it("takes modified_on from the entry, else what stands in for it", () => {
    assert.strictEqual(read({ ...aws, modified_on: "2026-11-24T09:00:00Z" })?.modified_on, "2026-11-24T09:00:00Z")
    assert.strictEqual(read(aws)?.modified_on, time)
    assert.isNull(read(aws, null)?.modified_on)
  })

  it("reads clouds that we don't know, and keeps the address as it was asked for", () => {
    const entry = { "origin-ip": "192.0.2.99", vendor: "newcloud", region: "moon-1" }
    assert.deepStrictEqual(read(entry), {
      zone_id: zone,
      origin_ip: ip("192.0.2.1"),
      vendor: "newcloud",
      region: "moon-1",
      modified_on: time
    })
  })

  it.each([null, [], [aws], { ...aws, vendor: "" }, { ...aws, region: 7 }])(
    "finds none in %j",
    (entry) => assert.isUndefined(read(entry))
  )
})

describe("readEntries", () => {
  it.each(["origin-ip", "origin_ip"] as const)("reads a list in whatever spelling, by its %s", (field) => {
    const entries = [{ ...aws, [field]: "192.0.2.1" }, { ...aws, [field]: "2001:DB8:0:0::1" }]
    assert.deepStrictEqual(readEntries(entries, field, time, zone)?.map(({ origin_ip }) => origin_ip), [
      ip("192.0.2.1"),
      ip("2001:db8::1")
    ])
    assert.deepStrictEqual(readEntries([], field, null, zone), [])
  })

  it.each([null, aws, [{ ...aws, origin_ip: "192.0.2.1" }, null], [{ ...aws, origin_ip: "192.0.2" }], [aws]])(
    "is undefined for %j",
    (entries) => assert.isUndefined(readEntries(entries, "origin_ip", time, zone))
  )
})

describe("readBatch", () => {
  const asked = [ip("192.0.2.1"), ip("2001:db8::1")]
  const done = { ...aws, origin_ip: "192.0.2.1" }
  const failed = { origin_ip: "2001:DB8::1", error: "no" }
  const readAll = (outcome: unknown) => readBatch(outcome, "origin_ip", zone, asked)

  it("tells of each address what came of it", () => {
    assert.deepStrictEqual(
      readAll({ succeeded: [done], failed: [failed] }),
      new Map([
        [ip("192.0.2.1"), {
          _tag: "Applied",
          mapping: { zone_id: zone, origin_ip: ip("192.0.2.1"), ...aws, modified_on: null }
        }],
        [ip("2001:db8::1"), { _tag: "Failed", message: "no" }]
      ])
    )
  })

  it("does without what the API needn't say", () => {
    assert.deepStrictEqual(
      readAll({ succeeded: [{ origin_ip: "192.0.2.1" }], failed: [{ origin_ip: "2001:db8::1", error: { code: 1 } }] }),
      new Map([
        [ip("192.0.2.1"), { _tag: "Applied", mapping: null }],
        [ip("2001:db8::1"), { _tag: "Failed", message: "" }]
      ])
    )
  })

  it.each([
    null,
    [],
    { succeeded: [done] },
    { succeeded: [done], failed: [] },
    { succeeded: [done, { ...done, origin_ip: "192.0.2.7" }], failed: [] },
    { succeeded: [done, { ...done, origin_ip: "192.0.2.7" }], failed: [failed] },
    { succeeded: [done, aws], failed: [failed] },
    { succeeded: [done], failed: [null] }
  ])("is undefined for %j", (outcome) => assert.isUndefined(readAll(outcome)))
})
