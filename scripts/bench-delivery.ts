/** What exactly-once costs over at-least-once, and how soon requests are answered again after a crash or a restart: real broker, real consumers. */
import { median } from "@origin-regions/testkit/Statistics"
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { type DeliveryMode, SESSION_SECONDS } from "./bench-delivery/Bench.ts"
import { type Latency, measureLatency } from "./bench-delivery/Latency.ts"
import { measureRestart, type Restart } from "./bench-delivery/Restart.ts"
import { measureThroughput, type Throughput } from "./bench-delivery/Throughput.ts"
import { layerKafka } from "./bench/LayerKafka.ts"
import { inRounds } from "./bench/Rounds.ts"
import { count, runCommandLine } from "./CommandLine.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"
import { mebibytes, milliseconds, type Row, seconds, table } from "./Table.ts"

const modes: ReadonlyArray<DeliveryMode> = ["exactly-once", "at-least-once"]
const parts = ["throughput", "latency", "restarts"] as const

/** By mode, a result for each round. */
type Rounds<A> = Readonly<Record<DeliveryMode, ReadonlyArray<A>>>

const inModes = <A, E, R>(
  title: string,
  rounds: number,
  measure: (mode: DeliveryMode) => Effect.Effect<A, E, R>
) =>
  Effect.map(
    inRounds(modes, rounds, (mode) => `${title}, ${mode}`, measure),
    (results): Rounds<A> => {
      const of = (mode: DeliveryMode) => results.find(({ system }) => system === mode)?.rounds ?? []
      return { "exactly-once": of("exactly-once"), "at-least-once": of("at-least-once") }
    }
  )

const medianOf = <A>(results: ReadonlyArray<A>, pick: (result: A) => number): number => median(results.map(pick))

/** Rows that hold both modes' medians against each other. */
const comparison = <A>(rounds: Rounds<A>) =>
(
  name: string,
  pick: (result: A) => number,
  write: (value: number) => string,
  compare: (once: number, least: number) => string
): Row => {
  const once = medianOf(rounds["exactly-once"], pick)
  const least = medianOf(rounds["at-least-once"], pick)
  return { name, cells: [write(once), write(least), compare(once, least)] }
}

const percent = (once: number, least: number): string => `${(once / least * 100).toFixed(0)}%`
const added = (once: number, least: number): string => `${once < least ? "" : "+"}${(once - least).toFixed(1)} ms`

const throughputRows = (rounds: Rounds<Throughput>): ReadonlyArray<Row> => {
  const row = comparison(rounds)
  return [
    row("requests/s", ({ rate }) => rate, (rate) => rate.toFixed(0), percent),
    row("processor time for 1,000", ({ cpu }) => cpu, seconds, percent),
    row("  of the API's stand-in", ({ apiCpu }) => apiCpu, seconds, percent),
    row("memory at most", ({ peakMemory }) => peakMemory, mebibytes, percent)
  ]
}

const latencyRows = (rounds: Rounds<Latency>): ReadonlyArray<Row> => {
  const row = comparison(rounds)
  return [
    row("request to outcome, p50", ({ p50 }) => p50, milliseconds, added),
    row("request to outcome, p99", ({ p99 }) => p99, milliseconds, added),
    row("processor time for 1,000", ({ cpu }) => cpu, seconds, percent),
    row("memory at most", ({ peakMemory }) => peakMemory, mebibytes, percent)
  ]
}

const restartRows = (title: string, restarts: ReadonlyArray<Restart>): ReadonlyArray<Row> => {
  const row = (name: string, pick: (restart: Restart) => number, digits: number): Row => {
    const values = restarts.map(pick)
    return { name: `${title}: ${name}`, cells: [median(values).toFixed(digits), Math.max(...values).toFixed(digits)] }
  }
  return [
    row("process runs after (s)", ({ running }) => running, 2),
    row("partitions assigned after (s)", ({ assigned }) => assigned, 2),
    row("first outcome after (s)", ({ firstOutcome }) => firstOutcome, 2),
    row("calls to the API made again", ({ repeatedCalls }) => repeatedCalls, 0),
    row("outcomes published again", ({ repeatedOutcomes }) => repeatedOutcomes, 0)
  ]
}

const benchDelivery = Command.make(
  "npm run bench:delivery --",
  {
    only: Flag.Literals("only", parts).pipe(Flag.withDescription("Only this part"), Flag.optional),
    rounds: count("rounds", 3, "Rounds of throughput and of latency in each mode"),
    restarts: count("restarts", 5, "Crashes, and orderly restarts"),
    requests: count("requests", 30_000, "Requests of a topic that is full when the consumer comes"),
    addresses: count("addresses", 10_000, "Their addresses"),
    rate: count("rate", 500, "Requests in a second of an even load"),
    seconds: count("seconds", 20, "How long the even load is measured"),
    warmUp: count("warm-up", 5, "Seconds of it that come before, and before a crash"),
    delivery: Flag.Literals("delivery", modes).pipe(
      Flag.withDescription("DELIVERY of the restarts (default: exactly-once)"),
      Flag.withDefault("exactly-once")
    ),
    apiLatency: count("api-latency", 5, "Milliseconds that the API's stand-in takes for a call"),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the results as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ only, ...flags }) {
    const { delivery, json, rate } = flags
    const isWanted = (part: (typeof parts)[number]) => only._tag === "None" || only.value === part
    const results = yield* Effect.gen(function*() {
      const throughput = isWanted("throughput")
        ? yield* inModes("Throughput", flags.rounds, (mode) => measureThroughput(mode, flags))
        : undefined
      const latency = isWanted("latency")
        ? yield* inModes("Latency", flags.rounds, (mode) => measureLatency(mode, flags))
        : undefined
      const crashes: Array<Restart> = []
      const stops: Array<Restart> = []
      for (let round = 0; isWanted("restarts") && round < flags.restarts; round++) {
        crashes.push(yield* measureRestart("crash", flags))
        stops.push(yield* measureRestart("stop", flags))
        yield* printError(
          `Restarts, round ${round + 1}: ${JSON.stringify({ crash: crashes.at(-1), stop: stops.at(-1) })}`
        )
      }
      return { throughput, latency, crashes, stops }
    }).pipe(Effect.provide(layerKafka))
    if (json) return yield* print(JSON.stringify({ flags, ...results }))
    const { crashes, latency, stops, throughput } = results
    const lines = [
      ...(throughput === undefined ? [] : [
        ...table({ name: `${flags.requests} requests that wait`, cells: [...modes, ""] }, throughputRows(throughput)),
        ""
      ]),
      ...(latency === undefined ? [] : [
        ...table({ name: `${rate} requests/s`, cells: [...modes, ""] }, latencyRows(latency)),
        ""
      ]),
      ...(crashes.length === 0 ?
        [] :
        table({
          name: `${delivery}, ${rate} requests/s, sessions of ${SESSION_SECONDS} s`,
          cells: ["median", "most"]
        }, [
          ...restartRows("crash", crashes),
          ...restartRows("stop", stops)
        ]))
    ]
    for (const line of lines) yield* print(line)
  })
).pipe(Command.withDescription(
  "Measure what exactly-once costs over at-least-once, and how soon requests are answered again after a crash or a restart."
))

runScript(runCommandLine(benchDelivery))
