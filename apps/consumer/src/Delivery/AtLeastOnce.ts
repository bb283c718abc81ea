import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Duration, Effect, Layer, Schedule, Semaphore } from "effect"
import { type Delivered, Delivery, type Membership } from "../Delivery.ts"
import { OutcomeHistory } from "../OutcomeHistory.ts"
import { pipelineMetrics } from "../PipelineMetrics.ts"
import type { OwnedPartition } from "../Task.ts"
import { isTimeRefused, makeOutcomeRecords, type OutcomeTopics } from "./OutcomeRecords.ts"
import { plainCommit } from "./PlainCommit.ts"
import { makeWaitingOutcomes } from "./WaitingOutcomes.ts"

const RETRY_SPACING = Duration.seconds(1)

/**
 * Outcomes first, acknowledged by all replicas, and only then the progress. A crash in between publishes outcomes again, with the same ids: one or
 * more for each request.
 */
export const layerAtLeastOnce = (options: OutcomeTopics & { readonly requestsTopic: string }) =>
  Layer.effect(
    Delivery,
    Effect.gen(function*() {
      const producer = yield* KafkaProducer
      const admin = yield* KafkaAdmin
      const { clock } = yield* OriginRegionsApi
      const outcomeRecords = yield* makeOutcomeRecords(options)
      const { published } = yield* pipelineMetrics
      const history = yield* OutcomeHistory

      const turn = yield* Semaphore.make(1)
      const waiting = makeWaitingOutcomes()
      /** Published, but for their progress. */
      const uncommitted = makeWaitingOutcomes()

      const commit = (due: () => ReadonlyArray<OwnedPartition>, membership: Membership): Effect.Effect<Delivered> =>
        Effect.suspend(() => plainCommit(due(), membership, clock.reached())).pipe(
          Effect.tapError((error) =>
            error.reason._tag === "StaleGeneration" ? Effect.void : uncommitted.tell(error.message)
          ),
          Effect.retry({
            schedule: Schedule.spaced(RETRY_SPACING),
            while: ({ reason }) => reason._tag !== "StaleGeneration"
          }),
          Effect.match({ onSuccess: (): Delivered => "committed", onFailure: (): Delivered => "stale" }),
          Effect.tap(() => Effect.sync(uncommitted.over)),
          turn.withPermit
        )

      return Delivery.of({
        owner: "",
        heads: (partitions) => admin.heads(options.groupId, options.requestsTopic, partitions),
        commit,
        problem: () => waiting.problem() ?? uncommitted.problem(),
        deliver: Effect.fnUntraced(function*(settled, also, membership) {
          const live = settled.filter(({ task }) => !task.owner.lost)
          let nowOnly = false
          yield* Effect.suspend(() => outcomeRecords(live, nowOnly)).pipe(
            Effect.flatMap(producer.send),
            Effect.tapError((error) => {
              nowOnly = isTimeRefused(error) !== nowOnly
              return waiting.tell(error.message)
            }),
            Effect.retry(Schedule.spaced(RETRY_SPACING)),
            Effect.orDie
          )
          waiting.over()
          for (const { task } of live) task.owner.progress.done(task.record.offset)
          published(live)
          history.published(live)
          return yield* commit(() => [...new Set([...live.map(({ task }) => task.owner), ...also()])], membership)
        })
      })
    })
  )
