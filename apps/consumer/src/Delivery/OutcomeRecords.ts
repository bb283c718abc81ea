import { deadLetter } from "@origin-regions/domain/DeadLetter"
import { mappingOutcome, outcomeRecord } from "@origin-regions/domain/MappingOutcome"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { AddressedRecord } from "@origin-regions/kafka/KafkaProducer"
import { Duration, Effect, Schedule } from "effect"
import { isDeadLettered, type SettledTask } from "../Delivery.ts"

/** Where outcomes and dead letters go, and in whose name. */
export interface OutcomeTopics {
  readonly groupId: string
  readonly outcomesTopic: string
  readonly deadLettersTopic: string
}

/** The records that settled requests come to: an outcome for each, and a dead letter where it was not read or was given up. */
export const makeOutcomeRecords = Effect.fnUntraced(function*(topics: OutcomeTopics) {
  const admin = yield* KafkaAdmin
  const deadLetterBytes = yield* Effect.cached(
    admin.maxMessageBytes(topics.deadLettersTopic).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.retry(Schedule.spaced(Duration.seconds(1))),
      Effect.orDie
    )
  )

  const recordsOf = (settled: SettledTask, maxBytes: number): ReadonlyArray<AddressedRecord> => {
    const { settledAt, settlement, task: { attempts, record, request } } = settled
    const outcome = mappingOutcome({ groupId: topics.groupId, record, request, settlement, attempts, settledAt })
    const published = { topic: topics.outcomesTopic, record: outcomeRecord(outcome, record.key) }
    if (!isDeadLettered(settled)) return [published]
    const letter = deadLetter(record, { id: outcome.id, code: outcome.outcomecode }, maxBytes)
    return [{ topic: topics.deadLettersTopic, record: letter }, published]
  }

  return Effect.fnUntraced(function*(settled: ReadonlyArray<SettledTask>) {
    const maxBytes = settled.some(isDeadLettered) ? yield* deadLetterBytes : 0
    return settled.flatMap((each) => recordsOf(each, maxBytes))
  })
})
