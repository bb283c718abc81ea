import type { ApiErrorCategory } from "@origin-regions/domain/ApiError"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { Clock, type Context, Effect, Metric } from "effect"
import type { ApiError } from "../ApiError.ts"

/** Plain functions: they run for every call. */
interface ApiMetrics {
  /** A call begins; what it answers is told when it has ended, and with which error, if any. One that is interrupted does not count. */
  readonly called: (method: string, path: string) => (error: ApiError | undefined) => void
}

const categories: ReadonlyArray<ApiErrorCategory> = ["reject", "absent", "retry", "wait", "credential"]

const errorCounterOf = (category: ApiErrorCategory) =>
  Metric.counter("origin_regions_api_client_errors_total", {
    description: "Calls to the API that failed, by what is done about it",
    incremental: true,
    attributes: { category }
  })

const durationOf = (method: string, template: string, category: ApiErrorCategory | "") =>
  Metric.histogram("http_client_request_duration_seconds", {
    description: "How long calls to the API took, to the end of their answers",
    boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    attributes: { "http.request.method": method, "url.template": template, "error.type": category }
  })

/** Whatever zone and address a path is about, and whatever stands before it: there are as many templates as the API has operations. */
export const urlTemplateOf = (path: string): string => {
  const [route = ""] = path.slice(path.lastIndexOf("/zones/") + "/zones/".length).split("?")
  const [, feature = "", name = "", last] = route.split("/")
  const item = last === undefined ? "" : last === "batch" || last === "supported_regions" ? `/${last}` : "/{origin_ip}"
  return `/zones/{zone_id}/${feature}/${name}${item}`
}

/** The metrics of the registry in force. */
export const apiMetrics: Effect.Effect<ApiMetrics> = Effect.gen(function*() {
  const context: Context.Context<never> = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const errors = new Map(categories.map((category) => [category, errorCounterOf(category)]))
  // So that the first error is an increase.
  for (const counter of errors.values()) counter.updateUnsafe(0, context)
  const durations = new Map<string, ReturnType<typeof durationOf>>()

  const ended = (method: string, template: string, category: ApiErrorCategory | "", millis: number) => {
    const key = `${method} ${template} ${category}`
    let duration = durations.get(key)
    if (duration === undefined) durations.set(key, duration = durationOf(method, template, category))
    duration.updateUnsafe(millis / 1000, context)
    if (category !== "") errors.get(category)?.updateUnsafe(1, context)
  }

  return {
    called(method, path) {
      const startedAt = steadyMillis(clock)
      return (error) => ended(method, urlTemplateOf(path), error?.category ?? "", steadyMillis(clock) - startedAt)
    }
  }
})
