import { Effect, Fiber, Stream } from "effect"
import { type DeliveryMode, makeBench } from "./Bench.ts"
import { makeLoad } from "./Load.ts"

export interface RestartOptions {
  readonly delivery: DeliveryMode
  /** Requests in a second, all the time. */
  readonly rate: number
  /** Seconds before the end of the first consumer: at first the code is not compiled yet. */
  readonly warmUp: number
  /** How long the API takes for a call, in milliseconds. */
  readonly apiLatency: number
}

export interface Restart {
  /** Until the new process ran, in seconds from the end of the old one. */
  readonly running: number
  /** Until it had its partitions. */
  readonly assigned: number
  /** Until its first outcome came to a reader. */
  readonly firstOutcome: number
  /** Calls to the API that were made again. */
  readonly repeatedCalls: number
  /** Outcomes beyond the first of a request. */
  readonly repeatedOutcomes: number
}

/**
 * The only consumer ends under load and a new one comes in its place: after a crash (SIGKILL) at the same moment, after an orderly stop (SIGTERM) once the old
 * one has gone.
 */
export const measureRestart = (how: "crash" | "stop", options: RestartOptions) =>
  Effect.gen(function*() {
    const { delivery, rate, warmUp } = options
    const bench = yield* makeBench(delivery, options.apiLatency)
    const first = yield* bench.startConsumer
    yield* Effect.orDie(first.ready)
    const load = makeLoad(bench, rate)
    const running = yield* Effect.forkChild(load.run)
    yield* bench.until(({ length }) => length >= rate * warmUp)
    yield* how === "crash" ? Effect.sync(() => process.kill(first.pid, "SIGKILL")) : first.terminate
    const endedAt = performance.now()
    const second = yield* bench.startConsumer
    const says = (text: string) =>
      Effect.forkChild(
        Effect.map(
          Stream.runHead(Stream.filter(second.lines, (line) => line.includes(text))),
          () => (performance.now() - endedAt) / 1000
        )
      )
    const listening = yield* says("Listening")
    const assigned = yield* says("At work on")
    const isOfSecond = ({ settledAt }: { readonly settledAt: number }) => settledAt > performance.timeOrigin + endedAt
    yield* bench.until((arrivals) => arrivals.slice(-1).some(isOfSecond))
    yield* load.stop
    yield* Fiber.join(running)
    const answered = () => new Set(bench.arrivals.map(({ request }) => request)).size
    yield* bench.until(({ length }) => length >= load.sent() && answered() >= load.sent())
    const firstOutcome = bench.arrivals.find(isOfSecond)
    yield* second.terminate
    const result: Restart = {
      running: yield* Fiber.join(listening),
      assigned: yield* Fiber.join(assigned),
      firstOutcome: ((firstOutcome?.at ?? Number.NaN) - endedAt) / 1000,
      repeatedCalls: (yield* bench.apiReport).duplicates,
      repeatedOutcomes: bench.arrivals.length - answered()
    }
    return result
  }).pipe(Effect.scoped)
