/** What more members of the group come to: real broker, real consumers, and an API that takes its time. */
import { median } from "@origin-regions/testkit/Statistics"
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { makeBench } from "./bench-delivery/Bench.ts"
import { layerKafka } from "./bench/LayerKafka.ts"
import { inRounds } from "./bench/Rounds.ts"
import { machineCpuSeconds, usageOf } from "./bench/Usage.ts"
import { drawRequests } from "./bench/Workload.ts"
import { count, runCommandLine } from "./CommandLine.ts"
import { print, runScript } from "./ScriptRuntime.ts"
import { mebibytes, seconds, table } from "./Table.ts"

const modes = ["exactly-once", "at-least-once"] as const

interface ScalingOptions {
  readonly delivery: (typeof modes)[number]
  readonly concurrency: number
  readonly latency: number
  /** For how long the members would have work at their limit. */
  readonly seconds: number
}

/** Requests that are answered before it counts: all members have work by then. */
const WARM_UP = 0.2

/** The members are at work before the first request comes. */
const measureScaling = (members: number, { concurrency, delivery, latency, seconds }: ScalingOptions) =>
  Effect.gen(function*() {
    const limit = members * concurrency / (latency / 1000)
    const requests = Math.ceil(limit * seconds)
    const bench = yield* makeBench(delivery, latency, { CONCURRENCY: String(concurrency) })
    const consumers = yield* Effect.all(Array.from({ length: members }, () => bench.startConsumer), {
      concurrency: "unbounded"
    })
    yield* Effect.forEach(consumers, ({ ready }) => ready)
    const usage = Effect.all({
      members: Effect.forEach(consumers, ({ pid }) => usageOf(pid)),
      machine: machineCpuSeconds
    })
    yield* bench.send(drawRequests("distinct", requests, requests))
    yield* bench.until(({ length }) => length >= requests * WARM_UP)
    const before = yield* usage
    const counted = requests - bench.arrivals.length
    const start = bench.arrivals.at(-1)?.at ?? Number.NaN
    yield* bench.until(({ length }) => length >= requests)
    const after = yield* usage
    const took = ((bench.arrivals.at(-1)?.at ?? Number.NaN) - start) / 1000
    const cpuOf = ({ members }: typeof before) => members.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
    const result = {
      rate: counted / took,
      limit,
      cpu: (cpuOf(after) - cpuOf(before)) / (counted / 1000),
      busy: (after.machine - before.machine) / took,
      memory: Math.max(...after.members.map(({ peakResidentBytes }) => peakResidentBytes))
    }
    yield* Effect.forEach(consumers, ({ terminate }) => terminate, { concurrency: "unbounded" })
    return result
  }).pipe(Effect.scoped)

const benchScaling = Command.make(
  "npm run bench:scaling --",
  {
    members: Flag.String("members").pipe(
      Flag.withDescription("How many members, one number after another (default: 1,2,4,8)"),
      Flag.withDefault("1,2,4,8")
    ),
    rounds: count("rounds", 2, "Rounds"),
    concurrency: count("concurrency", 16, "Calls at once of each member: few, so that the machine is not the limit"),
    latency: count("latency", 50, "Milliseconds that the API's stand-in takes for a call"),
    seconds: count("seconds", 15, "How long there is work for"),
    delivery: Flag.Literals("delivery", modes).pipe(
      Flag.withDescription("DELIVERY (default: exactly-once)"),
      Flag.withDefault("exactly-once")
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the results as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*(flags) {
    const sizes = flags.members.split(",").map(Number).filter((size) => Number.isInteger(size) && size > 0)
    const results = yield* inRounds(
      sizes,
      flags.rounds,
      (size) => `${size} members`,
      (size) => measureScaling(size, flags)
    ).pipe(Effect.provide(layerKafka))
    if (flags.json) return yield* print(JSON.stringify({ flags, results }))
    const lines = table(
      {
        name: `${flags.delivery}, ${flags.concurrency} calls at once each, API ${flags.latency} ms`,
        cells: ["requests/s", "of the limit", "CPU for 1,000", "processors busy", "memory of one"]
      },
      results.map(({ rounds, system }) => {
        const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick))
        return {
          name: String(system),
          cells: [
            of(({ rate }) => rate).toFixed(0),
            `${(of(({ limit, rate }) => rate / limit) * 100).toFixed(1)}%`,
            seconds(of(({ cpu }) => cpu)),
            of(({ busy }) => busy).toFixed(1),
            mebibytes(of(({ memory }) => memory))
          ]
        }
      })
    )
    for (const line of lines) yield* print(line)
  })
).pipe(Command.withDescription("Measure what more members of the group come to, each with the same number of calls."))

runScript(runCommandLine(benchScaling))
