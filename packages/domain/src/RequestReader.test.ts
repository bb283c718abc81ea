import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { mappingOutcome, outcomeRecord, readOutcome, rejectedByRule, type Settlement } from "./MappingOutcome.ts"
import { requestTypes } from "./Operation.ts"
import { type MayChange, type ReadRequest, readRequest, type Verdict } from "./RequestReader.ts"
import type { RecordHeader, SourceRecord } from "./SourceRecord.ts"

const encoder = new TextEncoder()

const data = { zone_id: "z", ip: "2001:DB8::1", vendor: "aws", region: "us-east-1" }

const envelope = (changes: object = {}): object => ({
  specversion: "1.0",
  id: "1",
  source: "/s",
  type: requestTypes.create,
  data,
  ...changes
})

const read = (event: object): ReadRequest => readRequest({ value: encoder.encode(JSON.stringify(event)), headers: [] })

const verdictOn = (event: object): Verdict => read(event).verdict

const messagesOf = ({ verdict }: ReadRequest): ReadonlyArray<string> =>
  verdict._tag === "Malformed" ? verdict.issues.map(({ message, path }) => `${path}: ${message}`) : [verdict._tag]

const issuesOf = (event: object): ReadonlyArray<string> => messagesOf(read(event))

const zoneMessage = "data.zone_id: zone_id must be 1 to 32 characters of A-Z a-z 0-9 _ -"
const attributeText = "a non-empty string of at most 1024 characters, none of them a control character"
const typeMessage = `type: type must be one of ${Object.values(requestTypes).join(", ")}`

const mayChange: MayChange = (source, zoneId) => source === "/s" && zoneId === "z"

const refused = (zone: string, source: string) =>
  `data.zone_id: zone ${zone} may not be changed by source ${source}: no allow rule of the consumer says that it may`

const readIn = (mode: "bare" | "structured" | "binary", event: Record<string, unknown>) => {
  const { data, ...attributes } = event
  const headers = mode === "binary"
    ? Object.entries(attributes).map(([name, text]) => ({
      name: `ce_${name}`,
      value: encoder.encode(String(text))
    }))
    : mode === "bare"
    ? []
    : [{ name: "content-type", value: encoder.encode("application/cloudevents+json") }]
  return readRequest(
    { value: encoder.encode(JSON.stringify(mode === "binary" ? data : event)), headers },
    mayChange
  )
}

const verdictOnLength = (length: number) => verdictOn(envelope({ data: { ...data, region: "r".repeat(length) } }))

