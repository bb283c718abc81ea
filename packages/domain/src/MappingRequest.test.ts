import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { requestExamples } from "./internal/EventExamples.ts"
import { MappingRequest, requestRecord } from "./MappingRequest.ts"
import { readRequest } from "./RequestReader.ts"

const decoder = new TextDecoder()
const decode = Schema.decodeUnknownOption(MappingRequest)

describe("requestRecord", () => {
  it("is read as the change it asks for", () => {
    const { create, delete: remove, upsert } = requestExamples
    const { zone_id } = create.data
    assert.deepStrictEqual<unknown>(
      [create, upsert, remove].map((request) => readRequest(requestRecord(request)).verdict),
      [
        {
          _tag: "Apply",
          change: { operation: "create", zoneId: zone_id, originIp: "192.0.2.1", vendor: "aws", region: "us-east-1" }
        },
        {
          _tag: "Apply",
          change: {
            operation: "upsert",
            zoneId: zone_id,
            originIp: "2001:db8::1",
            vendor: "gcp",
            region: "europe-west1"
          }
        },
        { _tag: "Apply", change: { operation: "delete", zoneId: zone_id, originIp: "192.0.2.1" } }
      ]
    )
  })

  it("keeps every attribute", () => {
    const request: MappingRequest = {
      ...requestExamples.delete,
      correlationid: "c",
      tracestate: "a=b",
      subject: "s",
      datacontenttype: "application/json"
    }
    const { event } = readRequest(requestRecord(request))
    assert.deepInclude(event, {
      id: request.id,
      source: request.source,
      type: request.type,
      time: request.time ?? null,
      traceparent: request.traceparent ?? null,
      correlationid: "c",
      tracestate: "a=b",
      expiresAt: Date.parse(request.expirytime ?? "")
    })
  })

  it("is in structured mode", () => {
    const { headers, value } = requestRecord(requestExamples.create)
    assert.deepStrictEqual(
      headers.map(({ name, value }) => [name, decoder.decode(value ?? undefined)]),
      [["content-type", "application/cloudevents+json; charset=UTF-8"]]
    )
    assert.deepStrictEqual(JSON.parse(decoder.decode(value ?? undefined)), requestExamples.create)
  })

  it("has the same key for every spelling of an address", () => {
    const { data } = requestExamples.upsert
    const keys = ["2001:db8::1", "2001:DB8:0::1", "2001:db8:0:0:0:0:0.0.0.1"].map((ip) =>
      decoder.decode(requestRecord({ ...requestExamples.upsert, data: { ...data, ip } }).key ?? undefined)
    )
    assert.deepStrictEqual([...new Set(keys)], [`${data.zone_id}/2001:db8::1`])
  })
})

describe("MappingRequest", () => {
  const { create, delete: remove } = requestExamples

  it("takes what the contract takes, and drops what it does not name", () => {
    assert.deepStrictEqual(
      decode({ ...create, extension: 1, data: { ...create.data, note: "x" } }),
      Option.some(create)
    )
    assert.deepStrictEqual(decode({ ...remove, data: { ...remove.data, vendor: "acme" } }), Option.some(remove))
  })

  it.each<readonly [string, object]>([
    ["another version", { specversion: "0.3" }],
    ["an empty id", { id: "" }],
    ["an id that readers refuse", { id: "x".repeat(1025) }],
    ["no source", { source: undefined }],
    ["an unknown type", { type: "dev.origin-regions.mapping.move.v1" }],
    ["a time that is none", { time: "now" }],
    ["an expirytime that is none", { expirytime: "2026-02-30T00:00:00Z" }],
    ["no data", { data: undefined }],
    ["an unusable zone", { data: { ...create.data, zone_id: "a/b" } }],
    ["a host name", { data: { ...create.data, ip: "origin.example.com" } }],
    ["an unknown vendor", { data: { ...create.data, vendor: "acme" } }],
    ["a vendor in capitals", { data: { ...create.data, vendor: "AWS" } }],
    ["an empty region", { data: { ...create.data, region: "" } }],
    ["no region", { data: { ...create.data, region: undefined } }]
  ])("refuses %s", (_, changes) => {
    assert.deepStrictEqual(decode({ ...create, ...changes }), Option.none())
  })
})
