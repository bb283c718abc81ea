import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import type { PipelineStatus } from "./PipelineStatus.ts"

const outcomes = Metric.counter("outcomes_total", {
  incremental: true,
  description: "Outcomes published, by their code"
})
const calls = Metric.gauge("api_calls_in_flight", { description: "Calls to the API under way" })
const inFlight = Metric.gauge("requests_in_flight", { description: "Requests that are in calls to the API under way" })
const queued = Metric.gauge("requests_queued", { description: "Requests read that wait for their turn" })
const waiting = Metric.gauge("requests_waiting", { description: "Requests that wait for another attempt" })
const unpublished = Metric.gauge("outcomes_unpublished", { description: "Outcomes that wait to be published" })
const quotaLimit = Metric.gauge("api_quota_limit", { description: "Calls that the API's quota allows in a window" })
const quotaLeft = Metric.gauge("api_quota_left", {
  description: "Calls of the API's quota that this member may still make"
})
const partitions = Metric.gauge("partitions_assigned", { description: "Partitions that this member owns" })

const codeOf = (settlement: Settlement): string => {
  switch (settlement._tag) {
    case "Succeeded":
      return settlement.result
    case "Malformed":
      return "malformed_request"
    case "Rejected":
      return String(settlement.code)
    case "Failed":
      return settlement.name
  }
}

/** One counter for each code, made once: codes are few, and records are many. */
const counters = new Map<string, Metric.Counter<number>>()

export const countOutcome = (settlement: Settlement) => {
  const code = codeOf(settlement)
  let counter = counters.get(code)
  if (counter === undefined) {
    counter = Metric.withAttributes(outcomes, { code })
    counters.set(code, counter)
  }
  return Metric.update(counter, 1)
}

/** The metrics in Prometheus' text format, the gauges as of now. */
export const renderMetrics = Effect.fnUntraced(function*(status: PipelineStatus) {
  yield* Metric.update(calls, status.calls)
  yield* Metric.update(inFlight, status.inFlight)
  yield* Metric.update(queued, status.queued)
  yield* Metric.update(waiting, status.waiting)
  yield* Metric.update(unpublished, status.unpublished)
  yield* Metric.update(partitions, status.partitions.length)
  if (status.quota !== undefined) {
    yield* Metric.update(quotaLimit, status.quota.limit)
    yield* Metric.update(quotaLeft, status.quota.left)
  }
  return yield* PrometheusMetrics.format({ prefix: "origin_regions_consumer" })
})
