import { assert, describe, it } from "@effect/vitest"
import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { rejectedByRule } from "@origin-regions/domain/MappingOutcome"
import { Context, Effect, Exit, Fiber, Layer, Scope, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { Emitter } from "./Emitter.ts"
import type { EmitterError } from "./EmitterError.ts"
import type { KafkaPort, OutcomeRecord, RequestRecord } from "./EmitterKafka.ts"
import { heldKafka } from "./fixtures/HeldKafka.ts"
import { memoryKafka } from "./MemoryKafka.ts"
import type { RequestDraft } from "./RequestDraft.ts"

const zone_id = "023e105f4ecef8ad9ca31a8372d0c353"

const create = (ip: string, more: object = {}): RequestDraft => ({
  operation: "create",
  zone_id,
  ip,
  vendor: "aws",
  region: "us-east-1",
  ...more
})

const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => create(`192.0.${index >> 8}.${index & 255}`))

/** An emitter that lives as long as the test, or until its scope is closed. */
const emitterOn = (kafka: KafkaPort) =>
  Effect.map(Layer.build(Emitter.layer({ source: "/test", kafka })), Context.get(Emitter))

/** One whose sends the test holds. */
const heldEmitter = Effect.gen(function*() {
  const kafka = heldKafka()
  const emitter = yield* emitterOn(kafka.port)
  yield* Effect.addFinalizer(() => Effect.sync(kafka.letGo))
  return { emitter, kafka }
})

/** Runs until it has to wait: what it has to send is in the queue then. */
const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const reasonOf = <A>(effect: Effect.Effect<A, EmitterError>) => Effect.map(Effect.flip(effect), ({ reason }) => reason)

const idsOf = (records: ReadonlyArray<RequestRecord>): ReadonlyArray<string> =>
  records.map(({ value }) => JSON.parse(value).id)

/** The records of successful outcomes, as the topic has them, for requests of this source. */
const outcomesFrom = Effect.fnUntraced(function*(source: string, ids: ReadonlyArray<string>) {
  const records: Array<OutcomeRecord> = []
  const kafka = memoryKafka()
  yield* Effect.promise(async () =>
    kafka.subscribe?.("", { received: (record) => records.push(record), failed: () => {} })
  )
  const context = yield* Layer.build(Emitter.layer({ source, kafka }))
  yield* Context.get(context, Emitter).emitAll(ids.map((id) => create("::1", { id })))
  return records
})

