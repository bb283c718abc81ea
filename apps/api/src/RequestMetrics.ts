import { type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { type Context, Effect, Metric } from "effect"

/** A request that no operation of any generation answered. */
export type NoGeneration = "none"

/** Plain functions: they run for every request. */
export interface RequestMetrics {
  /** Counts an answer. `operation` is one of the generation's, or `none` where the request had no route. */
  count(generation: 1 | 2 | NoGeneration, operation: string, outcome: ApiErrorName | "ok"): void
  /** What adds to the histogram of a route how long an answer took. */
  durationsOf(method: string, route: string): (seconds: number) => void
}

const counterOf = (generation: string, operation: string, outcome: ApiErrorName | "ok") =>
  Metric.counter("origin_regions_api_requests_total", {
    description: "Requests answered, by generation, operation and error code (ok where there was none)",
    incremental: true,
    attributes: { generation, operation, code: outcome === "ok" ? outcome : String(apiErrors[outcome].code) }
  })

const histogramOf = (method: string, route: string) =>
  Metric.histogram("http_server_request_duration_seconds", {
    description: "Time from the routed request to its answer",
    boundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    attributes: { "http.request.method": method, "http.route": route }
  })

/** The metrics of the registry in force. */
export const requestMetrics: Effect.Effect<RequestMetrics> = Effect.contextWith((context: Context.Context<never>) => {
  const counters = new Map<string, ReturnType<typeof counterOf>>()
  return Effect.succeed<RequestMetrics>({
    count(generation, operation, outcome) {
      const key = `${generation} ${operation} ${outcome}`
      let counter = counters.get(key)
      if (counter === undefined) counters.set(key, counter = counterOf(String(generation), operation, outcome))
      counter.updateUnsafe(1, context)
    },
    durationsOf(method, route) {
      const histogram = histogramOf(method, route)
      return (seconds) => histogram.updateUnsafe(seconds, context)
    }
  })
})
