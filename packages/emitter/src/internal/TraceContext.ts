import { Effect, Option } from "effect"

const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/
const SPAN_ID = /^(?!0{16})[0-9a-f]{16}$/

/**
 * The `traceparent` of the span that we are in, where that is part of a trace that somebody else has begun: our own span alone would be a trace that
 * nobody asked for. Source: W3C Trace Context, section 3.2.
 */
export const currentTraceparent: Effect.Effect<string | undefined> = Effect.map(
  Effect.option(Effect.currentSpan),
  (current) => {
    if (Option.isNone(current) || Option.isNone(current.value.parent)) return undefined
    const { sampled, spanId, traceId } = current.value
    if (!TRACE_ID.test(traceId) || !SPAN_ID.test(spanId)) return undefined
    return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
  }
)