describe("emit", () => {
  it.effect("completes a request, and keys it by the zone and the address in canonical form", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.parse("2026-11-24T12:00:00Z"))
      const { emitter, kafka } = yield* heldEmitter
      const emitting = yield* begin(emitter.emit(create("2001:DB8:0:0::10", { correlationid: "order-7" })))
      const { end, records } = yield* kafka.nextSend
      end()
      const request = yield* Fiber.join(emitting)
      assert.match(request.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.deepStrictEqual<unknown>(request, {
        specversion: "1.0",
        id: request.id,
        source: "/test",
        type: "dev.origin-regions.mapping.create.v1",
        time: "2026-11-24T12:00:00.000Z",
        correlationid: "order-7",
        data: { zone_id, ip: "2001:DB8:0:0::10", vendor: "aws", region: "us-east-1" }
      })
      const [record] = records
      assert.deepStrictEqual<unknown>(record, {
        topic: "origin-regions.requests",
        key: `${zone_id}/2001:db8::10`,
        value: JSON.stringify(request),
        headers: { "content-type": "application/cloudevents+json; charset=UTF-8" }
      })
    }))

  it.effect("leaves what is given as it is", () =>
    Effect.gen(function*() {
      const emitter = yield* emitterOn(memoryKafka())
      const given = {
        id: "req-1",
        time: "2020-01-01T00:00:00Z",
        expirytime: "2030-01-31T12:00:00Z",
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        tracestate: "a=b"
      }
      const request = yield* Effect.withSpan(
        emitter.emit({ operation: "delete", zone_id, ip: "::1", ...given }),
        "mine"
      )
      assert.deepInclude(request, { ...given, type: "dev.origin-regions.mapping.delete.v1" })
      assert.deepStrictEqual<unknown>(request.data, { zone_id, ip: "::1" })
    }))

  it.effect("takes the trace of the span that it is in, and begins none of its own", () =>
    Effect.gen(function*() {
      const emitter = yield* emitterOn(memoryKafka())
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
      const parent = Tracer.externalSpan({ traceId, spanId: "00f067aa0ba902b7", sampled: false })
      const traced = yield* Effect.withParentSpan(emitter.emit(create("::1")), parent)
      assert.match(traced.traceparent ?? "", new RegExp(`^00-${traceId}-(?!00f067aa0ba902b7)[0-9a-f]{16}-00$`))
      assert.notProperty(yield* emitter.emit(create("::1")), "traceparent")
      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          spans.push(`${options.kind} ${options.name}`)
          return new Tracer.NativeSpan(options)
        }
      })
      yield* Effect.withTracer(emitter.emit(create("::1")), tracer)
      assert.deepStrictEqual(spans, ["producer send origin-regions.requests"])
      const odd = Tracer.externalSpan({ traceId: "of another system", spanId: "1" })
      assert.notProperty(yield* Effect.withParentSpan(emitter.emit(create("::1")), odd), "traceparent")
    }))

  it.effect("names every problem of a request, and sends nothing", () =>
    Effect.gen(function*() {
      const kafka = memoryKafka()
      const emitter = yield* emitterOn(kafka)
      const error = yield* Effect.flip(emitter.emit({
        operation: "create",
        zone_id: "a/b",
        ip: "192.0.2.1/32",
        vendor: "AWS",
        expiryTime: "tomorrow",
        expirytime: "tomorrow"
      } as never))
      assert.deepStrictEqual(
        error.reason._tag === "InvalidRequests" && error.reason.problems.map(({ message }) => message),
        [
          "expiryTime is no field of a create: leave it out",
          "expirytime must be an RFC 3339 timestamp, such as 2030-01-31T12:00:00Z, not \"tomorrow\"",
          "zone_id must be 1 to 32 characters of A-Z a-z 0-9 _ -, not \"a/b\"",
          "ip must be an IPv4 or IPv6 address, not \"192.0.2.1/32\"",
          "vendor must be one of aws, azure, gcp, oci, not \"AWS\"",
          "region must be a cloud's name for a region, such as us-east-1"
        ]
      )
      assert.match(error.message, /^Nothing was sent: expiryTime is no field/)
      assert.strictEqual(error.sent, "no")
      assert.deepStrictEqual(kafka.requests, [])
    }))

  it.effect("takes nothing that is no request, whatever JavaScript gives", () =>
    Effect.gen(function*() {
      const emitter = yield* emitterOn(memoryKafka())
      const problem = (draft: unknown) =>
        Effect.map(Effect.flip(emitter.emit(draft as never)), ({ message }) => message)
      assert.strictEqual(yield* problem(null), "Nothing was sent: request must be an object, not null")
      assert.strictEqual(
        yield* problem({ operation: "move" }),
        "Nothing was sent: operation must be one of create, upsert, delete, not \"move\""
      )
      assert.include(yield* problem({ operation: "delete", zone_id: ["z"], ip: 1n }), "ip must be an IPv4")
      const unnamed = yield* Layer.build(Emitter.layer({ source: "", kafka: memoryKafka() }))
      assert.strictEqual(
        (yield* Effect.flip(Context.get(unnamed, Emitter).emit(create("::1")))).message,
        "Nothing was sent: source must be a text of 1 to 1,024 characters, none of them a control character, not \"\""
      )
    }))
})

