/** A place in a trace, as a `traceparent` and a `tracestate` name it (W3C Trace Context). */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  /** Whether whoever passed it on has recorded it. */
  readonly isSampled: boolean
  /** What others have to say of the trace, passed on as it came. */
  readonly traceState: string | undefined
}

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** Goes into a header, so nothing but printable ASCII; up to the length that everybody passes on. */
const TRACESTATE = /^[ -~]{1,512}$/

const SAMPLED = 1

/** What a `traceparent` says; `undefined` where it is none. Of a version to come it takes what it knows, as the standard asks. */
export const readTraceContext = (
  traceparent: string | null | undefined,
  tracestate?: string | null
): TraceContext | undefined => {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(traceparent ?? "") ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (version === "00" && more !== undefined) return undefined
  return {
    traceId,
    spanId,
    isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED,
    traceState: TRACESTATE.test(tracestate ?? "") ? tracestate ?? undefined : undefined
  }
}

export const traceparentOf = (
  { isSampled, spanId, traceId }: Pick<TraceContext, "traceId" | "spanId" | "isSampled">
): string => `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`
