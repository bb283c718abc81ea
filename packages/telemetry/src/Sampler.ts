import type { TraceContext } from "./TraceContext.ts"

/** Which traces are recorded. */
export interface Sampler {
  /** Whether a trace that comes with a decision keeps it. */
  readonly isParentBased: boolean
  /** The share of traces that are recorded otherwise, from 0 to 1. */
  readonly ratio: number
}

/** The samplers of OpenTelemetry. */
export const samplerNames = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const

const PARENT_BASED = "parentbased_"

/** `ratio` counts for those that are named after it. */
export const samplerOf = (name: (typeof samplerNames)[number], ratio: number): Sampler => ({
  isParentBased: name.startsWith(PARENT_BASED),
  ratio: name.endsWith("always_on") ? 1 : name.endsWith("always_off") ? 0 : ratio
})

/** Digits of a trace id that a number holds exactly: its last ones, which are random by the standard. */
const DIGITS = 13

/** The same of a trace id everywhere, as OpenTelemetry's consistent sampling does it: whoever takes a smaller share takes a part of a larger one. */
export const isSampled = ({ isParentBased, ratio }: Sampler, parent: TraceContext | undefined, traceId: string) =>
  isParentBased && parent !== undefined
    ? parent.isSampled
    : Number.parseInt(traceId.slice(-DIGITS), 16) >= (1 - ratio) * 16 ** DIGITS
