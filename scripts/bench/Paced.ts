import { quantile } from "@origin-regions/testkit/Statistics"
import { Effect } from "effect"
import { type ArenaOptions, makeArena } from "./Arena.ts"
import { makePacedLoad } from "./PacedLoad.ts"
import type { Program } from "./Systems.ts"
import { usageOf } from "./Usage.ts"
import type { BenchRequest } from "./Workload.ts"

export interface PacedOptions extends ArenaOptions {
  /** Those of the warm-up come first. */
  readonly requests: ReadonlyArray<BenchRequest>
  readonly addresses: number
  /** Requests in a second. */
  readonly rate: number
  /** Of the first of them, nothing is counted. */
  readonly warmUp: number
  /** Seconds after the last request is due, in which outcomes are waited for. */
  readonly patience: number
}

/** How a system does with requests that come at an even pace, whatever becomes of those before. Times in milliseconds. */
export interface Paced {
  /** From the moment in which a request is due to its outcome at a `read_committed` reader; infinite where too many have none. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  /** From the moment in which a request is due until the broker has it: no system can be better than that and the API's latency. */
  readonly offeredP50: number
  readonly offeredP99: number
  /** Requests of those that count whose outcome did not come in time. */
  readonly missing: number
  readonly duplicateCalls: number
  readonly reordered: number
  readonly overlapping: number
  /** Processor time for a thousand requests, in seconds. */
  readonly cpu: number
  /** The most memory that it has ever had, in bytes. */
  readonly peakMemory: number
}

/** Short: it is a part of every latency. */
const PAUSE = "1 millis"

export const measurePaced = (program: Program, options: PacedOptions) =>
  Effect.gen(function*() {
    const { addresses, patience, rate, requests, warmUp } = options
    const { api, outcomes, send, start } = yield* makeArena(options)
    const child = yield* start(program, { requests: requests.length, addresses })
    return yield* Effect.gen(function*() {
      // Connected and joined, before the first is due that is to be in time.
      const [first, ...rest] = requests
      if (first === undefined) return yield* Effect.die("There are no requests.")
      yield* send([first])
      yield* outcomes.until(({ length }) => length > 0)

      const offered: Array<number> = []
      const load = makePacedLoad({
        send: (due) =>
          Effect.andThen(
            send(due),
            Effect.sync(() => {
              const at = performance.now()
              for (const request of due) offered.push(at - load.dueAt(request.number - 1))
            })
          ),
        requestOf: (number) => rest[number] ?? first,
        rate,
        pause: PAUSE,
        limit: rest.length
      })
      yield* Effect.forkChild(load.run)
      const end = load.dueAt(rest.length) + patience * 1000
      const timeIsUp = Effect.suspend(() => Effect.sleep(Math.max(0, end - performance.now())))
      const arrived = (count: number) => Effect.raceFirst(outcomes.until(({ length }) => length >= count), timeIsUp)
      yield* arrived(warmUp)
      const before = yield* usageOf(child.pid)
      const counted = requests.length - outcomes.arrivals.length
      yield* arrived(requests.length)
      const after = yield* usageOf(child.pid)

      const arrivals = new Map<number, number>()
      for (const { at, request } of outcomes.arrivals) if (!arrivals.has(request)) arrivals.set(request, at)
      const latencies = rest.slice(warmUp).map(({ number }) =>
        (arrivals.get(number) ?? Infinity) - load.dueAt(number - 1)
      )
      const report = yield* api.report
      return {
        p50: quantile(latencies, 0.5),
        p99: quantile(latencies, 0.99),
        p999: quantile(latencies, 0.999),
        offeredP50: quantile(offered.slice(warmUp), 0.5),
        offeredP99: quantile(offered.slice(warmUp), 0.99),
        missing: latencies.filter((latency) => latency === Infinity).length,
        duplicateCalls: report.duplicates,
        reordered: report.reordered,
        overlapping: report.overlapping,
        cpu: (after.cpuSeconds - before.cpuSeconds) / (counted / 1000),
        peakMemory: after.peakResidentBytes
      } satisfies Paced
    }).pipe(Effect.raceFirst(child.ended))
  }).pipe(Effect.scoped)
