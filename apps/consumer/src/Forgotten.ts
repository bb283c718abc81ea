import { Duration } from "effect"

/** For how long, in milliseconds, nothing has been heard. */
export interface Silence {
  readonly sessionTimeout: Duration.Duration
  /** Of the group's coordinator. */
  readonly member: number
  /** Of Kafka, by another way. */
  readonly kafka: number
}

/**
 * Whether the membership is broken so that only a restart helps: Kafka has answered a whole session after the coordinator's last word. In an outage of Kafka neither
 * answers, and nothing is to be gained by a restart.
 */
export const isForgotten = ({ kafka, member, sessionTimeout }: Silence): boolean =>
  member - kafka >= Duration.toMillis(sessionTimeout)
