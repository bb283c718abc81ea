import { assert, describe, it } from "@effect/vitest"
import { type CloudEvent, readCloudEvent } from "./CloudEvent.ts"

const encoder = new TextEncoder()
const bytes = (text: string): Uint8Array => encoder.encode(text)

const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))
const base64 = (text: string): string => Buffer.from(text).toString("base64")

type HeaderValues = Readonly<Record<string, string | Uint8Array | null>>

const read = (value: string | Uint8Array | null, headers: HeaderValues = {}): CloudEvent =>
  readCloudEvent({
    value: typeof value === "string" ? bytes(value) : value,
    headers: Object.entries(headers).map(([name, text]) => ({
      name,
      value: typeof text === "string" ? bytes(text) : text
    }))
  })

const data = { zone_id: "z", ip: "192.0.2.1" }
const required = { specversion: "1.0", id: "1", source: "/s", type: "t" }
const optional = {
  time: "2026-11-24T09:30:00+01:00",
  correlationid: "c",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  tracestate: "a=b"
}
const expirytime = "2026-11-24T09:30:00.5Z"
const structured = { "content-type": "application/cloudevents+json" }

const whole: CloudEvent = {
  id: "1",
  source: "/s",
  type: "t",
  ...optional,
  expiresAt: Date.parse(expirytime),
  data,
  dataWasRead: true,
  issues: []
}

const envelope = (changes: object = {}): string => JSON.stringify({ ...required, data, ...changes })

