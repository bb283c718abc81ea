import type { Clock } from "effect"

export type SteadyClock = Pick<Clock.Clock, "monotonicTimeNanosUnsafe">

/** Milliseconds that pass evenly, whoever sets the machine's time of day. Only differences mean something. */
export const steadyMillis = (clock: SteadyClock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
