import { assert, layer } from "@effect/vitest"
import { apiErrors } from "@origin-regions/domain/ApiError"
import type { MappingOutcome } from "@origin-regions/domain/MappingOutcome"
import { OUTCOME_NAMESPACE } from "@origin-regions/domain/OutcomeId"
import type { OutgoingRecord, SourceRecord } from "@origin-regions/domain/SourceRecord"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer } from "effect"
import { createHash, randomBytes } from "node:crypto"
import { changesOf } from "./fixtures/ApiRecords.ts"
import {
  bytes,
  type ContentMode,
  contentModes,
  type Event,
  eventOf,
  recordOf,
  text
} from "./fixtures/RequestRecords.ts"
import { layerKafka, makeTestTopics, type OutcomeArrival, settingsFor, type TestTopics } from "./fixtures/TestTopics.ts"

/** With characters that must be encoded. */
const groupId = "größe&co/1"

/** One consumer for all tests here: each has a zone of its own, and one partition keeps their records in order. */
class Running extends Context.Service<Running, {
  readonly topics: TestTopics
  readonly address: string
}>()("test/Running") {
  static readonly layer = (generation: string) =>
    Layer.effect(
      Running,
      Effect.gen(function*() {
        const { brokers } = yield* KafkaBroker
        const topics = yield* makeTestTopics()
        const settings = settingsFor(brokers, topics.names, yield* Api, {
          KAFKA_GROUP_ID: groupId,
          API_GENERATION: generation
        })
        const consumer = yield* ConsumerProcess.start(settings)
        return { topics, address: yield* consumer.address }
      })
    ).pipe(
      Layer.provide(Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers)))),
      Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer)),
      Layer.provide(Leash.layer)
    )
}

/** Emits these records one after the other, and answers with their outcomes in the same order. */
const outcomesOf = Effect.fnUntraced(function*(records: ReadonlyArray<OutgoingRecord>, zoneId: string) {
  const { emit, outcomes } = (yield* Running).topics
  // The last one tells where the others are: just before.
  const marker = `marker-${zoneId}-${randomBytes(8).toString("hex")}`
  yield* emit([
    ...records,
    recordOf("bare", eventOf("delete", marker, { zone_id: zoneId, ip: "255.255.255.255" }))
  ])
  const isMarker = ({ event }: OutcomeArrival) => event.causationid === marker
  const all = yield* outcomes.until((all) => {
    const last = all.find(isMarker)?.event.data.request.offset
    return last !== undefined &&
      all.filter(({ event }) => isBetween(event, last - records.length, last)).length >= records.length
  })
  const end = all.find(isMarker)?.event.data.request.offset ?? 0
  return all
    .filter(({ event }) => isBetween(event, end - records.length, end))
    .sort((one, other) => one.event.data.request.offset - other.event.data.request.offset)
})

const isBetween = ({ data }: MappingOutcome, start: number, end: number) =>
  data.request.offset >= start && data.request.offset < end

/** RFC 9562, section 5.5, by hand. */
const uuidV5 = (namespace: string, name: string): string => {
  const hash = createHash("sha1").update(Buffer.from(namespace.replaceAll("-", ""), "hex")).update(name).digest()
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80
  return hash.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
}

const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

interface Case {
  readonly event: Event
  /** `subject` without its zone. */
  readonly ip?: string
  readonly operation: string | null
  readonly kind: "succeeded" | "rejected" | "failed"
  readonly code: string
  readonly attempts: number
  /** What `data` has beyond that. `modified_on` stands for whatever the API said. */
  readonly data: object
}

const rejectedBy = (name: keyof typeof apiErrors, more: object = {}) => ({
  error: { code: apiErrors[name].code, name, message: apiErrors[name].message, ...more }
})

const malformedBy = (path: string, message: string) => ({
  error: {
    code: null,
    name: "malformed_request",
    message: "The record is not a mapping request.",
    issues: [{ path, message }]
  }
})

const MODIFIED = "(modified_on)"

