import { Effect } from "effect"
import { usageOf } from "../bench/Usage.ts"
import { drawRequests } from "../bench/Workload.ts"
import { type DeliveryMode, makeBench } from "./Bench.ts"

export interface ThroughputOptions {
  readonly requests: number
  readonly addresses: number
  /** How long the API takes for a call, in milliseconds. */
  readonly apiLatency: number
}

export interface Throughput {
  /** Requests with an outcome in a second, from the first outcome to the last. */
  readonly rate: number
  /** Processor time of the consumer for a thousand requests, in seconds. */
  readonly cpu: number
  /** The same of the API's stand-in. */
  readonly apiCpu: number
  /** The most memory that the consumer has ever had, in bytes. */
  readonly peakMemory: number
}

/** How long a consumer takes for a topic that is full when it comes. */
export const measureThroughput = (delivery: DeliveryMode, options: ThroughputOptions) =>
  Effect.gen(function*() {
    const { addresses, requests } = options
    const bench = yield* makeBench(delivery, options.apiLatency)
    yield* bench.send(drawRequests("uniform", requests, addresses))
    const consumer = yield* bench.startConsumer
    yield* bench.until(({ length }) => length > 0)
    const before = [yield* usageOf(consumer.pid), yield* usageOf(bench.apiPid)] as const
    const counted = requests - bench.arrivals.length
    yield* bench.until(({ length }) => length >= requests)
    const after = [yield* usageOf(consumer.pid), yield* usageOf(bench.apiPid)] as const
    const [first, last] = [bench.arrivals[0], bench.arrivals.at(-1)]
    const thousands = counted / 1000
    const result: Throughput = {
      rate: counted / (((last?.at ?? Number.NaN) - (first?.at ?? Number.NaN)) / 1000),
      cpu: (after[0].cpuSeconds - before[0].cpuSeconds) / thousands,
      apiCpu: (after[1].cpuSeconds - before[1].cpuSeconds) / thousands,
      peakMemory: after[0].peakResidentBytes
    }
    yield* consumer.terminate
    return result
  }).pipe(Effect.scoped)
