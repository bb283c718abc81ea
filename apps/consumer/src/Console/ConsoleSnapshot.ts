import { WINDOW_SECONDS } from "../OutcomeCounts.ts"
import type { HistoryPoint, OutcomeHistory } from "../OutcomeHistory.ts"
import { lagOf } from "../PipelineStatus.ts"
import { explain, type StatusReportInput } from "../StatusReport.ts"
import type { ConsolePoint, ConsoleSnapshot } from "./ConsoleMessages.ts"
import { latestOutcomes } from "./ConsoleOutcomes.ts"

/** Outcomes that are shown as they come; `/outcomes` has more. */
const SHOWN_OUTCOMES = 20
const RATE_SECONDS = 10

export interface SnapshotInput extends StatusReportInput {
  readonly groupId: string
  readonly history: OutcomeHistory["Service"]
  /** The offset after the last record of each partition, where Kafka tells. */
  readonly endOffsets: ReadonlyMap<number, number>
  /** In milliseconds since 1970. */
  readonly now: number
}

/** What whoever gets the next snapshot has already. */
export interface Told {
  /** The number of the last point. */
  readonly point: number
  /** How many outcomes there had been. */
  readonly outcomes: number
}

export const nothingTold: Told = { point: -1, outcomes: -1 }

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((one, other) => one + other, 0)

const rounded = (millis: number | undefined): number | null => millis === undefined ? null : Math.round(millis)

const consolePoint = ({ counts, p50, p99, time }: HistoryPoint): ConsolePoint => ({
  time,
  counts,
  p50: rounded(p50),
  p99: rounded(p99)
})

/** The console's next event, and what is told by then. */
export const snapshot = (input: SnapshotInput, told: Told): readonly [ConsoleSnapshot, Told] => {
  const { endOffsets, groupId, history, member, now, pipeline, requestsTopic } = input
  const { quota } = pipeline
  const minute = history.last(60)
  const points = history.pointsAfter(told.point)
  const count = history.count()
  return [
    {
      time: now,
      member: {
        group: groupId,
        topic: requestsTopic,
        ready: member.ready,
        phase: member.phase,
        started: history.startedAt
      },
      explanation: explain(input),
      rate: sum(history.last(RATE_SECONDS).counts) / RATE_SECONDS,
      p50: rounded(minute.p50),
      p99: rounded(minute.p99),
      calls: pipeline.calls,
      in_flight: pipeline.inFlight,
      queued: pipeline.queued,
      waiting: pipeline.waiting,
      unpublished: pipeline.unpublished,
      publishing_problem: pipeline.publishingProblem ?? null,
      zones_paused: pipeline.zones.size,
      quota: quota === undefined
        ? null
        : {
          limit: quota.limit,
          window_seconds: quota.windowMillis / 1000,
          left: quota.left,
          next_call: quota.nextCallAt ?? null
        },
      partitions: pipeline.partitions.toSorted((one, other) => one.partition - other.partition).map(
        (status) => {
          const { head, partition, paused, position, undone, waiting } = status
          const end = endOffsets.get(partition)
          const lag = end === undefined ? null : lagOf(status, end)
          return { partition, head, position, undone, waiting, paused, lag }
        }
      ),
      codes: history.codes,
      totals: { window: history.last(WINDOW_SECONDS - 1).counts, minute: minute.counts },
      points: points.map(consolePoint),
      ...count === told.outcomes ? undefined : { outcomes: latestOutcomes(history.latest(), SHOWN_OUTCOMES) }
    },
    { point: points.at(-1)?.number ?? told.point, outcomes: count }
  ]
}
