import type { Clock } from "effect"

/** Milliseconds that pass evenly, whoever sets the machine's time. Only differences mean something. */
export const steadyMillis = (clock: Clock.Clock): number => Math.floor(Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