/** One of every outcome that a request can have without a fault of the API, in an order in which they come about. */
const casesIn = (zone_id: string): ReadonlyArray<Case> => {
  const [ip, other] = ["2001:db8::a:0:0:1", "198.51.100.7"]
  const first = { zone_id, ip: "2001:DB8:0:0:A::1", vendor: "aws", region: "us-east-1" }
  const mapping = { zone_id, origin_ip: ip, vendor: "aws", region: "us-east-1", modified_on: MODIFIED }
  const existing = { vendor: "aws", region: "us-east-1", modified_on: MODIFIED }
  const invalidIp = { kind: "rejected", code: "1146", attempts: 0, data: rejectedBy("invalid_ip") } as const
  const unsupported = { kind: "rejected", code: "1157", data: rejectedBy("unsupported_region") } as const
  const second = { ...first, ip: other }
  let count = 0
  const event = (operation: "create" | "upsert" | "delete", data: object, attributes: object = {}) =>
    eventOf(operation, `${zone_id}-${count++}`, data, attributes)
  return [
    {
      event: event("create", first, {
        time: "2026-11-24T08:00:00+01:00",
        correlationid: "order 7 – größe",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tracestate: "vendor=1,other=2"
      }),
      ip,
      operation: "create",
      kind: "succeeded",
      code: "created",
      attempts: 1,
      data: { result: "created", mapping, recovered: false }
    },
    {
      event: event("create", { ...first, ip }),
      ip,
      operation: "create",
      kind: "rejected",
      code: "1145",
      attempts: 1,
      data: rejectedBy("already_exists", { existing, matches: true })
    },
    {
      event: event("create", { ...first, region: "us-west-2", note: "of no interest" }),
      ip,
      operation: "create",
      kind: "rejected",
      code: "1145",
      attempts: 1,
      data: rejectedBy("already_exists", { existing, matches: false })
    },
    {
      event: event("upsert", { ...first, ip: "2001:0db8::000a:0:0:1", region: "us-west-2" }),
      ip,
      operation: "upsert",
      kind: "succeeded",
      code: "upserted",
      attempts: 1,
      data: { result: "upserted", mapping: { ...mapping, region: "us-west-2" }, recovered: false }
    },
    {
      event: event("delete", { zone_id, ip }),
      ip,
      operation: "delete",
      kind: "succeeded",
      code: "deleted",
      attempts: 1,
      data: { result: "deleted", mapping: { ...mapping, region: "us-west-2" }, recovered: false }
    },
    {
      event: event("delete", { zone_id, ip }),
      ip,
      operation: "delete",
      kind: "succeeded",
      code: "unchanged",
      attempts: 1,
      data: { result: "unchanged", mapping: null, recovered: false }
    },
    { event: event("create", { ...first, ip: "010.0.0.1" }), operation: "create", ...invalidIp },
    { event: event("upsert", { zone_id, vendor: "aws", region: "us-east-1" }), operation: "upsert", ...invalidIp },
    { event: event("delete", { zone_id, ip: 7 }), operation: "delete", ...invalidIp },
    {
      event: event("create", { ...second, vendor: "nobody" }),
      ip: other,
      operation: "create",
      ...unsupported,
      attempts: 0
    },
    { event: event("upsert", { zone_id, ip: other }), ip: other, operation: "upsert", ...unsupported, attempts: 0 },
    {
      event: event("create", { ...second, region: null }),
      ip: other,
      operation: "create",
      ...unsupported,
      attempts: 0
    },
    // Only the API knows its regions.
    {
      event: event("create", { ...second, region: "moon-1" }),
      ip: other,
      operation: "create",
      ...unsupported,
      attempts: 1
    },
    {
      event: event("create", second, { type: "dev.origin-regions.mapping.create.v9" }),
      ip: other,
      operation: null,
      kind: "rejected",
      code: "malformed_request",
      attempts: 0,
      data: malformedBy(
        "type",
        "type must be one of dev.origin-regions.mapping.create.v1, dev.origin-regions.mapping.upsert.v1, dev.origin-regions.mapping.delete.v1"
      )
    },
    {
      event: event("create", { ...second, zone_id: "no/zone" }),
      operation: "create",
      kind: "rejected",
      code: "malformed_request",
      attempts: 0,
      data: malformedBy("data.zone_id", "zone_id must be 1 to 32 characters of A-Z a-z 0-9 _ -")
    },
    {
      event: event("create", second, { specversion: "0.3" }),
      ip: other,
      operation: "create",
      kind: "rejected",
      code: "malformed_request",
      attempts: 0,
      data: malformedBy("specversion", "specversion must be \"1.0\"")
    },
    {
      event: event("create", second, { expirytime: "2026-01-01T00:00:00Z" }),
      ip: other,
      operation: "create",
      kind: "failed",
      code: "expired",
      attempts: 0,
      data: {
        error: { name: "expired", message: "The request expired at 2026-01-01T00:00:00.000Z.", attempts: 0 }
      }
    },
    {
      event: event("create", second, { expirytime: "2999-01-01T00:00:00Z" }),
      ip: other,
      operation: "create",
      kind: "succeeded",
      code: "created",
      attempts: 1,
      data: { result: "created", mapping: { ...mapping, origin_ip: other }, recovered: false }
    }
  ]
}

