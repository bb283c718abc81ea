import { Clock, Effect } from "effect"
import { type ArenaOptions, makeArena } from "./Arena.ts"
import type { Program, System } from "./Systems.ts"
import { machineCpuSeconds, usageOf } from "./Usage.ts"
import type { BenchRequest } from "./Workload.ts"

export interface BacklogOptions extends ArenaOptions {
  readonly requests: ReadonlyArray<BenchRequest>
  readonly addresses: number
  /** Seconds after which a system that is not done is measured on what it has done. */
  readonly limit: number
}

/** How a system does with a topic that is full when it comes. */
export interface Backlog {
  /** Requests done in a second, once the first tenth of them had been begun. */
  readonly rate: number
  /** Requests done within the limit, each counted once. */
  readonly done: number
  /** Outcomes beyond the first of a request. */
  readonly repeatedOutcomes: number
  /** Calls for a request that had been called for before. */
  readonly duplicateCalls: number
  /** Calls that came after one for a later request of the same address. */
  readonly reordered: number
  /** Calls that came while another one for the same address was under way. */
  readonly overlapping: number
  /** Processor time for a thousand requests, in seconds. */
  readonly cpu: number
  /** The same of the API's stand-in. */
  readonly apiCpu: number
  /** The same of the broker, if it is one of ours; and of this process, which reads the outcomes. */
  readonly brokerCpu: number
  readonly readerCpu: number
  /** Processors that all else on the machine had meanwhile. With as many as there are, rates say little. */
  readonly others: number
  /** The most memory that it has ever had, in bytes. */
  readonly peakMemory: number
}

/** Not counted: of all requests, or of the limit, in which code is not compiled yet and connections are not made. */
const WARM_UP = { requests: 0.1, limit: 0.25 }

/** Each look costs a call or two. */
const BETWEEN_LOOKS = "10 millis"

/** How many requests have been begun, or done, and when that was, in milliseconds since 1970. */
interface Progress {
  readonly count: number
  readonly at: number
}

const now = () => performance.timeOrigin + performance.now()

/**
 * From the moment in which a tenth of the requests had been begun (or a quarter of the limit was over) to the last outcome (or the last answer of the API, or the last commit, of systems
 * without outcomes). Not from the first outcome: who publishes a whole batch at once would have worked long before that.
 */
export const measureBacklog = ({ progress }: System, program: Program, options: BacklogOptions) =>
  Effect.gen(function*() {
    const { addresses, limit, requests } = options
    const arena = yield* makeArena(options)
    const { api, outcomes } = arena
    if (progress !== "calls") yield* arena.send(requests)

    const committed = Effect.map(arena.committed, (count): Progress => ({ count, at: now() }))
    const begun = progress === "offsets"
      ? committed
      : Effect.map(api.report, ({ at, calls }): Progress => ({ count: calls, at }))
    const answered = new Set<number>()
    let seen = 0
    const published = Effect.sync((): Progress => {
      while (seen < outcomes.arrivals.length) answered.add(outcomes.arrivals[seen++]?.request ?? Number.NaN)
      return { count: answered.size, at: performance.timeOrigin + (outcomes.arrivals.at(-1)?.at ?? Number.NaN) }
    })
    const done = progress === "offsets"
      ? committed
      : progress === "outcomes"
      ? published
      : Effect.map(api.report, ({ answered, answeredAt }): Progress => ({ count: answered, at: answeredAt }))

    const child = yield* arena.start(program, { requests: requests.length, addresses })
    const usage = Effect.all({
      system: usageOf(child.pid),
      api: usageOf(api.pid),
      broker: usageOf(arena.brokerPid),
      reader: usageOf(process.pid),
      machine: machineCpuSeconds
    })
    return yield* Effect.gen(function*() {
      const startedAt = yield* Clock.currentTimeMillis
      /** Waits for so many, but not longer than for this part of the limit. */
      const reached = Effect.fnUntraced(function*(progress: Effect.Effect<Progress>, count: number, part: number) {
        const until = startedAt + limit * 1000 * part
        for (;;) {
          const state = yield* progress
          if (state.count >= count || (yield* Clock.currentTimeMillis) > until) return state
          yield* Effect.sleep(BETWEEN_LOOKS)
        }
      })
      const start = yield* reached(begun, requests.length * WARM_UP.requests, WARM_UP.limit)
      const before = yield* usage
      const end = yield* reached(done, requests.length, 1)
      const after = yield* usage
      const report = yield* api.report
      const counted = end.count - start.count
      const seconds = (end.at - start.at) / 1000
      const used = (who: "system" | "api" | "broker" | "reader") => after[who].cpuSeconds - before[who].cpuSeconds
      const forThousand = (who: Parameters<typeof used>[0]) => used(who) / (counted / 1000)
      const ours = used("system") + used("api") + used("broker") + used("reader")
      return {
        rate: counted / seconds,
        done: end.count,
        // Not all that have come by now: a system that was not done in time goes on.
        repeatedOutcomes: seen - answered.size,
        duplicateCalls: report.duplicates,
        reordered: report.reordered,
        overlapping: report.overlapping,
        cpu: forThousand("system"),
        apiCpu: forThousand("api"),
        brokerCpu: forThousand("broker"),
        readerCpu: forThousand("reader"),
        others: (after.machine - before.machine - ours) / seconds,
        peakMemory: after.system.peakResidentBytes
      } satisfies Backlog
    }).pipe(Effect.raceFirst(child.ended))
  }).pipe(Effect.scoped)
