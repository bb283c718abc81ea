import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { Clock, Context, Duration, Effect, Layer, Schedule } from "effect"
import { accessCluster, type Cluster } from "./internal/ClusterAccess.ts"
import type { FetchedPartition } from "./internal/FetchRequest.ts"
import { makeClient } from "./internal/KafkaClient.ts"
import { isLeaderless, kafkaError } from "./internal/KafkaErrors.ts"
import { createErrorFromCode, readBatches, requestFetch } from "./internal/PatchedKafkaJS.ts"
import type { ScannedRecord } from "./internal/RecordBatches.ts"
import { KafkaAdmin } from "./KafkaAdmin.ts"
import type { KafkaError } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

export type { ScannedRecord }

/** Which part of a topic is looked at. */
export interface Range {
  readonly topic: string
  /** The first offset of each partition that is looked at. What is deleted by then is passed over. */
  readonly from: ReadonlyMap<number, number>
  /** The offset behind the last of each of them. Left out: behind all that has been written when the scan begins, what is in open transactions included. */
  readonly to?: ReadonlyMap<number, number>
  /** How long a transaction may keep a partition from being read on, while nothing else comes. */
  readonly patience: Duration.Duration
  /** Whether what is looked for has been seen, and the rest need not be: asked from time to time. Left out: all is shown. */
  readonly isEnough?: () => boolean
}

/**
 * Looks at what a topic holds, as `read_committed`, from offsets to offsets, and ends: all partitions side by side, without a group, and without keeping or copying what it has shown. For going through
 * millions of records.
 */
export class KafkaScan extends Context.Service<KafkaScan, {
  /**
   * Shows each record of the range, those of a partition in their order. `look` is called synchronously and must copy what it keeps. The result names the partitions that
   * are not at their end, as a transaction is open on them, each with the offset from which on it was not read.
   */
  readonly scan: (
    range: Range,
    look: (partition: number, record: ScannedRecord) => void
  ) => Effect.Effect<ReadonlyMap<number, number>, KafkaError>
}>()("@origin-regions/kafka/KafkaScan") {
  static readonly layer = (settings: KafkaSettings): Layer.Layer<KafkaScan> =>
    Layer.effect(KafkaScan, make(settings)).pipe(Layer.provide(KafkaAdmin.layer(settings)))
}

/** What one answer may hold: with this much the cost of a request no longer shows, and it is all that is in memory. */
const LIMITS = { maxWaitMillis: 100, maxBytes: 1024 * 1024, maxBytesPerPartition: 1024 * 1024 }

/** Kafka's error codes. */
const OFFSET_OUT_OF_RANGE = 1
const UNKNOWN_TOPIC_OR_PARTITION = 3

const RETRY_SPACING = Duration.millis(200)
/** Some ten seconds of attempts in a row that bring nothing. */
const RETRIES = 50

const make = Effect.fnUntraced(function*(settings: KafkaSettings) {
  const cluster = yield* accessCluster(yield* makeClient(settings, "origin-regions-scan"))
  const admin = yield* KafkaAdmin
  const clock = yield* Clock.Clock

  const scan: KafkaScan["Service"]["scan"] = Effect.fn("KafkaScan.scan")(
    function*({ from, isEnough, patience, to, topic }, look) {
      const operation = `read the topic ${topic}`
      /** The next offset of partitions that are not at their end. */
      const next = new Map(
        [...from].filter(([partition, offset]) => to === undefined || offset < (to.get(partition) ?? 0))
      )
      const ends = new Map(to)
      const open = new Map<number, number>()
      let cameAt = steadyMillis(clock)
      let isStale = false
      /** Whether the topic has been read from: a broker that starts may not know it for a moment. */
      let isThere = false

      /** Shows what has come, and says which partitions have nothing at their next offset any more. */
      const show = async (fetched: ReadonlyArray<FetchedPartition>): Promise<ReadonlyArray<number>> => {
        const late: Array<number> = []
        for (const answer of fetched) {
          const { errorCode, lastStableOffset, partition } = answer
          if (errorCode === OFFSET_OUT_OF_RANGE) {
            late.push(partition)
            continue
          }
          if (errorCode !== 0) throw createErrorFromCode(errorCode)
          const end = ends.get(partition) ?? answer.highWatermark
          ends.set(partition, end)
          const at = next.get(partition) ?? 0
          const reached = await readBatches(answer, at, (record) => {
            if (record.offset < end) look(partition, record)
          })
          if (reached > at) {
            cameAt = steadyMillis(clock)
            open.delete(partition)
          } else if (lastStableOffset <= at) open.set(partition, at)
          if (reached >= end) next.delete(partition)
          else next.set(partition, reached)
        }
        return late
      }

      /** Fetches once from every leader. */
      const round = async (): Promise<ReadonlyArray<number>> => {
        const connected = await cluster()
        await connected.addTargetTopic(topic)
        if (isStale) await connected.refreshMetadata()
        isStale = false
        // All of them end before any is asked again: nothing is to be shown twice.
        const answers = await Promise.allSettled(
          leaders(connected, topic, next).map(async ([nodeId, partitions]) => {
            const broker = await connected.findBroker({ nodeId })
            return show(await broker.connectionPool.send(requestFetch(topic, partitions, LIMITS)))
          })
        )
        const failed = answers.find((answer) => answer.status === "rejected")
        if (failed !== undefined) throw failed.reason
        isThere = true
        return answers.flatMap((answer) => answer.status === "fulfilled" ? answer.value : [])
      }
      const attempt = Effect.tryPromise({
        try: round,
        catch: (error) => ({ error: kafkaError(operation, error), isLeaderless: isLeaderless(error) })
      }).pipe(
        Effect.tapError(() =>
          Effect.sync(() => {
            isStale = true
          })
        ),
        Effect.retry({
          times: RETRIES,
          schedule: Schedule.spaced(RETRY_SPACING),
          while: ({ error: { reason }, isLeaderless }) =>
            isLeaderless || reason._tag === "Unreachable" || isThere && reason._tag === "UnknownTopic"
        }),
        Effect.mapError(({ error }) => error)
      )

      while (next.size > 0 && isEnough?.() !== true) {
        const late = yield* attempt
        const first = late.length === 0 ? undefined : yield* admin.beginningOffsets(topic)
        for (const partition of late) {
          const begins = first?.get(partition) ?? 0
          if (begins <= (next.get(partition) ?? 0)) {
            return yield* Effect.fail(kafkaError(operation, createErrorFromCode(OFFSET_OUT_OF_RANGE)))
          }
          if (begins >= (ends.get(partition) ?? Number.POSITIVE_INFINITY)) next.delete(partition)
          else next.set(partition, begins)
        }
        if (open.size === next.size && steadyMillis(clock) - cameAt >= Duration.toMillis(patience)) return open
      }
      return new Map()
    }
  )

  return KafkaScan.of({ scan })
})

/** Which leader has which of the partitions. */
const leaders = (cluster: Cluster, topic: string, next: ReadonlyMap<number, number>) => {
  const wanted = cluster.findTopicPartitionMetadata(topic).filter(({ partitionId }) => next.has(partitionId))
  if (wanted.length < next.size) throw createErrorFromCode(UNKNOWN_TOPIC_OR_PARTITION)
  return [...Map.groupBy(wanted, ({ leader }) => leader)].map(([nodeId, partitions]) =>
    [
      nodeId,
      partitions.map(({ partitionId }) => ({ partition: partitionId, offset: next.get(partitionId) ?? 0 }))
    ] as const
  )
}