/** What only the run itself can tell, put in its place. */
const withModified = (value: unknown, actual: unknown): unknown => {
  if (value === MODIFIED) {
    assert.match(String(actual), TIMESTAMP)
    return actual
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  const found: object = typeof actual === "object" && actual !== null ? actual : {}
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, withModified(field, Reflect.get(found, name))])
  )
}

const assertOutcome = (
  { event: actual, record }: OutcomeArrival,
  { attempts, code, data, event, ip, kind, operation }: Case,
  topic: string,
  zoneId: string
) => {
  const { request } = actual.data
  assert.match(actual.time, TIMESTAMP)
  assert.match(request.timestamp ?? "", TIMESTAMP)
  const passedOn = ["correlationid", "traceparent", "tracestate"].filter((name) => Object.hasOwn(event, name))
  const expected = {
    specversion: "1.0",
    id: uuidV5(
      OUTCOME_NAMESPACE,
      JSON.stringify([topic, 0, request.offset, event["source"], event["id"]])
    ),
    source: "/origin-regions/consumer/gr%C3%B6%C3%9Fe%26co%2F1",
    type: `dev.origin-regions.mapping.${kind}.v1`,
    ...(ip === undefined ? {} : { subject: `${zoneId}/${ip}` }),
    time: actual.time,
    datacontenttype: "application/json",
    causationid: event["id"],
    ...Object.fromEntries(passedOn.map((name) => [name, event[name]])),
    outcomecode: code,
    data: {
      request: {
        id: event["id"],
        source: event["source"],
        type: event["type"],
        time: event["time"] ?? null,
        topic,
        partition: 0,
        offset: request.offset,
        timestamp: request.timestamp
      },
      operation,
      attempts,
      ...(withModified(data, actual.data) as object)
    }
  }
  assert.deepStrictEqual<unknown>(JSON.parse(text(record.value)), expected)
  assert.strictEqual(text(record.key), ip === undefined ? "the request's own key" : `${zoneId}/${ip}`)
  assert.sameDeepMembers(record.headers.map(({ name, value }) => [name, text(value)]), [
    ["content-type", "application/cloudevents+json; charset=UTF-8"],
    ...Object.entries(expected)
      .filter(([name]) => name !== "data" && name !== "datacontenttype")
      .map(([name, value]) => [`ce_${name}`, String(value)])
  ])
}

/** The dead letter of a request: all of its record behind the headers that say where it comes from. */
const assertLetter = (letter: SourceRecord | undefined, sent: OutgoingRecord, outcome: OutcomeArrival) => {
  const { request } = outcome.event.data
  assert.deepStrictEqual(letter?.key, sent.key)
  assert.deepStrictEqual(letter?.value, sent.value)
  assert.deepStrictEqual(letter?.headers.slice(0, 6).map(({ name, value }) => [name, text(value)]), [
    ["origin-regions-outcome-id", outcome.event.id],
    ["origin-regions-reason", outcome.event.outcomecode],
    ["origin-regions-topic", request.topic],
    ["origin-regions-partition", String(request.partition)],
    ["origin-regions-offset", String(request.offset)],
    ["origin-regions-timestamp", String(request.timestamp)]
  ])
  assert.deepStrictEqual(letter?.headers.slice(6), sent.headers)
}

const letterOf = Effect.fnUntraced(function*({ event }: OutcomeArrival) {
  const { deadLetters } = (yield* Running).topics
  const isIts = (letter: SourceRecord) => text(letter.headers[0]?.value) === event.id
  return (yield* deadLetters.until((all) => all.some(isIts))).find(isIts)
})

const good = (zoneId: string) =>
  recordOf("bare", eventOf("upsert", "good", { zone_id: zoneId, ip: "::1", vendor: "azure", region: "eastus" }))

const header = (name: string, value: Uint8Array | null) => ({ name, value })

