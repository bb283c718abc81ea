import { deadLetter } from "@origin-regions/domain/DeadLetter"
import { mappingOutcome, outcomeRecord } from "@origin-regions/domain/MappingOutcome"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import type { AddressedRecord } from "@origin-regions/kafka/KafkaProducer"
import { Duration, Effect, Schedule } from "effect"
import { isDeadLettered, type SettledTask } from "../Delivery.ts"

/** Where outcomes and dead letters go, and in whose name. */
export interface OutcomeTopics {
  readonly groupId: string
  readonly outcomesTopic: string
  readonly deadLettersTopic: string
}

/** What Kafka says of a timestamp that is too far from its own time. */
export const isTimeRefused = ({ reason }: KafkaError): boolean =>
  reason._tag === "Refused" && reason.type === "INVALID_TIMESTAMP"

/**
 * The records that settled requests come to: an outcome for each, and a dead letter where it was not read or was given up.
 *
 * An outcome is not older than its request, whatever time it is here: it is looked for from there on when the request comes again. Where Kafka refuses such a time, as an emitter has
 * made it up, `nowOnly` leaves it out.
 */
export const makeOutcomeRecords = Effect.fnUntraced(function*(topics: OutcomeTopics) {
  const admin = yield* KafkaAdmin
  const deadLetterBytes = yield* Effect.cached(
    admin.maxMessageBytes(topics.deadLettersTopic).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.retry(Schedule.spaced(Duration.seconds(1))),
      Effect.orDie
    )
  )

  const recordsOf = (settled: SettledTask, maxBytes: number, nowOnly: boolean): ReadonlyArray<AddressedRecord> => {
    const { settledAt, settlement, task: { attempts, record, request } } = settled
    const outcome = mappingOutcome({ groupId: topics.groupId, record, request, settlement, attempts, settledAt })
    const told = outcomeRecord(outcome, record.key)
    const published = {
      topic: topics.outcomesTopic,
      record: record.timestamp > settledAt && !nowOnly ? { ...told, timestamp: record.timestamp } : told
    }
    if (!isDeadLettered(settled)) return [published]
    const letter = deadLetter(record, { id: outcome.id, code: outcome.outcomecode }, maxBytes)
    return [{ topic: topics.deadLettersTopic, record: letter }, published]
  }

  return Effect.fnUntraced(function*(settled: ReadonlyArray<SettledTask>, nowOnly: boolean) {
    const maxBytes = settled.some(isDeadLettered) ? yield* deadLetterBytes : 0
    return settled.flatMap((each) => recordsOf(each, maxBytes, nowOnly))
  })
})
