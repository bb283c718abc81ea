import type { Clock } from "effect"

/** Milliseconds that pass evenly, whoever sets the machine's time of day. Only differences mean something. */
export const steadyMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
