import { assert, describe, it } from "@effect/vitest"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { CurrentCauses } from "@origin-regions/telemetry/Causes"
import { readTraceContext } from "@origin-regions/telemetry/TraceContext"
import { readTraceSettings, traceSettings } from "@origin-regions/telemetry/TraceSettings"
import * as Traces from "@origin-regions/telemetry/Tracing"
import { collectedBy, makeOtlpCollector } from "@origin-regions/testkit/OtlpCollector"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import type { ServerResponse } from "node:http"
import { connect, httpServer } from "../fixtures/LoopbackServer.ts"

const address = { zone_id: ZoneId.make("zone"), origin_ip: OriginIp.make("192.0.2.1") }

const declared = traceSettings("client")

/** Traces to a collector, until they are ended. */
const tracing = Effect.gen(function*() {
  const collector = yield* makeOtlpCollector
  const reader = new SettingReader(collectedBy(collector))
  const settings = readTraceSettings(reader, declared, reader.readAll(declared))
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(Traces.layer(settings), scope)
  const cause = Context.get(context, Traces.Tracing)?.enter(
    { kind: "consumer", name: "the cause", attributes: {} },
    undefined
  )
  assert.isDefined(cause)
  return { context, cause, collector, end: Scope.close(scope, Exit.void) }
})

const envelope = (code: number, message: string) =>
  JSON.stringify({ success: false, errors: [{ code, message }], messages: [], result: null })

const answers: ReadonlyArray<readonly [string, (response: ServerResponse) => void, object]> = [
  ["an error", (response) => response.writeHead(500).end(envelope(1140, "Internal error.")), {
    status: { code: 2, message: "Internal error. (code 1140)" },
    answer: 500,
    type: "500"
  }],
  [
    "that there is no mapping, as who looks wants to know",
    (response) => response.writeHead(404).end(envelope(1142, "None.")),
    { status: { code: 0 }, answer: 404, type: undefined }
  ],
  ["no answer of the API's", (response) => response.writeHead(200).end("hello"), {
    status: { code: 2, message: "status 200 with a body of no content type that is no envelope" },
    answer: 200,
    type: "InvalidResponse"
  }],
  ["nothing", (response) => response.destroy(), {
    status: { code: 2, message: "no answer after the request was sent: other side closed" },
    answer: undefined,
    type: "Unreachable"
  }]
]

describe("The span of a call", () => {
  it.live.each(answers)("says what came of it: %s", ([, answer, expected]) =>
    Effect.gen(function*() {
      const { cause, collector, context, end } = yield* tracing
      const server = yield* httpServer
      const api = yield* Effect.provideContext(connect(server.url), context)
      const calling = yield* api.get(address).pipe(
        Effect.provideService(CurrentCauses, { spans: [cause], resends: 2 }),
        Effect.exit,
        Effect.forkChild
      )
      const { request, response } = yield* server.next
      const told = readTraceContext(String(request.headers["traceparent"]))
      answer(response)
      yield* Fiber.join(calling)
      yield* end
      const [span, ...others] = collector.spans
      assert.isEmpty(others)
      assert.isDefined(span)
      assert.deepStrictEqual({
        status: span.status,
        answer: span.attributes["http.response.status_code"],
        type: span.attributes["error.type"]
      }, expected)
      assert.strictEqual(span.attributes["http.request.resend_count"], 2)
      assert.strictEqual(span.parentSpanId, cause.spanId)
      assert.deepStrictEqual(told, {
        traceId: cause.traceId,
        spanId: span.spanId,
        isSampled: true,
        traceState: undefined
      })
    }))

  it.live("ends where the call is given up", () =>
    Effect.gen(function*() {
      const { cause, collector, context, end } = yield* tracing
      const server = yield* httpServer
      const api = yield* Effect.provideContext(connect(server.url), context)
      const calling = yield* api.get(address).pipe(
        Effect.provideService(CurrentCauses, { spans: [cause], resends: 0 }),
        Effect.forkChild
      )
      yield* server.next
      yield* Fiber.interrupt(calling)
      yield* end
      const [span] = collector.spans
      assert.deepStrictEqual(span?.status, { code: 2, message: "the call was given up" })
      assert.isUndefined(span?.attributes["http.request.resend_count"])
    }))

  it.live("is none where nobody records its cause, and the API is told so", () =>
    Effect.gen(function*() {
      const { collector, context, end } = yield* tracing
      const server = yield* httpServer
      const api = yield* Effect.provideContext(connect(server.url), context)
      yield* Effect.forkChild(Effect.exit(api.get(address)))
      const { request } = yield* server.next
      assert.strictEqual(readTraceContext(String(request.headers["traceparent"]))?.isSampled, false)
      yield* end
      assert.isEmpty(collector.requests)
    }))

  it.live("is none without traces, of which the API hears nothing", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const api = yield* connect(server.url)
      yield* Effect.forkChild(Effect.exit(api.get(address)))
      const { request } = yield* server.next
      assert.isUndefined(request.headers["traceparent"])
    }))
})
