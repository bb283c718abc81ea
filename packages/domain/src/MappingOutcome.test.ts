import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { type ApiErrorName, apiErrors } from "./ApiError.ts"
import { requestExamples } from "./internal/EventExamples.ts"
import {
  finalSettlement,
  MappingOutcome,
  mappingOutcome,
  outcomeRecord,
  readOutcome,
  rejectedByRule,
  type SettledRequest,
  type Settlement
} from "./MappingOutcome.ts"
import { requestRecord } from "./MappingRequest.ts"
import { OriginIp } from "./OriginIp.ts"
import { outcomeId } from "./OutcomeId.ts"
import { readRequest } from "./RequestReader.ts"
import type { OutgoingRecord, WritableRecord } from "./SourceRecord.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const location = {
  topic: "origin-regions.requests",
  partition: 3,
  offset: 41,
  timestamp: Date.UTC(2026, 10, 24, 9, 30)
}
const settledAt = Date.UTC(2026, 10, 24, 9, 30, 1)

const settle = (
  request: Pick<OutgoingRecord, "value" | "headers">,
  settlement: Settlement,
  changes: Partial<SettledRequest> = {}
): MappingOutcome =>
  mappingOutcome({
    groupId: "origin-regions",
    record: location,
    request: readRequest(request),
    settlement,
    attempts: 2,
    settledAt,
    ...changes
  })

const create = requestRecord({
  ...requestExamples.create,
  id: "request-1",
  source: "/s",
  correlationid: "c",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  tracestate: "a=b"
})
const { zone_id } = requestExamples.create.data
const remove = requestRecord({ ...requestExamples.delete, id: "request-1", source: "/s" })
const bare = (text: string) => ({ value: encoder.encode(text), headers: [] })
const malformed = bare("not JSON")

const mapping = {
  zone_id,
  origin_ip: OriginIp.make("192.0.2.1"),
  vendor: "aws",
  region: "us-east-1",
  modified_on: "2026-11-24T09:30:00Z"
}
const created = { _tag: "Succeeded", result: "created", mapping, recovered: false } as const
const gaveUp = { _tag: "Failed", name: "gave_up", message: "It kept answering 503.", lastStatus: 503 } as const
const rejected = (name: ApiErrorName) => {
  const { code, message } = apiErrors[name]
  return { _tag: "Rejected", code, message } as const
}

/** Every way in which a request can be settled. */
const settlements: ReadonlyArray<readonly [name: string, outcome: MappingOutcome]> = [
  ["created", settle(create, created)],
  ["created, recovered", settle(create, { ...created, recovered: true })],
  ["created, replayed", settle(create, { ...created, replayed: true })],
  ["upserted", settle(create, { ...created, result: "upserted" })],
  ["deleted", settle(remove, { ...created, result: "deleted" })],
  ["deleted, recovered", settle(remove, { _tag: "Succeeded", result: "deleted", mapping: null, recovered: true })],
  ["unchanged", settle(remove, { _tag: "Succeeded", result: "unchanged", mapping: null, recovered: false })],
  ["1145", settle(create, { ...rejected("already_exists"), conflict: { existing: null, matches: false } })],
  ["1146", settle(bare("{}"), rejectedByRule("invalid_ip"))],
  ["1157", settle(create, rejectedByRule("unsupported_region"))],
  ["1164", settle(create, { ...rejected("limit_reached"), documentationUrl: "https://example.com/1164" })],
  ["malformed", settle(malformed, { _tag: "Malformed", issues: [{ path: "", message: "is not JSON" }] })],
  ["expired", settle(create, { _tag: "Failed", name: "expired", message: "It had expired." })],
  ["gave up", settle(create, { ...gaveUp, lastCode: 1140 })],
  ["nothing could be read", settle(bare("\u0000"), gaveUp, { record: { ...location, timestamp: -1 } })]
]

const textOf = (part: Uint8Array | string | null) => typeof part === "string" ? part : decoder.decode(part ?? undefined)

const texts = (headers: WritableRecord["headers"]) => headers.map(({ name, value }) => [name, textOf(value)])

const keyOf = (outcome: MappingOutcome, requestKey: Uint8Array | null) => outcomeRecord(outcome, requestKey).key