describe("readRequest", () => {
  it.each(["create", "upsert"] as const)("reads a request to %s", (operation) => {
    const request = read(envelope({ type: requestTypes[operation] }))
    assert.deepStrictEqual<unknown>(request.verdict, {
      _tag: "Apply",
      change: { operation, zoneId: "z", originIp: "2001:db8::1", vendor: "aws", region: "us-east-1" }
    })
    assert.strictEqual(request.operation, operation)
    assert.strictEqual(request.zoneId, "z")
    assert.strictEqual(request.originIp, "2001:db8::1")
    assert.strictEqual(request.event.id, "1")
  })

  it("reads a request to delete, whatever it says of vendor and region", () => {
    for (const more of [{}, { vendor: "acme", region: 7 }]) {
      assert.deepStrictEqual<unknown>(
        verdictOn(envelope({ type: requestTypes.delete, data: { zone_id: "z", ip: "192.0.2.1", ...more } })),
        { _tag: "Apply", change: { operation: "delete", zoneId: "z", originIp: "192.0.2.1" } }
      )
    }
  })

  it("reads the binary mode", () => {
    const headers = Object.entries({ specversion: "1.0", id: "1", source: "/s", type: requestTypes.create })
      .map(([name, text]) => ({ name: `ce_${name}`, value: encoder.encode(text) }))
    const request = readRequest({ value: encoder.encode(JSON.stringify(data)), headers })
    assert.deepStrictEqual(request, read(envelope()))
  })

  it("ignores data fields that it does not know", () => {
    assert.deepStrictEqual(verdictOn(envelope({ data: { ...data, note: "x", originIp: 1 } })), verdictOn(envelope()))
  })

  describe("is malformed", () => {
    it.each([
      "",
      "create",
      "dev.origin-regions.mapping.create",
      "dev.origin-regions.mapping.create.v2",
      "dev.origin-regions.mapping.succeeded.v1",
      "DEV.ORIGIN-REGIONS.MAPPING.CREATE.V1",
      "__proto__"
    ])("with the type \"%s\"", (type) => {
      assert.deepStrictEqual(
        issuesOf(envelope({ type })),
        [type === "" ? `type: type must be ${attributeText}` : typeMessage]
      )
      assert.isNull(read(envelope({ type })).operation)
    })

    it.each([undefined, null, "", "a".repeat(33), "a b", "zone/1", "zoné", "z\n", 7, ["z"], {}])(
      "with the zone_id %j",
      (zone_id) => {
        const request = read(envelope({ data: { ...data, zone_id } }))
        assert.deepStrictEqual(issuesOf(envelope({ data: { ...data, zone_id } })), [zoneMessage])
        assert.isNull(request.zoneId)
        assert.strictEqual(request.originIp, "2001:db8::1")
      }
    )

    it.each(["a", "A-z_09", "a".repeat(32)])("but not with the zone_id %s", (zone_id) => {
      assert.strictEqual(verdictOn(envelope({ data: { ...data, zone_id } }))._tag, "Apply")
    })

    it.each([undefined, null, "text", 7, [data]])("with the data %j", (value) => {
      assert.deepStrictEqual(issuesOf(envelope({ data: value })), ["data: data must be a JSON object"])
    })

    it("with every problem listed, in order", () => {
      assert.deepStrictEqual(issuesOf({ expirytime: "x", type: "t", data: { zone_id: "" } }), [
        "specversion: specversion must be \"1.0\"",
        `id: id must be ${attributeText}`,
        `source: source must be ${attributeText}`,
        "expirytime: expirytime must be an RFC 3339 timestamp",
        typeMessage,
        zoneMessage
      ])
    })

    it("with one problem only where the data could not be read", () => {
      assert.deepStrictEqual(issuesOf(envelope({ datacontenttype: "text/plain" })), [
        "datacontenttype: datacontenttype must be application/json"
      ])
    })

    it("by fields of a prototype", () => {
      const json = JSON.stringify(envelope({ data: { proto: data } })).replace("\"proto\"", "\"__proto__\"")
      const { verdict } = readRequest({ value: encoder.encode(json), headers: [] })
      assert.strictEqual(verdict._tag, "Malformed")
    })
  })

  describe("goes by the first of malformed, 1146, 1157", () => {
    const noAddress = { ip: "localhost" }
    const noVendor = { vendor: "acme" }

    it.each([
      [{ zone_id: "", ...noAddress, ...noVendor }, "Malformed"],
      [{ ...noAddress, ...noVendor }, "InvalidIp"],
      [{ ...noVendor }, "UnsupportedRegion"],
      [{}, "Apply"]
    ])("%j: %s", (changes, tag) => {
      assert.strictEqual(verdictOn(envelope({ data: { ...data, ...changes } }))._tag, tag)
    })
  })

  it.each([undefined, null, "", "localhost", "192.0.2.1/32", "192.0.2.01", " 192.0.2.1", 7, ["192.0.2.1"], {}])(
    "calls the ip %j invalid",
    (ip) => {
      for (const type of Object.values(requestTypes)) {
        const request = read(envelope({ type, data: { ...data, ip } }))
        assert.deepStrictEqual(request.verdict, { _tag: "InvalidIp" })
        assert.isNull(request.originIp)
      }
    }
  )

  it.each([undefined, null, "", "AWS", "acme", 7, ["aws"]])("calls the vendor %j unsupported", (vendor) => {
    assert.deepStrictEqual(verdictOn(envelope({ data: { ...data, vendor } })), { _tag: "UnsupportedRegion" })
  })

  it.each([undefined, null, "", 7, ["us-east-1"]])("calls the region %j unsupported", (region) => {
    assert.deepStrictEqual(verdictOn(envelope({ data: { ...data, region } })), { _tag: "UnsupportedRegion" })
  })

  it("calls a region unsupported that is longer than a name of one could be", () => {
    assert.strictEqual(verdictOnLength(255)._tag, "Apply")
    assert.strictEqual(verdictOnLength(256)._tag, "UnsupportedRegion")
  })

  describe("where not every source may change every zone", () => {
    it.each(["bare", "structured", "binary"] as const)(
      "is malformed by a zone that the source may not change, %s",
      (mode) => {
        assert.strictEqual(readIn(mode, { ...envelope() }).verdict._tag, "Apply")
        for (const [source, zone_id] of [["/s", "other"], ["/else", "z"], ["/S", "z"], ["/s/", "z"]] as const) {
          const request = readIn(mode, { ...envelope({ source, data: { ...data, zone_id } }) })
          assert.deepStrictEqual(messagesOf(request), [refused(zone_id, source)])
          // Known all the same, so that the outcome says which address it is about.
          assert.deepStrictEqual<unknown>([request.zoneId, request.originIp], [zone_id, "2001:db8::1"])
        }
      }
    )

    it("says so with every other problem, in its place", () => {
      const event = { ...envelope({ specversion: "2", type: "t", data: { ...data, zone_id: "other", ip: 7 } }) }
      assert.deepStrictEqual(messagesOf(readIn("bare", event)), [
        "specversion: specversion must be \"1.0\"",
        typeMessage,
        refused("other", "/s")
      ])
    })

    it("does not ask about what could not be read", () => {
      for (const changes of [{ source: "" }, { data: { ...data, zone_id: "" } }]) {
        const messages = messagesOf(readIn("bare", { ...envelope(changes) }))
        assert.lengthOf(messages, 1)
        assert.notInclude(messages[0], "may not be changed")
      }
    })
  })

  it("leaves it to the API which regions there are", () => {
    assert.strictEqual(verdictOn(envelope({ data: { ...data, region: "US-EAST-1" } }))._tag, "Apply")
  })
})