/** Every outcome, by a consumer that has been told nothing but this generation. */
const eachCase = Effect.fnUntraced(function*(mode: ContentMode) {
  const zoneId = yield* uniqueZoneId
  const { deadLetters, names } = (yield* Running).topics
  const cases = casesIn(zoneId)
  const sent = cases.map(({ event }) => recordOf(mode, event, "the request's own key"))
  const outcomes = yield* outcomesOf(sent, zoneId)
  assert.lengthOf(outcomes, cases.length)
  for (const [index, each] of cases.entries()) {
    const [outcome, record] = [outcomes[index], sent[index]]
    if (outcome === undefined || record === undefined) return assert.fail("it has none")
    assertOutcome(outcome, each, names.requests, zoneId)
    const isDeadLettered = each.code === "malformed_request" || each.kind === "failed"
    if (isDeadLettered) assertLetter(yield* letterOf(outcome), record, outcome)
    else assert.isFalse(deadLetters.all.some(({ headers }) => text(headers[0]?.value) === outcome.event.id))
  }
})

for (const generation of ["1", "2"]) {
  layer(Running.layer(generation), { excludeTestServices: true, timeout: "2 minutes" })(
    `The consumer, with generation ${generation} of the API,`,
    (it) => {
      for (const mode of contentModes) {
        it.effect(`answers each request in ${mode} mode with its outcome`, () => eachCase(mode))
      }
    }
  )
}

