import { Effect, Schedule } from "effect"
import { inRealTime } from "./RealTime.ts"

/** Attempts to find free ports before we believe that something else is wrong. */
export const portAttempts = 5

/** A start on a machine with twenty other jobs took 21 s; what takes this long does not come any more. */
const patience = "2 minutes"

/**
 * Tries `probe` until a server that was just started passes it. `ended` fails when the server does; `tooLate` makes the error for one that
 * runs but never passes.
 */
export const awaitReady = <E>(
  probe: Effect.Effect<void, unknown>,
  ended: Effect.Effect<never, E>,
  tooLate: (problem: string) => Effect.Effect<never, E>
): Effect.Effect<void, E> =>
  probe.pipe(
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.fail("no answer") }),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.orDie,
    Effect.timeoutOrElse({ duration: patience, orElse: () => tooLate(`did not answer within ${patience}`) }),
    Effect.raceFirst(ended),
    inRealTime
  )
