import { Context } from "effect"
import type { Span } from "./Span.ts"

/** On whose behalf the calls of a fiber are made. */
export interface Causes {
  readonly spans: readonly [Span, ...ReadonlyArray<Span>]
  /** How often the same has been tried before. */
  readonly resends: number
}

/** `undefined` where nobody records it. */
export const CurrentCauses = Context.Reference<Causes | undefined>("@origin-regions/telemetry/CurrentCauses", {
  defaultValue: () => undefined
})