layer(Running.layer("auto"), { excludeTestServices: true, timeout: "2 minutes" })("The consumer", (it) => {
  it.effect("applies the requests of an address one after the other, in their order, however it is spelled", () =>
    Effect.gen(function*() {
      const zoneId = yield* uniqueZoneId
      const { outcomes } = (yield* Running).topics
      const spellings = ["2001:db8::7", "2001:DB8::7", "2001:db8:0:0:0:0:0:7", "2001:0db8::0007", "2001:db8::0.0.0.7"]
      const regions = ["us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", "sa-east-1", "ca-west-1"]
      const wanted = Array.from({ length: 70 }, (_, index) => ({
        ip: spellings[index % spellings.length] ?? "",
        region: regions[index % regions.length] ?? ""
      }))
      const answers = yield* outcomesOf(
        wanted.map(({ ip, region }, index) =>
          recordOf("bare", eventOf("upsert", `${zoneId}-${index}`, { zone_id: zoneId, ip, vendor: "aws", region }))
        ),
        zoneId
      )
      assert.deepStrictEqual([...new Set(answers.map(({ event }) => event.subject))], [`${zoneId}/2001:db8::7`])
      assert.deepStrictEqual(
        (yield* changesOf(yield* Api, zoneId)).map(({ after }) => after?.region),
        wanted.map(({ region }) => region)
      )
      // As they arrive, not only as they were asked for.
      const arrived = outcomes.all.filter(({ event }) => event.subject === `${zoneId}/2001:db8::7`)
      assert.deepStrictEqual(
        arrived.map(({ event }) => event.causationid),
        wanted.map((_, index) => `${zoneId}-${index}`)
      )
    }))

  it.effect("says no to what a full zone has no room for", () =>
    Effect.gen(function*() {
      const zoneId = yield* uniqueZoneId
      const requests = Array.from({ length: 3501 }, (_, index) =>
        recordOf(
          "bare",
          eventOf("create", `${zoneId}-${index}`, {
            zone_id: zoneId,
            ip: `10.7.${index >> 8}.${index & 255}`,
            vendor: "gcp",
            region: "us-east1"
          })
        ))
      const outcomes = yield* outcomesOf(requests, zoneId)
      const refused = outcomes.filter(({ event }) => event.outcomecode !== "created")
      assert.lengthOf(refused, 1)
      assert.deepInclude<object | undefined>(refused[0]?.event.data, rejectedBy("limit_reached"))
      assert.strictEqual(refused[0]?.event.outcomecode, "1164")
    }))

  const deep = "[".repeat(100_000) + "]".repeat(100_000)
  const poison: ReadonlyArray<{ readonly name: string; readonly record: OutgoingRecord }> = [
    { name: "that is no JSON", record: { key: null, value: bytes("{\"id\":"), headers: [] } },
    { name: "that is JSON of another shape", record: { key: bytes("k"), value: bytes("[1,2,{}]"), headers: [] } },
    { name: "without a value", record: { key: bytes("tombstone"), value: null, headers: [] } },
    {
      name: "without a value, in binary mode",
      record: { key: null, value: null, headers: [header("ce_id", bytes("1")), header("ce_id", null)] }
    },
    { name: "that is empty", record: { key: new Uint8Array(), value: new Uint8Array(), headers: [] } },
    { name: "of 1 MB of random bytes", record: { key: null, value: randomBytes(1_000_000), headers: [] } },
    { name: "with a byte order mark", record: { key: null, value: bytes("\u{feff}{}"), headers: [] } },
    { name: "of lists that are 100,000 deep", record: { key: null, value: bytes(deep), headers: [] } },
    {
      name: "with data that is 100,000 deep",
      record: {
        key: null,
        value: bytes(
          JSON.stringify(eventOf("create", "deep", { zone_id: "", deep: "(deep)" })).replace("\"(deep)\"", deep)
        ),
        headers: []
      }
    },
    {
      name: "with headers of 900 KB",
      record: {
        key: null,
        value: bytes("x"),
        headers: [
          header("large", randomBytes(800_000)),
          ...Array.from({ length: 1000 }, () => header("x", randomBytes(90)))
        ]
      }
    },
    { name: "with a key of 900 KB", record: { key: randomBytes(900_000), value: bytes("x"), headers: [] } },
    {
      name: "with headers of all sorts",
      record: {
        key: null,
        value: bytes("x"),
        headers: [
          header("", bytes("")),
          header("a", null),
          header("a", new Uint8Array([0xff])),
          header("__proto__", bytes("1"))
        ]
      }
    }
  ]
  for (const { name, record } of poison) {
    it.effect(`keeps a record ${name} as it is in the dead letters, and goes on`, () =>
      Effect.gen(function*() {
        const zoneId = yield* uniqueZoneId
        const [bad, next] = yield* outcomesOf([record, good(zoneId)], zoneId)
        if (bad === undefined) return assert.fail("it has no outcome")
        assert.strictEqual(bad.event.outcomecode, "malformed_request")
        // Its own key, where that leaves the outcome in bounds.
        const isKept = record.key !== null && record.key.length <= 8192
        assert.deepStrictEqual(bad.record.key, isKept ? record.key : null)
        assert.isBelow(bad.record.value?.length ?? 0, 64 * 1024)
        assertLetter(yield* letterOf(bad), record, bad)
        assert.strictEqual(next?.event.outcomecode, "upserted")
      }))
  }

  it.effect("cuts off the end of a dead letter that would not fit, and says so", () =>
    Effect.gen(function*() {
      const zoneId = yield* uniqueZoneId
      // As much as Kafka takes by default: no room for more headers.
      const record = { key: bytes("k"), value: randomBytes(1_048_400), headers: [] }
      const [bad, next] = yield* outcomesOf([record, good(zoneId)], zoneId)
      if (bad === undefined) return assert.fail("it has no outcome")
      const letter = yield* letterOf(bad)
      assert.deepStrictEqual(letter?.headers.slice(6), [header("origin-regions-truncated", bytes("true"))])
      const kept = letter?.value ?? new Uint8Array()
      assert.isAbove(kept.length, 1_047_000)
      assert.isTrue(Buffer.from(kept).equals(record.value.subarray(0, kept.length)))
      assert.deepStrictEqual(letter?.key, record.key)
      assert.strictEqual(next?.event.outcomecode, "upserted")
    }))

  it.effect("tells how it is", () =>
    Effect.gen(function*() {
      const { address } = yield* Running
      const zoneId = yield* uniqueZoneId
      yield* outcomesOf([good(zoneId)], zoneId)
      const get = (path: string) =>
        Effect.promise(async () => {
          const response = await fetch(`${address}${path}`)
          return { status: response.status, text: await response.text() }
        })
      assert.deepStrictEqual(yield* get("/health/ready"), {
        status: 200,
        text: JSON.stringify({ status: "at work", partitions: [0], explanation: [] })
      })
      const live = yield* get("/health/live")
      assert.strictEqual(live.status, 200)
      assert.match(live.text, /^\{"status":"live","last_contact":"[^"]+Z"\}$/)
      const status = yield* get("/status")
      assert.deepInclude(JSON.parse(status.text), {
        ready: true,
        phase: "at work",
        explanation: [],
        in_flight: 0,
        waiting: 0,
        queued: 0
      })
      const metrics = yield* get("/metrics")
      assert.match(metrics.text, /^origin_regions_consumer_outcomes_total\{code="upserted"\} [1-9]/m)
      assert.match(metrics.text, /^origin_regions_consumer_partitions_assigned 1$/m)
      assert.match(metrics.text, /^origin_regions_consumer_requests_in_flight 0$/m)
      assert.strictEqual((yield* get("/nowhere")).status, 404)
    }))
})