const location = { topic: "origin-regions.requests", partition: 3, offset: 41, timestamp: 1_764_000_000_000 }

const settlementOf = (verdict: Verdict): Settlement => {
  switch (verdict._tag) {
    case "Malformed":
      return verdict
    case "InvalidIp":
      return rejectedByRule("invalid_ip")
    case "UnsupportedRegion":
      return rejectedByRule("unsupported_region")
    case "Apply":
      return { _tag: "Failed", name: "gave_up", message: "The API kept answering 503.", lastStatus: 503 }
  }
}

const bytesOf = (part: Uint8Array | string | null) =>
  typeof part === "string" ? encoder.encode(part).length : part?.length ?? 0

/** Whatever the record: there is a verdict, and an outcome that can be read back and passes through any CloudEvents intermediary. */
const hasOutcome = (record: Pick<SourceRecord, "value" | "headers">, mayChange?: MayChange): Verdict => {
  const request = readRequest(record, mayChange)
  const settlement = settlementOf(request.verdict)
  if (settlement._tag === "Malformed") assert.isAbove(settlement.issues.length, 0)
  const outcome = mappingOutcome({
    groupId: "g",
    record: location,
    request,
    settlement,
    attempts: 0,
    settledAt: location.timestamp
  })
  const { headers, value } = outcomeRecord(outcome, null)
  const size = headers.reduce((sum, header) => sum + header.name.length + bytesOf(header.value), bytesOf(value))
  assert.isBelow(size, 64 * 1024)
  const back = readOutcome(value ?? new Uint8Array())
  assert.deepStrictEqual(back._tag === "Some" ? back.value : undefined, outcome)
  return request.verdict
}

const repeated = (text: string, times: number): Uint8Array => encoder.encode(text.repeat(times))

const withData = (json: string): Uint8Array =>
  encoder.encode(JSON.stringify(envelope({ data: "@" })).replace("\"@\"", json))