const ceHeaders = (attributes: HeaderValues): HeaderValues =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce_${name}`, value]))

const paths = (event: CloudEvent): ReadonlyArray<string> => event.issues.map(({ path }) => path)

describe("readCloudEvent", () => {
  describe("reads the same event in three content modes", () => {
    const attributes = { ...required, ...optional, expirytime }
    const value = envelope({ ...optional, expirytime })

    it("structured", () => {
      assert.deepStrictEqual(read(value, structured), whole)
    })

    it("binary", () => {
      assert.deepStrictEqual(read(JSON.stringify(data), ceHeaders(attributes)), whole)
      assert.deepStrictEqual(
        read(JSON.stringify(data), { ...ceHeaders(attributes), "content-type": "application/json; charset=utf-8" }),
        whole
      )
    })

    it("a bare envelope without a content type", () => {
      assert.deepStrictEqual(read(value), whole)
      assert.deepStrictEqual(read(value, { traceparent: "of somebody else's instrumentation" }), whole)
    })
  })

  describe("goes by the content type first", () => {
    it.each([
      "application/cloudevents+json",
      "application/cloudevents+json; charset=UTF-8",
      "application/cloudevents+json ;charset=utf-8",
      "Application/CloudEvents+JSON"
    ])("%s is structured, whatever ce_* headers there are", (contentType) => {
      const event = read(envelope(), { "content-type": contentType, ce_specversion: "0.3", ce_id: "other" })
      assert.strictEqual(event.id, "1")
      assert.deepStrictEqual(event.issues, [])
    })

    it.each([
      "application/json",
      "text/plain",
      "application/cloudevents+avro",
      "application/cloudevents-batch+json",
      "application/cloudevents+json-seq",
      ""
    ])("\"%s\" without ce_* headers is none of the three", (contentType) => {
      const event = read(envelope(), { "content-type": contentType })
      assert.deepStrictEqual(paths(event), ["content-type"])
      assert.deepStrictEqual(event, { ...nothing, issues: event.issues })
    })

    it("a content type that is not text is none of the three either", () => {
      assert.deepStrictEqual(paths(read(envelope(), { "content-type": Uint8Array.of(0xff) })), ["content-type"])
    })

    it("one ce_* header makes it binary, so that what the others lack is listed", () => {
      assert.deepStrictEqual(paths(read(JSON.stringify(data), { ce_id: "1" })), ["specversion", "source", "type"])
      assert.deepStrictEqual(
        paths(read(JSON.stringify(data), { ce_id: "1", "content-type": "application/json" })),
        ["specversion", "source", "type"]
      )
    })
  })

  describe("header names", () => {
    it("compare without case", () => {
      const event = read(JSON.stringify(data), {
        CE_SpecVersion: "1.0",
        "Ce_iD": "1",
        ce_SOURCE: "/s",
        CE_TYPE: "t",
        "Content-Type": "application/json"
      })
      assert.deepStrictEqual(event.issues, [])
      assert.deepStrictEqual(event.data, data)
      assert.strictEqual(read(envelope(), { "CONTENT-TYPE": "application/cloudevents+json" }).id, "1")
    })

    it("may repeat: the last counts", () => {
      const headers = [["ce_id", "first"], ["CE_ID", "last"]].map(([name = "", text = ""]) => ({
        name,
        value: bytes(text)
      }))
      assert.strictEqual(readCloudEvent({ value: null, headers }).id, "last")
      assert.isNull(readCloudEvent({ value: null, headers: [...headers, { name: "Ce_Id", value: null }] }).id)
    })
  })

  describe("lists every problem of the attributes", () => {
    const text = "a non-empty string of at most 1024 characters, none of them a control character"
    const empty = [
      { path: "specversion", message: "specversion must be \"1.0\"" },
      { path: "id", message: `id must be ${text}` },
      { path: "source", message: `source must be ${text}` },
      { path: "type", message: `type must be ${text}` }
    ]

    it("where they are missing", () => {
      assert.deepStrictEqual(read("{\"data\":{}}").issues, empty)
    })

    it("where they are not text, empty, or of another version", () => {
      assert.deepStrictEqual(read("{\"specversion\":1.0,\"id\":7,\"source\":[],\"type\":\"\"}").issues, empty)
      assert.deepStrictEqual(read("{}", ceHeaders({ specversion: "0.3", id: "", source: "", type: "" })).issues, empty)
    })

    it("where they are null, which stands for unset", () => {
      assert.deepStrictEqual(read(envelope({ specversion: null, id: null, source: null, type: null })).issues, empty)
    })

    it("along with those of expirytime and data", () => {
      assert.deepStrictEqual(
        paths(read(JSON.stringify({ expirytime: "tomorrow", datacontenttype: "text/xml" }))),
        ["specversion", "id", "source", "type", "expirytime", "datacontenttype"]
      )
      assert.deepStrictEqual(paths(read("not JSON", { ce_expirytime: "tomorrow" })), [
        "specversion",
        "id",
        "source",
        "type",
        "expirytime",
        "data"
      ])
    })

    it("where they only seem to be there", () => {
      const event = read(`{"__proto__":${envelope()},"constructor":{"id":"1"}}`)
      assert.deepStrictEqual(event.issues, empty)
      assert.isUndefined(event.data)
    })
  })

  describe("attributes that outcomes repeat", () => {
    const names = ["id", "source", "type", "correlationid", "traceparent", "tracestate"] as const
    const longest = "x".repeat(1024)

    it("are read up to 1024 characters", () => {
      const event = read(envelope(Object.fromEntries(names.map((name) => [name, longest]))))
      for (const name of names) assert.strictEqual(event[name], longest, name)
      assert.deepStrictEqual(event.issues, [])
    })

    it("count as unreadable beyond", () => {
      const tooLong = Object.fromEntries(names.map((name) => [name, `${longest}x`]))
      for (const event of [read(envelope(tooLong)), read("{}", ceHeaders({ ...required, ...tooLong }))]) {
        for (const name of names) assert.isNull(event[name], name)
        assert.deepStrictEqual(paths(event), ["id", "source", "type"])
      }
    })

    it.each(["\u0000", "\t", "\n", "\r\nce_x: 1", "\u001B[2J", "\u007F", "\u0085", "\u009B2J"])(
      "count as unreadable with the control characters %j",
      (controls) => {
        const odd = Object.fromEntries(names.map((name) => [name, `a${controls}b`]))
        for (const event of [read(envelope(odd)), read("{}", ceHeaders({ ...required, ...odd }))]) {
          for (const name of names) assert.isNull(event[name], name)
          assert.deepStrictEqual(paths(event), ["id", "source", "type"])
        }
      }
    )

    it("are left out where they are optional and not text", () => {
      const event = read(envelope({ correlationid: 7, traceparent: "", tracestate: {} }))
      assert.isNull(event.correlationid)
      assert.isNull(event.traceparent)
      assert.isNull(event.tracestate)
      assert.deepStrictEqual(event.issues, [])
      assert.isNull(read("{}", ceHeaders({ ...required, correlationid: Uint8Array.of(0xc3) })).correlationid)
    })
  })

  describe("time", () => {
    it.each(["yesterday", "", 1_764_000_000, null, "2026-11-24", "2026-02-30T00:00:00Z"])(
      "%j is ignored",
      (time) => {
        const event = read(envelope({ time }))
        assert.isNull(event.time)
        assert.deepStrictEqual(event.issues, [])
      }
    )
  })

  describe("expirytime", () => {
    it.each(["tomorrow", "", 1_764_000_000, {}, "2026-11-24T24:00:00Z"])("%j is malformed", (text) => {
      const event = read(envelope({ expirytime: text }))
      assert.isNull(event.expiresAt)
      assert.deepStrictEqual(event.issues, [
        { path: "expirytime", message: "expirytime must be an RFC 3339 timestamp" }
      ])
    })

    it("is malformed as a header that is not text", () => {
      const headers = ceHeaders({ ...required, expirytime: Uint8Array.of(0xff) })
      assert.deepStrictEqual(paths(read("{}", headers)), ["expirytime"])
    })

    it("is unset where it is null", () => {
      assert.deepStrictEqual(read(envelope({ expirytime: null })).issues, [])
      assert.deepStrictEqual(read("{}", ceHeaders({ ...required, expirytime: null })).issues, [])
    })
  })

  describe("text", () => {
    const bom = Uint8Array.of(0xef, 0xbb, 0xbf)
    const message = "the record's value is not UTF-8 text without a byte order mark"

    it.each<readonly [string, Uint8Array]>([
      ["a byte order mark", joined(bom, bytes(envelope()))],
      ["a byte that UTF-8 has not", joined(bytes(envelope()), Uint8Array.of(0xff))],
      ["half a character", Uint8Array.of(0x22, 0xc3, 0x22)],
      ["a surrogate", Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)],
      ["an over-long spelling", Uint8Array.of(0x22, 0xc0, 0xaf, 0x22)],
      ["UTF-16", joined(Uint8Array.of(0xff, 0xfe), Buffer.from(envelope(), "utf16le"))]
    ])("with %s is malformed", (_, value) => {
      assert.deepStrictEqual(read(value).issues, [{ path: "", message }])
      assert.deepStrictEqual(read(value, ceHeaders(required)).issues, [{ path: "data", message }])
    })

    it("of an attribute's header must be UTF-8 without a byte order mark", () => {
      for (const id of [joined(bom, bytes("1")), Uint8Array.of(0xff)]) {
        assert.deepStrictEqual(paths(read("{}", ceHeaders({ ...required, id }))), ["id"])
      }
    })

    it("may have any other character", () => {
      assert.strictEqual(read(envelope({ id: "é€😀\ufeff" })).id, "é€😀\ufeff")
    })
  })

  it("takes the last of doubled JSON keys", () => {
    const event = read(
      "{\"id\":\"first\",\"specversion\":\"0.3\",\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"t\",\"id\":\"last\","
        + "\"data\":{\"ip\":1,\"ip\":2}}"
    )
    assert.strictEqual(event.id, "last")
    assert.deepStrictEqual(event.data, { ip: 2 })
    assert.deepStrictEqual(event.issues, [])
  })

  it("ignores attributes and fields that it does not know", () => {
    const event = read(
      envelope({ subject: 7, dataschema: "x", partitionkey: null, _x: 1, data: { ...data, more: [] } })
    )
    assert.deepStrictEqual(event.issues, [])
    assert.deepStrictEqual(event.data, { ...data, more: [] })
    assert.deepStrictEqual(read("{}", ceHeaders({ ...required, extension: Uint8Array.of(0xff) })).issues, [])
  })

  describe("data", () => {
    it.each([
      "application/json",
      "application/json; charset=utf-8",
      "text/json",
      "Application/JSON",
      "application/vnd.acme.mapping+json",
      null
    ])("may be declared as %s", (contentType) => {
      assert.deepStrictEqual(read(envelope({ datacontenttype: contentType })).data, data)
      assert.deepStrictEqual(
        read(JSON.stringify(data), { ...ceHeaders(required), "content-type": contentType }).data,
        data
      )
    })

    it.each(["text/plain", "application/xml", "application/jsonx", "json", "application/x-json-seq", ""])(
      "may not be declared as \"%s\"",
      (contentType) => {
        const inEnvelope = read(envelope({ datacontenttype: contentType }))
        assert.deepStrictEqual(inEnvelope.issues, [
          { path: "datacontenttype", message: "datacontenttype must be application/json" }
        ])
        assert.isFalse(inEnvelope.dataWasRead)
        const asHeader = read(JSON.stringify(data), { ...ceHeaders(required), "content-type": contentType })
        assert.deepStrictEqual(asHeader.issues, [
          { path: "content-type", message: "content-type must be application/json" }
        ])
        assert.isFalse(asHeader.dataWasRead)
      }
    )

    it("is read from data_base64", () => {
      for (
        const text of [
          JSON.stringify(data),
          JSON.stringify({ ...data, pad: "x" }),
          JSON.stringify({ ...data, pad: "xy" })
        ]
      ) {
        const event = read(envelope({ data: undefined, data_base64: base64(text) }))
        assert.deepStrictEqual(event.data, JSON.parse(text))
        assert.deepStrictEqual(event.issues, [])
      }
      assert.deepStrictEqual(read(envelope({ data: null, data_base64: base64("{\"a\":1}") })).data, { a: 1 })
      assert.deepStrictEqual(read(envelope({ data_base64: null })).data, data)
    })

    it.each([
      ["***", "data_base64 must be base64 text"],
      ["e30", "data_base64 must be base64 text"],
      ["e30=\n", "data_base64 must be base64 text"],
      ["e30_", "data_base64 must be base64 text"],
      ["====", "data_base64 must be base64 text"],
      [7, "data_base64 must be base64 text"],
      ["", "data_base64 is not JSON"],
      [base64("{"), "data_base64 is not JSON"],
      [Buffer.of(0xff).toString("base64"), "data_base64 is not UTF-8 text without a byte order mark"],
      [
        Buffer.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d).toString("base64"),
        "data_base64 is not UTF-8 text without a byte order mark"
      ]
    ])("is malformed as data_base64 %j", (text, message) => {
      const event = read(envelope({ data: undefined, data_base64: text }))
      assert.deepStrictEqual(event.issues, [{ path: "data_base64", message }])
      assert.isFalse(event.dataWasRead)
    })

    it("is malformed in both forms at once", () => {
      assert.deepStrictEqual(read(envelope({ data_base64: base64("{}") })).issues, [
        { path: "data_base64", message: "data and data_base64 exclude each other" }
      ])
    })
  })

  describe("a record that is no event", () => {
    it.each([
      [null, "the record has no value"],
      ["", "the record's value is not JSON"],
      ["{", "the record's value is not JSON"],
      ["hello", "the record's value is not JSON"],
      ["[]", "the record's value is not a CloudEvents envelope (a JSON object)"],
      ["null", "the record's value is not a CloudEvents envelope (a JSON object)"],
      ["\"text\"", "the record's value is not a CloudEvents envelope (a JSON object)"],
      ["7", "the record's value is not a CloudEvents envelope (a JSON object)"]
    ])("%j", (value, message) => {
      for (const headers of [{}, structured]) {
        assert.deepStrictEqual(read(value, headers), { ...nothing, issues: [{ path: "", message }] })
      }
    })

    it("keeps its attributes in binary mode, where only the value is missing", () => {
      const event = read(null, ceHeaders(required))
      assert.strictEqual(event.id, "1")
      assert.deepStrictEqual(event.issues, [{ path: "data", message: "the record has no value" }])
    })
  })
})

const nothing: CloudEvent = {
  id: null,
  source: null,
  type: null,
  time: null,
  correlationid: null,
  traceparent: null,
  tracestate: null,
  expiresAt: null,
  data: undefined,
  dataWasRead: false,
  issues: []
}
