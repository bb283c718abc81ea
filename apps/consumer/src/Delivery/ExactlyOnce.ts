import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { KafkaError, Refused, StaleGeneration } from "@origin-regions/kafka/KafkaError"
import { KafkaTransactions, type PendingTransaction } from "@origin-regions/kafka/KafkaTransactions"
import { Duration, Effect, Layer, Semaphore } from "effect"
import { type Delivered, Delivery, type Membership, type SettledTask } from "../Delivery.ts"
import { OutcomeHistory } from "../OutcomeHistory.ts"
import { pipelineMetrics } from "../PipelineMetrics.ts"
import type { OwnedPartition } from "../Task.ts"
import { isTimeRefused, makeOutcomeRecords, type OutcomeTopics } from "./OutcomeRecords.ts"
import { plainCommit } from "./PlainCommit.ts"
import { snapshotProgress } from "./ProgressSnapshot.ts"
import { makeWaitingOutcomes } from "./WaitingOutcomes.ts"

const RETRY_SPACING = Duration.millis(500)

const unknownFate = new KafkaError({
  operation: "publish outcomes with their progress",
  reason: new StaleGeneration({ detail: "it is not known whether an earlier commit has succeeded" })
})

/** Where the broker lacks what this mode rests on, the other one remains. */
const withFallback = (error: KafkaError): KafkaError => {
  const { operation, reason } = error
  if (reason._tag !== "Refused" || reason.type !== "UNSUPPORTED_VERSION") return error
  const detail = `${reason.detail}. Update Kafka, or set DELIVERY=at-least-once`
  return new KafkaError({ operation, reason: new Refused({ type: reason.type, detail }) })
}

/** A transaction takes milliseconds: one that is pending for longer has lost its owner, or its coordinator. */
const pendingProblem = (pending: PendingTransaction | undefined): string | undefined =>
  pending === undefined || pending.seconds < 5
    ? undefined
    : `a transaction has been pending for ${pending.seconds} s on partitions ${pending.partitions.join(", ")}${
      pending.problem === undefined ? "" : `, and can't be ended: ${pending.problem}`
    } (see docs/guarantees.md, "When something hangs")`

/**
 * Outcomes, dead letters and progress in one transaction, fenced by the group's generation: whoever reads the outcomes topic as `read_committed` sees exactly
 * one for each request.
 *
 * Plain commits (reservations) are made while a transaction's outcomes are being written, so that requests need not wait for its end, but never from
 * its offsets on until it is over: in the group's log the later record counts, whatever it belongs to. One whose fate is unknown could still arrive, and count,
 * after a later transaction; so the group is joined anew then, and its generation refuses it.
 */
export const layerExactlyOnce = (options: OutcomeTopics & { readonly transactionalId: string }) =>
  Layer.effect(
    Delivery,
    Effect.gen(function*() {
      const transactions = yield* KafkaTransactions
      const { clock } = yield* OriginRegionsApi
      const outcomeRecords = yield* makeOutcomeRecords(options)
      const { published } = yield* pipelineMetrics
      const history = yield* OutcomeHistory
      const turn = yield* Semaphore.make(1)
      const waiting = makeWaitingOutcomes()

      const commit = (due: () => ReadonlyArray<OwnedPartition>, membership: Membership): Effect.Effect<Delivered> =>
        Effect.suspend(() => plainCommit(due(), membership, clock.reached())).pipe(
          Effect.as<Delivered>("committed"),
          Effect.catch((error) => {
            if (error.reason._tag !== "StaleGeneration") {
              membership.over = error.message
              membership.subscription.rejoin()
            }
            return Effect.as(Effect.logInfo(`${error.message}. Joining the group again`), "stale" as const)
          }),
          turn.withPermit
        )

      /** One try at a transaction, with the progress as it is once its outcomes are written. */
      const attempt = Effect.fnUntraced(function*(
        settled: ReadonlyArray<SettledTask>,
        also: () => ReadonlyArray<OwnedPartition>,
        membership: Membership,
        nowOnly: boolean
      ) {
        const records = yield* outcomeRecords(settled, nowOnly)
        const settling = Map.groupBy(settled.map(({ task }) => task), ({ owner }) => owner)
        let progress: ReturnType<typeof snapshotProgress> | undefined
        // The turn is given back only where there is progress.
        const offsets = Effect.uninterruptibleMask((interruptible) =>
          Effect.flatMap(interruptible(turn.take(1)), () => {
            const owners = new Set([...settling.keys(), ...also()])
            progress = snapshotProgress(owners, clock.reached(), settling)
            return membership.over !== undefined ? Effect.fail(unknownFate) : Effect.succeed(progress.offsets)
          })
        )
        yield* transactions.commit({ records, generation: membership.assignment.generation, offsets }).pipe(
          Effect.tap(() =>
            Effect.sync(() => {
              progress?.settled()
              for (const { task } of settled) task.owner.progress.done(task.record.offset)
            })
          ),
          Effect.ensuring(Effect.suspend(() => progress === undefined ? Effect.void : turn.release(1)))
        )
        waiting.over()
        published(settled)
        history.published(settled)
      })

      const deliver = (
        settled: ReadonlyArray<SettledTask>,
        also: () => ReadonlyArray<OwnedPartition>,
        membership: Membership,
        nowOnly = false
      ): Effect.Effect<Delivered> =>
        Effect.suspend(() => {
          const live = settled.filter(({ task }) => !task.owner.lost)
          if (live.length === 0) return Effect.succeed("committed")
          return attempt(live, also, membership, nowOnly).pipe(
            Effect.as<Delivered>("committed"),
            Effect.catch((error) => {
              if (error.reason._tag === "StaleGeneration") {
                waiting.over()
                return Effect.as(Effect.logInfo(error.message), "stale" as const)
              }
              return waiting.tell(error.message).pipe(
                Effect.andThen(Effect.sleep(RETRY_SPACING)),
                Effect.andThen(deliver(settled, also, membership, isTimeRefused(error) !== nowOnly))
              )
            })
          )
        })

      return Delivery.of({
        owner: options.transactionalId,
        heads: (partitions) => Effect.mapError(transactions.stableOffsets(partitions, true), withFallback),
        commit,
        deliver,
        problem: () => pendingProblem(transactions.pending()) ?? waiting.problem()
      })
    })
  )
