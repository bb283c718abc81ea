import { Effect, Schedule } from "effect"
import { KafkaBrokerError, NotRunning } from "../KafkaBrokerError.ts"
import { probe } from "./KafkaProbe.ts"
import type { KafkaAddress } from "./KafkaRequest.ts"
import { inRealTime } from "./RealTime.ts"
import type { Supervised } from "./Supervision.ts"

/** A broker's runs, one after another, at the same address and on the same data. */
export interface Broker extends Supervised<KafkaBrokerError> {
  readonly brokers: ReadonlyArray<string>
}

export const notRunning = (problem: string, log: string): KafkaBrokerError =>
  new KafkaBrokerError({ reason: new NotRunning({ problem, log }) })

/** Attempts to find free ports before we believe that something else is wrong. */
export const portAttempts = 5

/** A start on a machine with twenty other jobs took 21 s; what takes this long does not come any more. */
const patience = "2 minutes"

/**
 * Waits until a broker serves its first group. `ended` fails when the broker does; `tooLate` makes the error for one that runs but
 * never answers.
 */
export const awaitReady = (
  address: KafkaAddress,
  ended: Effect.Effect<never, KafkaBrokerError>,
  tooLate: (problem: string) => Effect.Effect<never, KafkaBrokerError>
): Effect.Effect<void, KafkaBrokerError> =>
  probe(address).pipe(
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.fail("no answer") }),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.orDie,
    Effect.timeoutOrElse({ duration: patience, orElse: () => tooLate(`did not answer within ${patience}`) }),
    Effect.raceFirst(ended),
    inRealTime
  )
