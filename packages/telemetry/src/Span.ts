import type { OtlpTracer } from "effect/observability"
import { entriesToAttributes } from "effect/observability/OtlpResource"
import { type TraceContext, traceparentOf } from "./TraceContext.ts"

/** The kinds of OpenTelemetry that there are here, by their numbers on the wire. */
const kinds = { server: 2, client: 3, consumer: 5 } as const

export type SpanKind = keyof typeof kinds

export type AttributeValue = string | number | boolean | ReadonlyArray<string>

export type Attributes = Readonly<Record<string, AttributeValue | undefined>>

/** A span as OTLP has it. */
export type OtlpSpan = OtlpTracer.TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"][number]

export interface SpanOptions {
  readonly kind: SpanKind
  readonly name: string
  readonly attributes: Attributes
}

/** Texts of others are as long as they like. */
const MAX_TEXT = 256

const STATUS = { unset: 0, error: 2 } as const

const bounded = (value: AttributeValue): AttributeValue =>
  typeof value === "string" && value.length > MAX_TEXT ? value.slice(0, MAX_TEXT) : value

/** A recorded span under way: plain code, made only where it is recorded. One that never ends is never told of. */
export class Span implements TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly isSampled = true
  readonly traceState: string | undefined
  name: string
  readonly #parentSpanId: string | undefined
  readonly #kind: SpanKind
  readonly #startedAt: bigint
  readonly #now: () => bigint
  readonly #ended: (span: OtlpSpan) => void
  readonly #attributes = new Map<string, AttributeValue>()
  readonly #links: Array<TraceContext> = []
  #isOver = false

  /** `now` is in nanoseconds since 1970; `ended` is told what the span came to. */
  constructor(
    { attributes, kind, name }: SpanOptions,
    place: { readonly traceId: string; readonly spanId: string; readonly parent: TraceContext | undefined },
    now: () => bigint,
    ended: (span: OtlpSpan) => void
  ) {
    this.traceId = place.traceId
    this.spanId = place.spanId
    this.traceState = place.parent?.traceState
    this.name = name
    this.#parentSpanId = place.parent?.spanId
    this.#kind = kind
    this.#startedAt = now()
    this.#now = now
    this.#ended = ended
    this.set(attributes)
  }

  /** What a call on behalf of this span carries, as alternating names and values. */
  get headers(): ReadonlyArray<string> {
    const traceparent = ["traceparent", traceparentOf(this)]
    return this.traceState === undefined ? traceparent : [...traceparent, "tracestate", this.traceState]
  }

  set(attributes: Attributes): void {
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined) this.#attributes.set(key, bounded(value))
    }
  }

  /** Says that the two belong together although neither caused the other. */
  link(other: TraceContext): void {
    this.#links.push(other)
  }

  /** Ends it, as a failure where `error` says why. */
  end(error?: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#ended({
      traceId: this.traceId,
      spanId: this.spanId,
      parentSpanId: this.#parentSpanId,
      ...(this.traceState === undefined ? undefined : { traceState: this.traceState }),
      name: this.name,
      kind: kinds[this.#kind],
      startTimeUnixNano: String(this.#startedAt),
      endTimeUnixNano: String(this.#now()),
      attributes: entriesToAttributes(this.#attributes),
      droppedAttributesCount: 0,
      events: [],
      droppedEventsCount: 0,
      links: this.#links.map(({ spanId, traceId }) => ({ traceId, spanId, attributes: [], droppedAttributesCount: 0 })),
      droppedLinksCount: 0,
      status: error === undefined
        ? { code: STATUS.unset }
        : { code: STATUS.error, message: String(bounded(error)) }
    })
  }
}