describe("emitAll", () => {
  it.effect("sends in order, and nothing where one of them has a problem", () =>
    Effect.gen(function*() {
      const kafka = memoryKafka()
      const emitter = yield* emitterOn(kafka)
      const error = yield* Effect.flip(emitter.emitAll([create("::1"), create("x"), create("::2", { vendor: "y" })]))
      assert.strictEqual(
        error.message,
        "Nothing was sent: request 1: ip must be an IPv4 or IPv6 address, not \"x\"; "
          + "request 2: vendor must be one of aws, azure, gcp, oci, not \"y\""
      )
      const many = yield* Effect.flip(emitter.emitAll(Array.from({ length: 12 }, () => create("x"))))
      assert.match(many.message, /; request 9: .*; and 2 more$/)
      assert.deepStrictEqual(kafka.requests, [])
      const requests = yield* emitter.emitAll(numbered(1200))
      assert.deepStrictEqual(kafka.requests, requests)
      assert.deepStrictEqual(requests.map(({ data }) => data.ip), numbered(1200).map(({ ip }) => ip))
      assert.deepStrictEqual(yield* emitter.emitAll([]), [])
    }))

  it.effect("says how many are written where one of its sends fails, and sends no more", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const emitting = yield* begin(reasonOf(emitter.emitAll(numbered(1500))))
      const first = yield* kafka.nextSend
      first.end()
      const second = yield* kafka.nextSend
      second.end(new Error("no broker answers"))
      const reason = yield* Fiber.join(emitting)
      const [written, doubtful] = [first.records.length, second.records.length]
      assert.deepInclude(reason, { _tag: "SendFailed", written, doubtful, sent: "maybe" })
      assert.strictEqual(
        reason.message,
        `Kafka did not acknowledge: no broker answers. Of 1500 requests ${written} were sent, and ${doubtful} may have been`
      )
      assert.isBelow(first.records.length + second.records.length, 1500)
      const next = yield* begin(emitter.emit(create("::1", { id: "next" })))
      const third = yield* kafka.nextSend
      assert.deepStrictEqual(idsOf(third.records), ["next"])
      third.end(new Error("it has gone"))
      assert.strictEqual(
        (yield* Effect.flip(Fiber.join(next))).message,
        "Kafka did not acknowledge: it has gone. The request may have been sent, and may still be applied"
      )
    }))
})

describe("Sends under load", () => {
  it.effect("go together with what comes while another is under way", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const emit = (id: string) => begin(emitter.emit(create("::1", { id })))
      const emitting = [yield* emit("a")]
      const first = yield* kafka.nextSend
      assert.deepStrictEqual(idsOf(first.records), ["a"])
      for (const id of ["b", "c", "d"]) emitting.push(yield* emit(id))
      first.end()
      const second = yield* kafka.nextSend
      assert.deepStrictEqual(idsOf(second.records), ["b", "c", "d"])
      second.end()
      yield* Effect.forEach(emitting, Fiber.join)
    }))

  it.effect("wait where too many wait already, and leave out what was withdrawn", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const ids = Array.from({ length: 1500 }, (_, index) => String(index))
      yield* begin(emitter.emit(create("::1")))
      const first = yield* kafka.nextSend
      const emitting = yield* Effect.forEach(ids, (id) => begin(emitter.emit(create("::1", { id }))))
      const withdrawn = ["1", "600", "1499"]
      yield* Effect.forEach(withdrawn, (id) => Fiber.interrupt(emitting[Number(id)] ?? assert.fail()))
      first.end()
      const sent: Array<string> = []
      while (sent.length < ids.length - withdrawn.length) {
        const { end, records } = yield* kafka.nextSend
        assert.isAtMost(records.length, 512)
        sent.push(...idsOf(records))
        end()
      }
      assert.deepStrictEqual(sent, ids.filter((id) => !withdrawn.includes(id)))
    }))

  it.effect("are small enough for a broker, however large their requests are", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const large = { correlationid: "€".repeat(1024), tracestate: "€".repeat(1024) }
      const emitting = yield* begin(emitter.emitAll(numbered(300).map((draft) => ({ ...draft, ...large }))))
      let sent = 0
      while (sent < 300) {
        const { end, records } = yield* kafka.nextSend
        assert.isBelow(Buffer.byteLength(records.map(({ value }) => value).join("")), 512 * 1024)
        sent += records.length
        end()
      }
      yield* Fiber.join(emitting)
    }))
})

