import { Clock, Context, Effect, Layer, Random } from "effect"
import { FetchHttpClient } from "effect/http"
import { OtlpSerialization } from "effect/observability"
import { makeSpanExporter } from "./internal/SpanExporter.ts"
import { isSampled } from "./Sampler.ts"
import { Span, type SpanOptions } from "./Span.ts"
import { type TraceContext, traceparentOf } from "./TraceContext.ts"
import type { TraceSettings } from "./TraceSettings.ts"

/** Makes spans. Plain functions: they run for every request. */
export interface Tracing {
  /** A span where a request comes in, below `parent` if it came with one; `undefined` where it is not to be recorded. */
  readonly enter: (options: SpanOptions, parent: TraceContext | undefined) => Span | undefined
  /**
   * A span of what is done on behalf of others: below the one, or, on behalf of many, in a trace of its own, with links between it and each of
   * them, as it has no one parent.
   */
  readonly below: (options: SpanOptions, causes: readonly [Span, ...ReadonlyArray<Span>]) => Span
  /** What a call carries that is not recorded, so that nobody behind it records a part of it. */
  readonly unrecorded: ReadonlyArray<string>
}

/** `undefined` where there are no traces, as everywhere unless a program provides it. */
export const Tracing = Context.Reference<Tracing | undefined>("@origin-regions/telemetry/Tracing", {
  defaultValue: () => undefined
})

const make = Effect.fnUntraced(function*(settings: TraceSettings) {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const ended = yield* makeSpanExporter(settings)
  const now = () => clock.currentTimeNanosUnsafe()
  const word = () => Math.floor(random.nextDoubleUnsafe() * 2 ** 32).toString(16).padStart(8, "0")
  // All zeros would be no id; that chance is taken.
  const newSpanId = () => word() + word()
  const newTraceId = () => newSpanId() + newSpanId()

  const begin = (options: SpanOptions, traceId: string, parent: TraceContext | undefined) =>
    new Span(options, { traceId, spanId: newSpanId(), parent }, now, ended)

  const tracing: Tracing = {
    enter: (options, parent) => {
      const traceId = parent?.traceId ?? newTraceId()
      return isSampled(settings.sampler, parent, traceId) ? begin(options, traceId, parent) : undefined
    },
    below: (options, causes) => {
      const [first, ...others] = causes
      if (others.length === 0) return begin(options, first.traceId, first)
      const span = begin(options, newTraceId(), undefined)
      for (const cause of causes) {
        span.link(cause)
        cause.link(span)
      }
      return span
    },
    unrecorded: [
      "traceparent",
      traceparentOf({ traceId: newTraceId(), spanId: newSpanId(), isSampled: false })
    ]
  }
  return tracing
})

const serializations = {
  "http/protobuf": OtlpSerialization.layerProtobuf,
  "http/json": OtlpSerialization.layerJson
} as const

/** Traces by OTLP, where there are settings for them. What has ended is sent, for a moment, when the scope closes. */
export const layer = (settings: TraceSettings | undefined): Layer.Layer<never> =>
  settings === undefined
    ? Layer.empty
    : Layer.effect(Tracing, make(settings)).pipe(
      Layer.provide([FetchHttpClient.layer, serializations[settings.protocol]])
    )
