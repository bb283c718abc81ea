import { type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { Clock, Effect, Metric } from "effect"

const requests = Metric.counter("requests_total", {
  description: "Requests answered, by generation, operation and error code (ok where there was none)",
  incremental: true
})

const durations = Metric.histogram("request_duration_seconds", {
  description: "Time from the routed request to its answer, by generation and operation",
  boundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
})

/** A request that no operation of any generation answered. */
export type NoGeneration = "none"

type Counter = ReturnType<typeof counterOf>

/** Made once for each: they are the same for every request. */
const counters = new Map<string, Counter>()

const counterOf = (generation: 1 | 2 | NoGeneration, operation: string, outcome: ApiErrorName | "ok") =>
  Metric.withAttributes(requests, {
    generation: String(generation),
    operation,
    code: outcome === "ok" ? outcome : String(apiErrors[outcome].code)
  })

/** Counts an answer. `operation` is one of the generation's, or `none` where the request had no route. */
export const countRequest = (
  generation: 1 | 2 | NoGeneration,
  operation: string,
  outcome: ApiErrorName | "ok"
): Effect.Effect<void> => {
  const key = `${generation} ${operation} ${outcome}`
  let counter = counters.get(key)
  if (counter === undefined) counters.set(key, counter = counterOf(generation, operation, outcome))
  return Metric.update(counter, 1)
}

/** Adds to the histogram of an operation how long an effect took, however it ended. */
export const timed = (generation: 1 | 2, operation: string) => {
  const histogram = Metric.withAttributes(durations, { generation: String(generation), operation })
  return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.monotonicTimeNanos, (start) =>
      Effect.ensuring(
        effect,
        Effect.flatMap(Clock.monotonicTimeNanos, (end) => Metric.update(histogram, Number(end - start) / 1e9))
      ))
}