describe("A client", () => {
  const key = `${zone_id}/192.0.2.1`
  const right = keyPartition(new TextEncoder().encode(key), 12)

  it.effect("with another partitioner than Java's is found out", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const emitting = yield* begin(reasonOf(emitter.emit(create("192.0.2.1"))))
      const wrong = (right + 1) % 12
      ;(yield* kafka.nextSend).end({ partitions: [wrong], of: 12 })
      assert.deepInclude(yield* Fiber.join(emitting), {
        _tag: "WrongPartitions",
        expected: [right],
        found: [wrong],
        sent: "yes"
      })
    }))

  it.effect("that leaves a partition out has not written everything", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const emitting = yield* begin(reasonOf(emitter.emitAll(numbered(100))))
      const [first, second] = [yield* kafka.nextSend, yield* begin(kafka.nextSend)]
      first.end({ partitions: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].filter((partition) => partition !== right), of: 11 })
      const reason = yield* Fiber.join(emitting)
      assert.strictEqual(reason._tag, "SendFailed")
      assert.match(reason.message, /partition \d+ acknowledged nothing/)
      yield* Fiber.interrupt(second)
    }))
})

describe("request", () => {
  it.effect("yields the outcome, whichever it is", () =>
    Effect.gen(function*() {
      const kafka = memoryKafka(({ id }) =>
        id === "no"
          ? rejectedByRule("unsupported_region")
          : id === "never"
          ? { _tag: "Failed", name: "expired", message: "too late" }
          : { _tag: "Succeeded", result: "created", mapping: null, recovered: true }
      )
      const { request } = yield* emitterOn(kafka)
      const outcomes = yield* Effect.forEach(["yes", "no", "never"], (id) => request(create("::1", { id })))
      assert.deepStrictEqual(
        outcomes.map(({ event, status }) => [status, event.causationid, event.outcomecode]),
        [["succeeded", "yes", "created"], ["rejected", "no", "1157"], ["failed", "never", "expired"]]
      )
      const [yes, no, never] = outcomes
      assert.isTrue(yes?.status === "succeeded" && yes.recovered && yes.result === "created" && yes.attempts === 1)
      assert.isTrue(no?.status === "rejected" && no.error.code === 1157)
      assert.isTrue(never?.status === "failed" && never.error.name === "expired")
    }))

  it.effect("reads before it sends, with one reader for all, and only its own outcomes", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const requests = yield* Effect.forEach(["a", "b"], (id) => begin(emitter.request(create("::1", { id }))))
      ;(yield* kafka.nextSend).end()
      assert.deepStrictEqual(kafka.events, ["subscribe origin-regions.outcomes", "send 2"])
      const theirs = yield* outcomesFrom("/theirs", ["a"])
      const ours = yield* outcomesFrom("/test", ["other", "b", "a"])
      const [subscriber] = kafka.subscribers
      for (const record of [...theirs, { value: null, headers: {} }, ...ours]) subscriber?.received(record)
      const outcomes = yield* Effect.forEach(requests, Fiber.join)
      assert.deepStrictEqual(
        outcomes.map(({ event }) => [event.causationid, event.data.request.source]),
        [["a", "/test"], ["b", "/test"]]
      )
    }))

  it.effect("takes headers in any form that clients have them in", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const forms = [(id: string) => id, (id: string) => Buffer.from(id), (id: string) => ["other", Buffer.from(id)]]
      for (const form of forms) {
        const requesting = yield* begin(emitter.request(create("::1", { id: "a" })))
        ;(yield* kafka.nextSend).end()
        for (const { value } of yield* outcomesFrom("/test", ["a"])) {
          kafka.subscribers[0]?.received({ value, headers: { ce_causationid: form("a") } })
        }
        assert.strictEqual((yield* Fiber.join(requesting)).status, "succeeded")
      }
    }))

  it.effect("is awaited once at a time", () =>
    Effect.gen(function*() {
      const { emitter } = yield* heldEmitter
      yield* begin(emitter.request(create("::1", { id: "a" })))
      assert.deepInclude(yield* reasonOf(emitter.request(create("::1", { id: "a" }))), {
        _tag: "InvalidRequests",
        sent: "no"
      })
    }))

  it.effect("says with a deadline what may still happen: nothing, perhaps something, or what was asked for", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const request = (id: string) => begin(reasonOf(emitter.request(create("::1", { id }), { timeout: "5 seconds" })))
      const sent = yield* request("sent")
      ;(yield* kafka.nextSend).end()
      const underWay = yield* request("under way")
      const second = yield* kafka.nextSend
      const queued = yield* request("queued")
      yield* TestClock.adjust("5 seconds")
      const reasons = yield* Effect.forEach([sent, underWay, queued], Fiber.join)
      assert.deepStrictEqual(
        reasons.map((reason) => [reason._tag, reason.sent, reason.message]),
        [
          [
            "NoOutcome",
            "yes",
            `The request sent: no outcome before the deadline. It was sent, and may still be applied`
          ],
          [
            "NoOutcome",
            "maybe",
            `The request under way: no outcome before the deadline. It may have been sent, and may still be applied`
          ],
          ["NoOutcome", "no", `The request queued: no outcome before the deadline. It was not sent`]
        ]
      )
      second.end()
      yield* begin(emitter.emit(create("::1", { id: "after" })))
      assert.deepStrictEqual(idsOf((yield* kafka.nextSend).records), ["after"])
    }))

  it.effect("ends for everybody where the outcomes can't be read any more, and begins anew with the next", () =>
    Effect.gen(function*() {
      const { emitter, kafka } = yield* heldEmitter
      const requesting = yield* begin(reasonOf(emitter.request(create("::1"))))
      ;(yield* kafka.nextSend).end()
      yield* Effect.yieldNow
      kafka.subscribers[0]?.failed(new Error("not authorized"))
      assert.deepInclude(yield* Fiber.join(requesting), { detail: "not authorized", sent: "yes" })
      yield* begin(emitter.request(create("::1")))
      yield* kafka.nextSend
      assert.strictEqual(kafka.subscribers.length, 2)
    }))

  it.effect("is not sent where its outcome could not be read", () =>
    Effect.gen(function*() {
      const kafka = memoryKafka()
      const failing = yield* emitterOn({
        send: kafka.send,
        subscribe: async () => {
          throw new Error("no such topic")
        }
      })
      assert.deepInclude(yield* reasonOf(failing.request(create("::1"))), { detail: "no such topic", sent: "no" })
      const writing = yield* emitterOn({ send: kafka.send })
      assert.deepInclude(yield* reasonOf(writing.request(create("::1"))), { _tag: "OutcomesUnreadable", sent: "no" })
      assert.deepStrictEqual(kafka.requests, [])
    }))
})

