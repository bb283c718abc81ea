import { Effect, Schedule, type Scope } from "effect"
import type { IncomingHttpHeaders, ServerResponse } from "node:http"
import { json } from "node:stream/consumers"
import { inRealTime } from "./internal/RealTime.ts"
import { serveOnLoopback } from "./LoopbackServer.ts"

/** A span as it has arrived. */
export interface CollectedSpan {
  /** `service.name` of who sent it. */
  readonly service: unknown
  readonly resource: Attributes
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly traceState: string | undefined
  readonly name: string
  readonly kind: number
  /** In nanoseconds. */
  readonly duration: bigint
  readonly attributes: Attributes
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  readonly status: { readonly code: number; readonly message?: string }
}

type Attributes = Readonly<Record<string, unknown>>

/** A collector of traces that takes them as OTLP/HTTP has them in JSON. */
export interface OtlpCollector {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string
  readonly spans: ReadonlyArray<CollectedSpan>
  /** The headers of each request, and where it went. */
  readonly requests: ReadonlyArray<{ readonly path: string; readonly headers: IncomingHttpHeaders }>
  /** What it does with a request: at first, it says that it has taken it. */
  answer: (response: ServerResponse) => void
  /** Waits until this is so. */
  readonly until: (condition: (spans: ReadonlyArray<CollectedSpan>) => boolean) => Effect.Effect<void>
}

/** What a program is told that sends its traces there, all of them. */
export const collectedBy = ({ endpoint }: Pick<OtlpCollector, "endpoint">): Readonly<Record<string, string>> => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/json"
})

export const makeOtlpCollector: Effect.Effect<OtlpCollector, never, Scope.Scope> = Effect.gen(function*() {
  const spans: Array<CollectedSpan> = []
  const requests: Array<OtlpCollector["requests"][number]> = []
  const endpoint = yield* serveOnLoopback((request, response) => {
    requests.push({ path: request.url ?? "", headers: request.headers })
    void json(request).then((body) => {
      spans.push(...spansOf(body as TraceData))
      collector.answer(response)
    })
  })
  const collector: OtlpCollector = {
    endpoint,
    spans,
    requests,
    answer: (response) => {
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    },
    until: (condition) =>
      Effect.sync(() => condition(spans)).pipe(
        Effect.repeat({ until: (isSo) => isSo, schedule: Schedule.spaced("20 millis") }),
        Effect.asVoid,
        inRealTime
      )
  }
  return collector
})

interface TraceData {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<KeyValue> }
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<WireSpan> }>
  }>
}

interface WireSpan extends Omit<CollectedSpan, "service" | "resource" | "duration" | "attributes"> {
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<KeyValue>
}

interface KeyValue {
  readonly key: string
  readonly value: AnyValue
}

interface AnyValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: number
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values: ReadonlyArray<AnyValue> }
}

const valueOf = ({ arrayValue, boolValue, doubleValue, intValue, stringValue }: AnyValue): unknown =>
  arrayValue === undefined ? stringValue ?? boolValue ?? intValue ?? doubleValue : arrayValue.values.map(valueOf)

const recordOf = (attributes: ReadonlyArray<KeyValue>): Attributes =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)]))

const spansOf = ({ resourceSpans }: TraceData): ReadonlyArray<CollectedSpan> =>
  resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const attributes = recordOf(resource.attributes)
    return scopeSpans.flatMap(({ spans }) => spans).map((span) => ({
      ...span,
      service: attributes["service.name"],
      resource: attributes,
      duration: BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano),
      attributes: recordOf(span.attributes)
    }))
  })
