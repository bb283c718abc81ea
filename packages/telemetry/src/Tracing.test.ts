import { assert, describe, it } from "@effect/vitest"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { serveOnLoopback } from "@origin-regions/testkit/LoopbackServer"
import { collectedBy, makeOtlpCollector } from "@origin-regions/testkit/OtlpCollector"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { buffer } from "node:stream/consumers"
import { readTraceContext, traceparentOf } from "./TraceContext.ts"
import { readTraceSettings, traceSettings } from "./TraceSettings.ts"
import * as Traces from "./Tracing.ts"

const declared = traceSettings("some-program")

/** Traces as the environment says, until they are ended; and what is logged of them. */
const tracingTo = Effect.fnUntraced(function*(environment: Readonly<Record<string, string>>) {
  const reader = new SettingReader(environment)
  const settings = readTraceSettings(reader, declared, reader.readAll(declared))
  const lines: Array<string> = []
  const log = Logger.layer([Logger.make(({ message }) => {
    lines.push(String(message))
  })])
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(Layer.provideMerge(Traces.layer(settings), log), scope)
  const tracing = Context.get(context, Traces.Tracing)
  assert.isDefined(tracing)
  return { tracing, lines, end: Scope.close(scope, Exit.void) }
})

const span = (name: string) => ({ kind: "consumer", name, attributes: {} }) as const

describe("Traces", () => {
  it.live("are sent to the collector when they end, with what they say", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      const { end, tracing } = yield* tracingTo({
        ...collectedBy(collector),
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc",
        OTEL_RESOURCE_ATTRIBUTES: "service.namespace=edge"
      })
      const parent = readTraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")
      const one = tracing.enter(span("one"), parent)
      const other = tracing.enter(span("other"), undefined)
      tracing.enter(span("never ended"), undefined)
      assert.isDefined(one)
      assert.isDefined(other)
      one.set({ text: "x".repeat(1_000), number: 17, share: 0.5, list: ["a", "b"], yes: true, nothing: undefined })
      const call = tracing.below({ kind: "client", name: "call", attributes: {} }, [one])
      const batch = tracing.below({ kind: "client", name: "batch", attributes: {} }, [one, other])
      assert.deepStrictEqual(call.headers, ["traceparent", traceparentOf(call), "tracestate", "a=b"])
      assert.deepStrictEqual(batch.headers, ["traceparent", traceparentOf(batch)])
      call.end("no answer")
      batch.end()
      one.end()
      one.end()
      other.end()
      yield* collector.until((spans) => spans.length >= 4)
      yield* end

      const named = new Map(collector.spans.map((each) => [each.name, each]))
      assert.lengthOf(collector.spans, 4)
      assert.deepStrictEqual(named.get("one")?.attributes, {
        text: "x".repeat(256),
        number: 17,
        share: 0.5,
        list: ["a", "b"],
        yes: true
      })
      assert.strictEqual(named.get("one")?.traceId, parent?.traceId)
      assert.strictEqual(named.get("one")?.parentSpanId, parent?.spanId)
      assert.deepStrictEqual(named.get("one")?.links.map(({ spanId }) => spanId), [batch.spanId])
      assert.deepStrictEqual(named.get("call")?.status, { code: 2, message: "no answer" })
      assert.strictEqual(named.get("call")?.parentSpanId, one.spanId)
      assert.strictEqual(named.get("call")?.traceId, one.traceId)
      assert.isUndefined(named.get("batch")?.parentSpanId)
      assert.deepStrictEqual(named.get("batch")?.links.map(({ spanId }) => spanId), [one.spanId, other.spanId])
      assert.notInclude([one.traceId, other.traceId], batch.traceId)
      assert.isTrue((named.get("one")?.duration ?? 0n) > 0n)
      assert.strictEqual(named.get("one")?.resource["service.namespace"], "edge")
      assert.strictEqual(named.get("one")?.service, "some-program")
      for (const { headers, path } of collector.requests) {
        assert.strictEqual(path, "/v1/traces")
        assert.strictEqual(headers.authorization, "Bearer abc")
        assert.isUndefined(headers["traceparent"])
      }
    }))

  it.live("are written in Protocol Buffers unless JSON is asked for", () =>
    Effect.gen(function*() {
      const bodies: Array<Buffer> = []
      const types: Array<string | undefined> = []
      const endpoint = yield* serveOnLoopback((request, response) => {
        types.push(request.headers["content-type"])
        void buffer(request).then((body) => {
          bodies.push(body)
          response.end()
        })
      })
      const { end, tracing } = yield* tracingTo({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
      const one = tracing.enter(span("one of a kind"), undefined)
      one?.end()
      yield* end
      assert.deepStrictEqual(types, ["application/x-protobuf"])
      assert.include(bodies[0]?.toString("latin1") ?? "", "one of a kind")
      assert.include(bodies[0]?.toString("hex") ?? "", one?.traceId ?? "no span")
    }))

  it.live("are sent again where the collector fails for a moment", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      const { answer } = collector
      collector.answer = (response) => {
        collector.answer = answer
        response.writeHead(503).end()
      }
      const { end, lines, tracing } = yield* tracingTo(collectedBy(collector))
      tracing.enter(span("one"), undefined)?.end()
      yield* collector.until((spans) => spans.length >= 2)
      yield* end
      assert.lengthOf(collector.requests, 2)
      assert.isEmpty(lines)
    }))

  it.live("are kept up to a bound, and one line says what is lost", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      const { end, lines, tracing } = yield* tracingTo(collectedBy(collector))
      for (let number = 0; number < 6_000; number++) tracing.enter(span(`${number}`), undefined)?.end()
      yield* collector.until((spans) => spans.length >= 4_096)
      yield* end
      assert.deepStrictEqual(
        collector.spans.map(({ name }) => name),
        Array.from({ length: 4_096 }, (_, number) => `${number}`)
      )
      assert.deepStrictEqual(lines, [
        `Traces are lost: 1904 spans could not be sent to ${collector.endpoint}/v1/traces: it is too slow`
      ])
    }))

  it.live("hold up no end, whatever the collector does", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      collector.answer = () => {}
      const { end, lines, tracing } = yield* tracingTo(collectedBy(collector))
      for (let number = 0; number < 600; number++) tracing.enter(span("one"), undefined)?.end()
      // One request is under way.
      yield* collector.until((spans) => spans.length >= 512)
      yield* end
      assert.deepStrictEqual(lines, [
        `Traces are lost: 600 spans could not be sent to ${collector.endpoint}/v1/traces: no answer within 1s at the end`
      ])
    }))

  it.live("say why a collector doesn't take them", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      collector.answer = (response) => {
        response.writeHead(401).end()
      }
      const { end, lines, tracing } = yield* tracingTo(collectedBy(collector))
      tracing.enter(span("one"), undefined)?.end()
      yield* end
      assert.lengthOf(lines, 1)
      assert.match(lines[0] ?? "", /^Traces are lost: 1 spans could not be sent to http:.*401/)
    }))

  it.effect("are none without settings", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* Traces.Tracing)
      const context = yield* Layer.build(Traces.layer(undefined))
      assert.isUndefined(Context.get(context, Traces.Tracing))
    }))
})
