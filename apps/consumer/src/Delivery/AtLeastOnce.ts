import { deadLetter } from "@origin-regions/domain/DeadLetter"
import { mappingOutcome, outcomeRecord } from "@origin-regions/domain/MappingOutcome"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { type AddressedRecord, KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Duration, Effect, Layer, Schedule } from "effect"
import { Delivery, type Membership, type SettledTask } from "../Delivery.ts"
import { countOutcome } from "../Metrics.ts"
import type { OwnedPartition } from "../Task.ts"

/** Where outcomes and dead letters go, and in whose name. */
export interface DeliveryOptions {
  readonly groupId: string
  readonly outcomesTopic: string
  readonly deadLettersTopic: string
}

const RETRY_SPACING = Duration.seconds(1)
const COMMIT_TRIES = 3

/** An outcome that says that a request could not be read or was given up has a dead letter beside it. */
const isDeadLettered = ({ settlement: { _tag } }: SettledTask): boolean => _tag === "Malformed" || _tag === "Failed"

/**
 * Outcomes first, acknowledged by all replicas, and only then the progress. A crash in between publishes outcomes again, with the same ids: one or
 * more for each request.
 */
export const layerAtLeastOnce = (options: DeliveryOptions) =>
  Layer.effect(
    Delivery,
    Effect.gen(function*() {
      const producer = yield* KafkaProducer
      const admin = yield* KafkaAdmin
      const deadLetterBytes = yield* Effect.cached(
        admin.maxMessageBytes(options.deadLettersTopic).pipe(
          Effect.tapError((error) => Effect.logWarning(error.message)),
          Effect.retry(Schedule.spaced(RETRY_SPACING)),
          Effect.orDie
        )
      )

      const recordsOf = (settled: SettledTask, maxBytes: number): ReadonlyArray<AddressedRecord> => {
        const { settledAt, settlement, task: { attempts, record, request } } = settled
        const outcome = mappingOutcome({ groupId: options.groupId, record, request, settlement, attempts, settledAt })
        const published = { topic: options.outcomesTopic, record: outcomeRecord(outcome, record.key) }
        if (!isDeadLettered(settled)) return [published]
        const letter = deadLetter(record, { id: outcome.id, code: outcome.outcomecode }, maxBytes)
        return [{ topic: options.deadLettersTopic, record: letter }, published]
      }

      /** Each try commits what is done by then: a repeated one must not replace the progress that another has committed meanwhile. */
      const commit = (partitions: ReadonlyArray<OwnedPartition>, { epoch, subscription }: Membership) =>
        Effect.suspend(() => {
          const snapshots = partitions.filter(({ lost }) => !lost).map((owner) => ({
            owner,
            progress: owner.progress.snapshot()
          }))
          if (snapshots.length === 0) return Effect.void
          return Effect.map(
            subscription.commit(
              epoch,
              snapshots.map(({ owner, progress }) => ({ partition: owner.partition, ...progress }))
            ),
            () => {
              for (const { owner, progress } of snapshots) owner.progress.settled(progress)
            }
          )
        }).pipe(
          Effect.retry({
            times: COMMIT_TRIES,
            schedule: Schedule.spaced(RETRY_SPACING),
            while: ({ reason }) => reason._tag !== "StaleGeneration"
          }),
          // What is not committed now goes with the next commit; and what is stale belongs to somebody else.
          Effect.catch((error) =>
            error.reason._tag === "StaleGeneration"
              ? Effect.logDebug(error.message)
              : Effect.logWarning(error.message)
          )
        )

      return Delivery.of({
        commit,
        deliver: Effect.fnUntraced(function*(settled, membership) {
          const live = settled.filter(({ task }) => !task.owner.lost)
          const maxBytes = live.some(isDeadLettered) ? yield* deadLetterBytes : 0
          yield* producer.send(live.flatMap((each) => recordsOf(each, maxBytes))).pipe(
            Effect.tapError((error) => Effect.logWarning(`${error.message}. Outcomes wait; trying again`)),
            Effect.retry(Schedule.spaced(RETRY_SPACING)),
            Effect.orDie
          )
          for (const { settlement, task } of live) {
            task.owner.progress.done(task.record.offset)
            yield* countOutcome(settlement)
          }
          yield* commit([...new Set(live.map(({ task }) => task.owner))], membership)
        })
      })
    })
  )