describe("every record has a verdict and an outcome", () => {
  const nested = "[".repeat(100_000) + "]".repeat(100_000)

  it.each<readonly [string, Uint8Array | null]>([
    ["no value", null],
    ["no bytes", new Uint8Array()],
    ["a megabyte of zero bytes", new Uint8Array(1_000_000)],
    ["a megabyte of quotes", repeated("\"", 1_000_000)],
    ["100,000 opening brackets", repeated("[", 100_000)],
    ["100,000 opening braces", repeated("{\"a\":", 100_000)],
    ["100,000 nested arrays", encoder.encode(nested)],
    ["data of 100,000 nested arrays", withData(nested)],
    ["a zone of 100,000 nested arrays", withData(`{"zone_id":${nested}}`)],
    ["an address of 100,000 nested arrays", withData(`{"zone_id":"z","ip":${nested}}`)],
    ["an address of a megabyte", withData(`{"zone_id":"z","ip":"${"1".repeat(1_000_000)}"}`)],
    ["an address of 200,000 colons", withData(`{"zone_id":"z","ip":"${":".repeat(200_000)}"}`)],
    ["100,000 fields", withData(`{${Array.from({ length: 100_000 }, (_, index) => `"k${index}":0`).join()}}`)],
    ["a number beyond all bounds", withData("{\"zone_id\":1e999}")]
  ])("%s", (_, value) => {
    assert.notStrictEqual(hasOutcome({ value, headers: [] })._tag, "Apply")
    assert.notStrictEqual(hasOutcome({ value, headers: [{ name: "ce_id", value: encoder.encode("1") }] })._tag, "Apply")
  })

  it.each(["x", "\u00A0", "€", "\ud800", "\"", "😀"])("the longest attributes of %j", (character) => {
    const longest = character.repeat(1024 / character.length)
    const names = ["id", "source", "correlationid", "traceparent", "tracestate"]
    const attributes = Object.fromEntries(names.map((name) => [name, longest]))
    const time = `2026-11-24T09:30:00.${"0".repeat(1003)}Z`
    const zone_id = "z".repeat(32)
    for (const type of [requestTypes.create, longest]) {
      const event = envelope({ ...attributes, time, type, data: { ...data, zone_id } })
      const record = { value: encoder.encode(JSON.stringify(event)), headers: [] }
      assert.strictEqual(hasOutcome(record)._tag, type === longest ? "Malformed" : "Apply")
      assert.strictEqual(hasOutcome(record, () => false)._tag, "Malformed")
    }
  })

  const Bytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
    .check(Schema.isMaxLength(40))
  const HeaderName = Schema.Union([
    Schema.String,
    Schema.Literals([
      "content-type",
      "ce_specversion",
      "ce_id",
      "ce_source",
      "ce_type",
      "ce_time",
      "ce_expirytime",
      "ce_"
    ])
  ])
  const HeaderValue = Schema.Union([
    Bytes,
    Schema.Literals([
      "application/cloudevents+json",
      "application/json",
      "1.0",
      requestTypes.delete,
      "2026-11-24T00:00:00Z"
    ]),
    Schema.Null
  ])
  const Headers = Schema.Array(Schema.Struct({ name: HeaderName, value: HeaderValue })).check(Schema.isMaxLength(6))

  const header = ({ name, value }: (typeof Headers.Type)[number]): RecordHeader => ({
    name,
    value: value === null ? null : typeof value === "string" ? encoder.encode(value) : Uint8Array.from(value)
  })

  it.prop("random bytes and headers", [Bytes, Headers], ([bytes, headers]) => {
    hasOutcome({ value: Uint8Array.from(bytes), headers: headers.map(header) })
  }, { arbitrary: { runs: 2000 } })

  const AnyJson = Schema.Union([Schema.String, Schema.Finite, Schema.Null, Schema.Array(Schema.String), Schema.Boolean])
  const Field = Schema.Literals([
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "expirytime",
    "correlationid",
    "datacontenttype",
    "data_base64",
    "data",
    "zone_id",
    "ip",
    "vendor",
    "region",
    "__proto__",
    "toString"
  ])

  it.prop("requests with any field replaced", [Field, AnyJson, Field, AnyJson], ([name, value, other, otherValue]) => {
    const changes = { [name]: value, [other]: otherValue }
    hasOutcome({ value: encoder.encode(JSON.stringify(envelope(changes))), headers: [] })
    hasOutcome({ value: encoder.encode(JSON.stringify(envelope({ data: { ...data, ...changes } }))), headers: [] })
  }, { arbitrary: { runs: 2000 } })

  const Position = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))
  const Byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
  const original = encoder.encode(JSON.stringify(envelope({ expirytime: "2026-11-24T00:00:00Z" })))

  it.prop("requests with bytes changed and cut off", [Position, Byte, Position, Byte, Position], (
    [first, firstByte, second, secondByte, length]
  ) => {
    const value = original.slice()
    value[first % value.length] = firstByte
    hasOutcome({ value: value.slice(), headers: [] })
    value[second % value.length] = secondByte
    hasOutcome({ value, headers: [] })
    hasOutcome({ value: original.subarray(0, length % original.length), headers: [] })
  }, { arbitrary: { runs: 1000 } })
})