describe("mappingOutcome", () => {
  it("tells a success", () => {
    assert.deepStrictEqual<unknown>(settle(create, created), {
      specversion: "1.0",
      id: outcomeId(location, "/s", "request-1"),
      source: "/origin-regions/consumer/origin-regions",
      subject: `${zone_id}/192.0.2.1`,
      time: "2026-11-24T09:30:01.000Z",
      datacontenttype: "application/json",
      causationid: "request-1",
      correlationid: "c",
      traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      tracestate: "a=b",
      type: "dev.origin-regions.mapping.succeeded.v1",
      outcomecode: "created",
      data: {
        request: {
          id: "request-1",
          source: "/s",
          type: "dev.origin-regions.mapping.create.v1",
          time: requestExamples.create.time,
          topic: "origin-regions.requests",
          partition: 3,
          offset: 41,
          timestamp: "2026-11-24T09:30:00.000Z"
        },
        operation: "create",
        attempts: 2,
        result: "created",
        mapping,
        recovered: false
      }
    })
  })

  it.each<readonly ["upserted" | "deleted" | "unchanged"]>([["upserted"], ["deleted"], ["unchanged"]])(
    "has %s as its result and its code",
    (result) => {
      const outcome = settle(remove, { _tag: "Succeeded", result, mapping: null, recovered: true })
      assert.strictEqual(outcome.outcomecode, result)
      assert.deepInclude(outcome.data, { operation: "delete", result, mapping: null, recovered: true })
    }
  )

  it("leaves out of the attributes what could not be read, and has null for it in the data", () => {
    const outcome = settle(
      malformed,
      { _tag: "Malformed", issues: [{ path: "", message: "the record's value is not JSON" }] },
      { attempts: 0, record: { ...location, timestamp: 1.7e18 } }
    )
    assert.deepStrictEqual<unknown>(outcome, {
      specversion: "1.0",
      id: outcomeId(location, null, null),
      source: "/origin-regions/consumer/origin-regions",
      time: "2026-11-24T09:30:01.000Z",
      datacontenttype: "application/json",
      type: "dev.origin-regions.mapping.rejected.v1",
      outcomecode: "malformed_request",
      data: {
        request: { id: null, source: null, type: null, time: null, ...location, timestamp: null },
        operation: null,
        attempts: 0,
        error: {
          code: null,
          name: "malformed_request",
          message: "The record is not a mapping request.",
          issues: [{ path: "", message: "the record's value is not JSON" }]
        }
      }
    })
  })

  it("tells what of a malformed request could be read", () => {
    const outcome = settle(
      bare(JSON.stringify({ id: "1", type: "other", data: { zone_id: "z", ip: "2001:DB8::1" } })),
      { _tag: "Malformed", issues: [] }
    )
    assert.deepInclude(outcome, { causationid: "1", subject: "z/2001:db8::1" })
    assert.deepInclude(outcome.data.request, { id: "1", source: null, type: "other" })
  })

  it.each([
    [1145, "already_exists"],
    [1146, "invalid_ip"],
    [1157, "unsupported_region"],
    [1164, "limit_reached"],
    [7003, "unknown_zone"],
    [1135, "rejected_by_api"],
    [7000, "rejected_by_api"],
    [4711, "rejected_by_api"]
  ])("calls a rejection with %i %s, with the API's text", (code, name) => {
    const outcome = settle(create, { _tag: "Rejected", code, message: "As the API says." })
    assert.deepInclude(outcome, { type: "dev.origin-regions.mapping.rejected.v1", outcomecode: String(code) })
    assert.deepStrictEqual<unknown>("error" in outcome.data ? outcome.data.error : undefined, {
      code,
      name,
      message: "As the API says."
    })
  })

  it("tells with a 1145 what is there", () => {
    const existing = { vendor: "gcp", region: "europe-west1", modified_on: null }
    const outcome = settle(create, { ...rejected("already_exists"), conflict: { existing, matches: false } })
    assert.deepInclude(outcome.data, {
      error: {
        code: 1145,
        name: "already_exists",
        message: "Unable to create new origin_public_cloud_region setting. The zone setting already exists.",
        existing,
        matches: false
      }
    })
  })

  it("passes on the API's documentation_url", () => {
    const outcome = settle(create, { ...rejected("limit_reached"), documentationUrl: "https://example.com/1164" })
    assert.deepInclude(outcome.data, {
      error: {
        code: 1164,
        name: "limit_reached",
        message: "Maximum number of IP mappings configured for zone.",
        documentation_url: "https://example.com/1164"
      }
    })
  })

  it("tells a failure", () => {
    const outcome = settle(create, { ...gaveUp, lastCode: 1140 })
    assert.deepInclude(outcome, { type: "dev.origin-regions.mapping.failed.v1", outcomecode: "gave_up" })
    assert.deepInclude(outcome.data, {
      attempts: 2,
      error: { name: "gave_up", message: "It kept answering 503.", attempts: 2, last_status: 503, last_code: 1140 }
    })
    const expired = settle(create, { _tag: "Failed", name: "expired", message: "It had expired." }, { attempts: 0 })
    assert.strictEqual(expired.outcomecode, "expired")
    assert.deepInclude(expired.data, { error: { name: "expired", message: "It had expired.", attempts: 0 } })
  })

  it("percent-encodes the group id in its source", () => {
    const outcome = settle(create, created, { groupId: "blue/green é" })
    assert.strictEqual(outcome.source, "/origin-regions/consumer/blue%2Fgreen%20%C3%A9")
  })

  it("has the same id however often the record is processed, and whatever comes of it", () => {
    const again = settle(create, gaveUp, { attempts: 7, settledAt: settledAt + 1, groupId: "other" })
    assert.strictEqual(again.id, settle(create, created).id)
  })

  it.each(settlements)("fits its schema, and comes back from JSON as it was: %s", (_, outcome) => {
    const { value } = outcomeRecord(outcome, null)
    assert.deepStrictEqual(readOutcome(value ?? new Uint8Array()), Option.some(outcome))
    assert.deepStrictEqual(Schema.encodeUnknownOption(MappingOutcome)(outcome), Option.some(outcome))
  })
})

