import { type Context, Effect, Layer, Metric } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { cpuUsage, execArgv, memoryUsage, uptime } from "node:process"
import { getHeapSpaceStatistics, getHeapStatistics } from "node:v8"

const NANOS = 1e9
const MICROS = 1e6

/** Measured by Node itself in this many milliseconds. */
const RESOLUTION = 20

/**
 * V8 has room for what is new apart from the rest, and it is the rest that a process ends for want of: of a heap of 64 MiB, 48 are for what is new, so that the two
 * together say little. V8 tells the limit of both only; that of what is new is three times what `FrugalStart` has it be.
 */
const limitOfNew = 3 * Number(/--max-semi-space-size=(\d+)/.exec(execArgv.join(" "))?.[1] ?? 0) * 1024 * 1024

const keptMemory = (): number =>
  getHeapSpaceStatistics().reduce(
    (sum, { space_name, space_used_size }) => space_name.startsWith("new_") ? sum : sum + space_used_size,
    0
  )

const readOnly = { update: () => {}, modify: () => {} }

/** What the process itself needs, by OpenTelemetry's names, looked at when the metrics are read. The delays of the event loop are those of the last scrape's interval. */
export const layer = Layer.effectDiscard(Effect.gen(function*() {
  const context: Context.Context<never> = yield* Effect.context<never>()
  const delay = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const histogram = monitorEventLoopDelay({ resolution: RESOLUTION })
      histogram.enable()
      return histogram
    }),
    (histogram) => Effect.sync(() => histogram.disable())
  )
  const gauge = (name: string, description: string, look: () => number) =>
    Metric.registerUnsafe(Metric.gauge(name, { description }), context, {
      ...readOnly,
      get: () => ({ value: look() })
    })
  const registrations = [
    // Node measures the pause between two ticks, their distance included.
    gauge("nodejs_eventloop_delay_p99_seconds", "How late timers are in all but one of a hundred cases", () => {
      const late = delay.percentile(99) / NANOS - RESOLUTION / 1000
      delay.reset()
      return Math.max(0, late)
    }),
    gauge("v8js_memory_heap_used_bytes", "Memory in use by JavaScript, but for what is new", keptMemory),
    gauge(
      "v8js_memory_heap_limit_bytes",
      "Memory that JavaScript may use before the process ends, but for what is new",
      () => getHeapStatistics().heap_size_limit - limitOfNew
    ),
    gauge("process_memory_usage_bytes", "Memory of the process that is resident", () => memoryUsage().rss),
    gauge("process_uptime_seconds", "How long the process has been running", uptime),
    ...(["user", "system"] as const).map((mode) =>
      Metric.registerUnsafe(
        Metric.counter("process_cpu_time_seconds_total", {
          description: "Processor time of the process, by who spent it",
          incremental: true,
          attributes: { "cpu.mode": mode }
        }),
        context,
        { ...readOnly, get: () => ({ count: cpuUsage()[mode] / MICROS, incremental: true }) }
      )
    )
  ]
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { remove } of registrations) remove()
    })
  )
}))
