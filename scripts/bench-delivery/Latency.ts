import { quantile } from "@origin-regions/testkit/Statistics"
import { Effect } from "effect"
import { usageOf } from "../bench/Usage.ts"
import { type DeliveryMode, makeBench } from "./Bench.ts"
import { makeLoad } from "./Load.ts"

export interface LatencyOptions {
  /** Requests in a second. */
  readonly rate: number
  readonly seconds: number
  /** Seconds before that: at first the code is not compiled yet. */
  readonly warmUp: number
  /** How long the API takes for a call, in milliseconds. */
  readonly apiLatency: number
}

export interface Latency {
  /** From the moment in which a request was due to its outcome at a reader, in milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Processor time of the consumer for a thousand requests, in seconds. */
  readonly cpu: number
  /** The most memory that the consumer has ever had, in bytes. */
  readonly peakMemory: number
}

/** How long a request takes while requests come at an even pace. */
export const measureLatency = (delivery: DeliveryMode, options: LatencyOptions) =>
  Effect.gen(function*() {
    const { rate, seconds, warmUp } = options
    const bench = yield* makeBench(delivery, options.apiLatency)
    const consumer = yield* bench.startConsumer
    yield* Effect.orDie(consumer.ready)
    const ignored = rate * warmUp
    const total = ignored + rate * seconds
    const load = makeLoad(bench, rate, total)
    yield* Effect.forkChild(load.run)
    yield* bench.until(({ length }) => length >= ignored)
    const before = yield* usageOf(consumer.pid)
    const counted = total - bench.arrivals.length
    yield* bench.until(({ length }) => length >= total)
    const after = yield* usageOf(consumer.pid)
    const latencies = bench.arrivals.filter(({ request }) => request >= ignored).map(
      ({ at, request }) => at - load.dueAt(request)
    )
    const result: Latency = {
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      cpu: (after.cpuSeconds - before.cpuSeconds) / (counted / 1000),
      peakMemory: after.peakResidentBytes
    }
    yield* consumer.terminate
    return result
  }).pipe(Effect.scoped)
