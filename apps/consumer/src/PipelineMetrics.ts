import { apiErrors } from "@origin-regions/domain/ApiError"
import { outcomeCodeOf } from "@origin-regions/domain/MappingOutcome"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { Clock, Context, Effect, Metric } from "effect"
import type { SettledTask } from "./Delivery.ts"

/** Where OpenTelemetry has no name, ours begin so. docs/metrics.md has them all. */
export const nameOf = (name: string): string => `origin_regions_consumer_${name}`

/** The codes that outcomes are counted by, the last for all others. What else the API comes up with is `other`: it must not make series without end. */
const OTHER_CODE = "other"
const failedCodes = ["malformed_request", "expired", "gave_up"] as const
export const outcomeCodes: ReadonlyArray<string> = [
  "created",
  "upserted",
  "deleted",
  "unchanged",
  ...failedCodes,
  ...new Set(
    Object.values(apiErrors).filter(({ category }) => category === "reject" || category === "absent").map(({ code }) =>
      String(code)
    )
  ),
  OTHER_CODE
]

const counter = (name: string, description: string, attributes: Readonly<Record<string, string>> = {}) =>
  Metric.counter(nameOf(name), { description, incremental: true, attributes })

/** What the pipeline and the deliveries count, by plain functions: they run for every request. */
export interface PipelineMetrics {
  /** A call begins with so many requests in it. */
  readonly called: (requests: number) => void
  readonly rebalanced: () => void
  /** A mapping is read to find out what has become of an attempt. */
  readonly resolverRead: () => void
  /** These outcomes have just been published. */
  readonly published: (settled: ReadonlyArray<SettledTask>) => void
}

/** The metrics of the registry in force, all of them from zero on, so that what happens first is an increase. */
export const pipelineMetrics: Effect.Effect<PipelineMetrics> = Effect.contextWith((context: Context.Context<never>) => {
  const clock = Context.get(context, Clock.Clock)
  const fromZero = (metric: ReturnType<typeof counter>) => {
    metric.updateUnsafe(0, context)
    return metric
  }
  const byCode = (name: string, description: string, codes: ReadonlyArray<string>) =>
    new Map(codes.map((code) => [code, fromZero(counter(name, description, { code }))]))
  const outcomes = byCode("outcomes_total", "Outcomes published, by their code", outcomeCodes)
  const deadLetters = byCode("dead_letters_total", "Dead letters published, by their outcome's code", failedCodes)
  const recovered = fromZero(
    counter("outcomes_recovered_total", "Outcomes of requests that an attempt without a known answer had applied")
  )
  const rebalances = fromZero(counter("rebalances_total", "Assignments that the group has given this member"))
  const resolverReads = fromZero(
    counter("resolver_reads_total", "Mappings read to find out what has become of an attempt, or what it met")
  )
  const callSize = Metric.histogram(nameOf("call_requests"), {
    description: "Requests that go together in one call",
    boundaries: [1, 2, 5, 10, 20, 50, 100]
  })
  const processed = Metric.histogram("messaging_process_duration_seconds", {
    description: "Time from the first attempt at a request to the publication of its outcome",
    boundaries: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 3600],
    attributes: { "messaging.system": "kafka", "messaging.operation.name": "process" }
  })
  const age = Metric.histogram(nameOf("request_age_seconds"), {
    description: "Time from a request's record, by its timestamp, to the publication of its outcome",
    boundaries: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 3600, 86_400]
  })
  for (const histogram of [callSize, processed, age]) histogram.valueUnsafe(context)

  return Effect.succeed<PipelineMetrics>({
    called: (requests) => callSize.updateUnsafe(requests, context),
    rebalanced: () => rebalances.updateUnsafe(1, context),
    resolverRead: () => resolverReads.updateUnsafe(1, context),
    published(settled) {
      const now = clock.currentTimeMillisUnsafe()
      const steadyNow = steadyMillis(clock)
      for (const { settlement, task: { firstTriedAt, record: { timestamp } } } of settled) {
        const code = outcomeCodeOf(settlement)
        const counted = outcomes.get(code) ?? outcomes.get(OTHER_CODE)
        counted?.updateUnsafe(1, context)
        deadLetters.get(code)?.updateUnsafe(1, context)
        if (settlement._tag === "Succeeded" && settlement.recovered) recovered.updateUnsafe(1, context)
        if (firstTriedAt !== undefined) processed.updateUnsafe(Math.max(0, steadyNow - firstTriedAt) / 1000, context)
        const written = Number(timestamp)
        if (written > 0) age.updateUnsafe(Math.max(0, now - written) / 1000, context)
      }
    }
  })
})