describe("outcomeRecord", () => {
  it("mirrors every attribute but datacontenttype as a header", () => {
    assert.deepStrictEqual(Object.fromEntries(texts(outcomeRecord(settle(create, created), null).headers)), {
      "content-type": "application/cloudevents+json; charset=UTF-8",
      ce_specversion: "1.0",
      ce_id: outcomeId(location, "/s", "request-1"),
      ce_source: "/origin-regions/consumer/origin-regions",
      ce_subject: `${zone_id}/192.0.2.1`,
      ce_time: "2026-11-24T09:30:01.000Z",
      ce_causationid: "request-1",
      ce_correlationid: "c",
      ce_traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      ce_tracestate: "a=b",
      ce_type: "dev.origin-regions.mapping.succeeded.v1",
      ce_outcomecode: "created"
    })
  })

  it.each(settlements)(
    "has each attribute in the event and in one header, with the content type in front: %s",
    (_, outcome) => {
      const { headers, value } = outcomeRecord(outcome, null)
      const { data, datacontenttype, ...attributes } = JSON.parse(textOf(value))
      assert.isObject(data)
      assert.strictEqual(datacontenttype, "application/json")
      assert.deepStrictEqual(texts(headers), [
        ["content-type", "application/cloudevents+json; charset=UTF-8"],
        ...Object.entries(attributes).map(([name, attribute]) => [`ce_${name}`, attribute])
      ])
    }
  )

  it("is keyed by its subject where zone and address are known", () => {
    assert.deepStrictEqual(keyOf(settle(create, created), Uint8Array.of(1)), `${zone_id}/192.0.2.1`)
  })

  it("is keyed as the request is where they are not, byte for byte", () => {
    const outcome = settle(malformed, { _tag: "Malformed", issues: [] })
    assert.deepStrictEqual(keyOf(outcome, Uint8Array.of(0, 255)), Uint8Array.of(0, 255))
    assert.deepStrictEqual(keyOf(outcome, new Uint8Array()), new Uint8Array())
    assert.isNull(keyOf(outcome, null))
  })

  it("has no key where the request's own is longer than 8 KiB", () => {
    const outcome = settle(malformed, { _tag: "Malformed", issues: [] })
    assert.strictEqual(keyOf(outcome, new Uint8Array(8192))?.length, 8192)
    assert.isNull(keyOf(outcome, new Uint8Array(8193)))
  })
})

describe("readOutcome", () => {
  it.each(["", "{", "[]", "{}", JSON.stringify(requestExamples.create)])("is none for %s", (text) => {
    assert.deepStrictEqual(readOutcome(encoder.encode(text)), Option.none())
  })

  it("passes over what later versions may add", () => {
    const outcome = settle(create, created)
    const more = { ...outcome, later: 1, data: { ...outcome.data, later: 1 } }
    assert.deepStrictEqual(readOutcome(encoder.encode(JSON.stringify(more))), Option.some(outcome))
  })
})

describe("What became of a request", () => {
  const conflict = {
    ...rejected("already_exists"),
    documentationUrl: "https://example.com/1145",
    conflict: { existing: { vendor: "gcp", region: "us-central1", modified_on: null }, matches: false }
  } as const

  it.each<[string, Settlement]>([
    ["created", created],
    ["recovered", { ...created, recovered: true }],
    ["deleted", { _tag: "Succeeded", result: "deleted", mapping: null, recovered: false }],
    ["refused", rejected("limit_reached")],
    ["1145", conflict],
    ["1145, and gone since", { ...conflict, conflict: { existing: null, matches: false } }]
  ])("can be read from its outcome: %s", (_, settlement) => {
    assert.deepStrictEqual(finalSettlement(settle(create, settlement)), settlement)
  })

  it.each<[string, Settlement]>([
    ["malformed", { _tag: "Malformed", issues: [] }],
    ["given up", gaveUp]
  ])("is nothing for good where the API has not decided it: %s", (_, settlement) => {
    assert.isUndefined(finalSettlement(settle(create, settlement)))
  })

  it("is the same when it is told again, and says that it is", () => {
    for (const settlement of [created, conflict]) {
      const outcome = settle(create, { ...settlement, replayed: true })
      assert.deepInclude(outcome.data, { replayed: true })
      assert.deepStrictEqual(finalSettlement(outcome), settlement)
      assert.notProperty(settle(create, settlement).data, "replayed")
    }
  })
})
