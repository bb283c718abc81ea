import { outcomeCodeOf } from "@origin-regions/domain/MappingOutcome"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { Clock, Context, Effect, Layer } from "effect"
import type { SettledTask } from "./Delivery.ts"
import { type CountedSpan, OutcomeCounts, POINT_SECONDS, WINDOW_SECONDS } from "./OutcomeCounts.ts"
import { outcomeCodes } from "./PipelineMetrics.ts"
import { type RecentOutcome, RecentOutcomes, rememberedText } from "./RecentOutcomes.ts"

/** At a few hundred bytes each they are some megabytes. */
const REMEMBERED = 5_000

/** What of the history is plotted as one point; `time` is when it began, in milliseconds since 1970. */
export interface HistoryPoint extends CountedSpan {
  /** Its number: later ones have higher ones, and none is missing in between. */
  readonly number: number
  readonly time: number
}

/**
 * What this process has published since it started, as far as it remembers: outcomes that are certain, each counted when Kafka has acknowledged it (in a committed transaction, where
 * delivery is exactly once). Another member's are not here, and none from before a restart.
 */
export class OutcomeHistory extends Context.Service<OutcomeHistory, {
  /** These outcomes have just been published. Runs for every request. */
  readonly published: (settled: ReadonlyArray<SettledTask>) => void
  /** The codes that outcomes are counted by, in the order of `counts`. */
  readonly codes: ReadonlyArray<string>
  /** The last so many whole seconds. */
  readonly last: (seconds: number) => CountedSpan
  /** The points that are complete, after the one with this number, as far as the window reaches back. */
  readonly pointsAfter: (number: number) => ReadonlyArray<HistoryPoint>
  /** The last outcomes, from the latest on: to be read at once. */
  readonly latest: () => Iterable<Readonly<RecentOutcome>>
  /** How many there have been. */
  readonly count: () => number
  /** In milliseconds since 1970. */
  readonly startedAt: number
}>()("@origin-regions/consumer/OutcomeHistory") {
  static readonly layer = Layer.effect(
    OutcomeHistory,
    Effect.map(Clock.Clock, (clock) => {
      const counts = new OutcomeCounts(outcomeCodes)
      const recent = new RecentOutcomes(REMEMBERED)
      const secondNow = () => Math.floor(steadyMillis(clock) / 1000)
      const firstPoint = Math.floor(secondNow() / POINT_SECONDS)
      /** Setting the machine's time moves what is told, and not what is counted. */
      const timeOf = (second: number) =>
        Math.round((clock.currentTimeMillisUnsafe() - steadyMillis(clock)) / 1000 + second) * 1000
      return OutcomeHistory.of({
        published: (settled) => {
          const now = clock.currentTimeMillisUnsafe()
          const second = secondNow()
          for (const each of settled) {
            const { record: { timestamp } } = each.task
            const millis = timestamp > 0 ? Math.max(0, now - timestamp) : undefined
            const code = outcomeCodeOf(each.settlement)
            counts.add(second, code, millis)
            remember(recent.next(), each, code, now, millis)
          }
        },
        codes: outcomeCodes,
        last: (seconds) => {
          const end = secondNow()
          return counts.span(end - seconds, end)
        },
        pointsAfter: (number) => {
          const end = Math.floor(secondNow() / POINT_SECONDS)
          const points: Array<HistoryPoint> = []
          const first = Math.max(number + 1, firstPoint, end - WINDOW_SECONDS / POINT_SECONDS + 1)
          for (let each = first; each < end; each++) {
            const second = each * POINT_SECONDS
            points.push({ number: each, time: timeOf(second), ...counts.span(second, second + POINT_SECONDS) })
          }
          return points
        },
        latest: () => recent.latest(),
        count: () => recent.added,
        startedAt: clock.currentTimeMillisUnsafe()
      })
    })
  )
}

const kinds = { Succeeded: "succeeded", Malformed: "rejected", Rejected: "rejected", Failed: "failed" } as const

const remember = (
  slot: RecentOutcome | undefined,
  { settlement, task: { attempts, record, request } }: SettledTask,
  code: string,
  publishedAt: number,
  millis: number | undefined
): void => {
  if (slot === undefined) return
  slot.publishedAt = publishedAt
  slot.code = code
  slot.kind = kinds[settlement._tag]
  slot.zoneId = request.zoneId
  slot.originIp = request.originIp
  slot.id = rememberedText(request.event.id)
  slot.source = rememberedText(request.event.source)
  slot.operation = request.operation
  slot.partition = record.partition
  slot.offset = record.offset
  slot.millis = millis
  slot.attempts = attempts
  slot.recovered = settlement._tag === "Succeeded" && settlement.recovered
}
