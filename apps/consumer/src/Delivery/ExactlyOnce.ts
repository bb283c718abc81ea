import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { KafkaTransactions, type PendingTransaction } from "@origin-regions/kafka/KafkaTransactions"
import { Duration, Effect, Layer } from "effect"
import { type Delivered, Delivery, type Membership, type SettledTask } from "../Delivery.ts"
import { countOutcome } from "../Metrics.ts"
import type { OwnedPartition } from "../Task.ts"
import { makeOutcomeRecords, type OutcomeTopics } from "./OutcomeRecords.ts"
import { plainCommit } from "./PlainCommit.ts"
import { snapshotProgress } from "./ProgressSnapshot.ts"

const RETRY_SPACING = Duration.millis(500)

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
 * Plain commits (reservations while no outcome is ready) never overlap with a transaction: in the group's log the later record counts, whatever it
 * belongs to. One whose fate is unknown could still arrive, and count, after a later transaction; so the group is joined anew then, and its
 * generation refuses it.
 */
export const layerExactlyOnce = (options: OutcomeTopics & { readonly transactionalId: string }) =>
  Layer.effect(
    Delivery,
    Effect.gen(function*() {
      const transactions = yield* KafkaTransactions
      const { clock } = yield* OriginRegionsApi
      const outcomeRecords = yield* makeOutcomeRecords(options)
      let problem: string | undefined

      const commit = (partitions: ReadonlyArray<OwnedPartition>, membership: Membership): Effect.Effect<Delivered> =>
        Effect.suspend(() => plainCommit(partitions, membership, clock.reached())).pipe(
          Effect.as<Delivered>("committed"),
          Effect.catch((error) => {
            if (error.reason._tag !== "StaleGeneration") membership.subscription.rejoin()
            return Effect.as(Effect.logInfo(`${error.message}. Joining the group again`), "stale" as const)
          })
        )

      /** One try at a transaction, with the progress as it is by then. */
      const attempt = Effect.fnUntraced(function*(
        settled: ReadonlyArray<SettledTask>,
        also: ReadonlyArray<OwnedPartition>,
        { assignment }: Membership
      ) {
        const records = yield* outcomeRecords(settled)
        const settling = Map.groupBy(settled.map(({ task }) => task), ({ owner }) => owner)
        const owners = new Set([...settling.keys(), ...also.filter(({ lost }) => !lost)])
        const progress = snapshotProgress(owners, clock.reached(), settling)
        yield* transactions.commit({ records, generation: assignment.generation, offsets: progress.offsets })
        progress.settled()
        problem = undefined
        for (const { settlement, task } of settled) {
          task.owner.progress.done(task.record.offset)
          yield* countOutcome(settlement)
        }
      })

      const deliver = (
        settled: ReadonlyArray<SettledTask>,
        also: ReadonlyArray<OwnedPartition>,
        membership: Membership
      ): Effect.Effect<Delivered> =>
        Effect.suspend(() => {
          const live = settled.filter(({ task }) => !task.owner.lost)
          if (live.length === 0) return commit(also, membership)
          return attempt(live, also, membership).pipe(
            Effect.as<Delivered>("committed"),
            Effect.catch((error) => {
              if (error.reason._tag === "StaleGeneration") {
                problem = undefined
                return Effect.as(Effect.logInfo(error.message), "stale" as const)
              }
              problem = error.message
              return Effect.logWarning(`${error.message}. Outcomes wait; trying again`).pipe(
                Effect.andThen(Effect.sleep(RETRY_SPACING)),
                Effect.andThen(deliver(settled, also, membership))
              )
            })
          )
        })

      return Delivery.of({
        owner: options.transactionalId,
        heads: (partitions) => transactions.stableOffsets(partitions, true),
        commit,
        deliver,
        problem: () => pendingProblem(transactions.pending()) ?? problem
      })
    })
  )