describe("Closing", () => {
  it.effect("sends what was accepted, refuses more, ends what waits, and then the client", () =>
    Effect.gen(function*() {
      const kafka = heldKafka()
      const scope = yield* Scope.make()
      const emitter = yield* Scope.provide(emitterOn(kafka.port), scope)
      const requesting = yield* begin(reasonOf(emitter.request(create("::1", { id: "a" }))))
      const first = yield* kafka.nextSend
      const emitting = yield* begin(emitter.emit(create("::1", { id: "b" })))
      const closing = yield* begin(Scope.close(scope, Exit.void))
      assert.deepInclude(yield* reasonOf(emitter.emit(create("::1"))), { _tag: "EmitterClosed", sent: "no" })
      first.end()
      const second = yield* kafka.nextSend
      assert.deepStrictEqual(idsOf(second.records), ["b"])
      second.end()
      assert.strictEqual((yield* Fiber.join(emitting)).id, "b")
      yield* Fiber.join(closing)
      assert.deepInclude(yield* Fiber.join(requesting), { _tag: "EmitterClosed", sent: "yes" })
      assert.deepStrictEqual(kafka.events.slice(-2), ["unsubscribe", "close"])
    }))
})

describe("layerTest", () => {
  const kafka = memoryKafka()

  it.effect("needs no Kafka, and shows what was sent", () =>
    Effect.gen(function*() {
      const { request } = yield* Emitter
      const outcome = yield* request({ operation: "upsert", zone_id, ip: "2001:DB8::1", vendor: "gcp", region: "r" })
      assert.isTrue(outcome.status === "succeeded" && outcome.result === "upserted")
      assert.strictEqual(outcome.event.subject, `${zone_id}/2001:db8::1`)
      assert.deepStrictEqual(kafka.requests.map(({ id }) => id), [outcome.event.causationid ?? ""])
    }).pipe(Effect.provide(Emitter.layerTest(kafka))))
})
