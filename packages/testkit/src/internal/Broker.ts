import { KafkaBrokerError, NotRunning } from "../KafkaBrokerError.ts"
import type { Supervised } from "./Supervision.ts"

/** A broker's runs, one after another, at the same address and on the same data. */
export interface Broker extends Supervised<KafkaBrokerError> {
  readonly brokers: ReadonlyArray<string>
}

export const notRunning = (problem: string, log: string): KafkaBrokerError =>
  new KafkaBrokerError({ reason: new NotRunning({ problem, log }) })
