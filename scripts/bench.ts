/** What the consumer does with a topic, beside what people write today and beside what the machine allows: real broker, one system after another. */
import { median } from "@origin-regions/testkit/Statistics"
import { DateTime, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { readFileSync } from "node:fs"
import { cpus, totalmem } from "node:os"
import * as NodePath from "node:path"
import { type Backlog, measureBacklog } from "./bench/Backlog.ts"
import { layerKafka } from "./bench/LayerKafka.ts"
import { measurePaced, type Paced } from "./bench/Paced.ts"
import { inRounds, type Measured } from "./bench/Rounds.ts"
import { measuring, type Program, type SystemName, systemNames, systems } from "./bench/Systems.ts"
import { distributions, drawRequests, keyLimit } from "./bench/Workload.ts"
import { root } from "./Command.ts"
import { count, runCommandLine } from "./CommandLine.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"
import { mebibytes, milliseconds, type Row, seconds, table } from "./Table.ts"

class UnknownSystem extends Schema.TaggedError<UnknownSystem>()("UnknownSystem", { name: Schema.String }) {
  override get message() {
    return `There is no system "${this.name}" (--systems). They are: ${systemNames.join(", ")}.`
  }
}

const isSystem = (name: string): name is SystemName => Object.hasOwn(systems, name)

const chosen = Effect.fnUntraced(function*(list: string) {
  if (list === "") return systemNames
  const names = list.split(",").map((name) => name.trim())
  for (const name of names) if (!isSystem(name)) return yield* new UnknownSystem({ name })
  return names.filter(isSystem)
})

/** Those of them that this machine can run; says why, where one can't. */
const prepared = Effect.fnUntraced(function*(names: ReadonlyArray<SystemName>) {
  const programs = new Map<SystemName, Program>()
  for (const name of names) {
    const program = yield* Effect.result(systems[name].prepare)
    if (program._tag === "Success") programs.set(name, program.success)
    else yield* printError(`${systems[name].title} is left out: ${program.failure.message}`)
  }
  return programs
})

const measureThose = Effect.fnUntraced(function*<A, E, R>(
  names: ReadonlyArray<SystemName>,
  rounds: number,
  measure: (name: SystemName, program: Program) => Effect.Effect<A, E, R>
) {
  const results = yield* inRounds(
    [...yield* prepared(names)],
    rounds,
    ([name]) => systems[name].title,
    ([name, program]) => measure(name, program)
  )
  return results.map(({ rounds, system: [system] }): Measured<SystemName, A> => ({ system, rounds }))
})

const medianOf = <A>({ rounds }: Measured<SystemName, A>, pick: (result: A) => number): number =>
  median(rounds.map(pick))
const most = <A>({ rounds }: Measured<SystemName, A>, pick: (result: A) => number): string =>
  Math.max(...rounds.map(pick)).toFixed(0)

/** What there is none of where nothing is called, or nothing is published. */
const none = "–"

const backlogTable = (
  results: ReadonlyArray<Measured<SystemName, Backlog>>,
  requests: number,
  limit: number
): ReadonlyArray<string> => {
  const cells = [
    "requests/s",
    "of the limit",
    "CPU for 1,000",
    "API's",
    "memory",
    "called twice",
    "reordered",
    "at once",
    "told twice",
    "others' CPU"
  ]
  return table(
    { name: `a backlog of ${requests}; limit ${limit.toFixed(0)}/s`, cells },
    results.map((measured): Row => {
      const { progress, title } = systems[measured.system]
      const calls = (pick: (result: Backlog) => number) => progress === "offsets" ? none : most(measured, pick)
      const rate = medianOf(measured, ({ rate }) => rate)
      const cpu = medianOf(measured, ({ cpu }) => cpu)
      const others = medianOf(measured, ({ others }) => others)
      return {
        name: title,
        cells: [
          rate > 0 ? rate.toFixed(0) : none,
          progress === "offsets" ? none : `${(rate / limit * 100).toFixed(1)}%`,
          Number.isFinite(cpu) ? seconds(cpu) : none,
          progress === "offsets" ? none : seconds(medianOf(measured, ({ apiCpu }) => apiCpu)),
          mebibytes(medianOf(measured, ({ peakMemory }) => peakMemory)),
          calls(({ duplicateCalls }) => duplicateCalls),
          calls(({ reordered }) => reordered),
          calls(({ overlapping }) => overlapping),
          progress === "outcomes" ? most(measured, ({ repeatedOutcomes }) => repeatedOutcomes) : none,
          Number.isFinite(others) ? others.toFixed(1) : none
        ]
      }
    })
  )
}

const latencyOf = (measured: Measured<SystemName, Paced>, pick: (result: Paced) => number) => {
  const value = medianOf(measured, pick)
  return value === Infinity ? "never" : milliseconds(value)
}

const pacedTable = (results: ReadonlyArray<Measured<SystemName, Paced>>, rate: number): ReadonlyArray<string> =>
  table(
    {
      name: `${rate} requests/s`,
      cells: [
        "p50",
        "p99",
        "p99.9",
        "offered p50",
        "p99",
        "CPU for 1,000",
        "memory",
        "too late",
        "called twice",
        "at once"
      ]
    },
    results.map((measured): Row => ({
      name: systems[measured.system].title,
      cells: [
        latencyOf(measured, ({ p50 }) => p50),
        latencyOf(measured, ({ p99 }) => p99),
        latencyOf(measured, ({ p999 }) => p999),
        latencyOf(measured, ({ offeredP50 }) => offeredP50),
        latencyOf(measured, ({ offeredP99 }) => offeredP99),
        seconds(medianOf(measured, ({ cpu }) => cpu)),
        mebibytes(medianOf(measured, ({ peakMemory }) => peakMemory)),
        most(measured, ({ missing }) => missing),
        most(measured, ({ duplicateCalls }) => duplicateCalls),
        most(measured, ({ overlapping }) => overlapping)
      ]
    }))
  )

const versionOf = (dependency: string): string =>
  JSON.parse(readFileSync(NodePath.join(root, `scripts/node_modules/${dependency}/package.json`), "utf8")).version

/** What a figure is worth nothing without. */
const surroundings = Effect.map(DateTime.now, (now) => ({
  date: DateTime.formatIsoDateUtc(now),
  processors: cpus().length,
  memory: mebibytes(totalmem()),
  node: process.versions.node,
  kafkajs: versionOf("kafkajs"),
  undici: versionOf("undici")
}))

const bench = Command.make(
  "npm run bench --",
  {
    systems: Flag.String("systems").pipe(
      Flag.withDescription(`Only these, with commas between: ${systemNames.join(", ")}`),
      Flag.withDefault("")
    ),
    rounds: count("rounds", 3, "Rounds"),
    requests: count("requests", 60_000, "Requests of a topic that is full when a system comes"),
    addresses: count("addresses", 10_000, "Their addresses"),
    keys: Flag.Literals("keys", distributions).pipe(
      Flag.withDescription("How requests spread over addresses (default: uniform)"),
      Flag.withDefault("uniform")
    ),
    concurrency: count("concurrency", 256, "Calls at once"),
    latency: count("latency", 50, "Milliseconds that the API's stand-in takes for a call"),
    limit: count("limit", 60, "Seconds after which a system is measured on what it has done"),
    paced: Flag.Int("paced").pipe(
      Flag.withDescription("Instead: requests at an even pace, so many in a second, and how long each takes"),
      Flag.filter((rate) => rate >= 1, () => "a whole number from 1"),
      Flag.optional
    ),
    seconds: count("seconds", 20, "How long the even load is measured"),
    warmUp: count("warm-up", 5, "Seconds of it that come before"),
    nodeOptions: Flag.String("node-options").pipe(
      Flag.withDescription(
        "Options of Node for the systems that run on it, such as --cpu-prof --cpu-prof-dir=/tmp/profiles"
      ),
      Flag.withDefault("")
    ),
    consumer: Flag.File("consumer", { mustExist: true }).pipe(
      Flag.withDescription(
        "Our main program (default: the one in this checkout); one that is published takes less memory"
      ),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the results as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*(flags) {
    const { addresses, concurrency, keys, latency, nodeOptions, paced } = flags
    const names = yield* chosen(flags.systems)
    const running = (program: Program) =>
      Option.match(flags.consumer, { onNone: () => program, onSome: (main) => measuring(main, program) })
    const arena = { concurrency, latency, addresses, nodeOptions }
    const about = yield* surroundings
    const backlog = Effect.gen(function*() {
      const requests = drawRequests(keys, flags.requests, addresses)
      const limit = Math.min(concurrency / (latency / 1000), keyLimit(requests, latency))
      const results = yield* measureThose(
        names,
        flags.rounds,
        (name, program) => measureBacklog(systems[name], running(program), { ...arena, requests, limit: flags.limit })
      )
      return { measured: { results, limit }, lines: backlogTable(results, requests.length, limit) }
    })
    const pace = Effect.fnUntraced(function*(rate: number) {
      const warmUp = rate * flags.warmUp
      const requests = drawRequests(keys, 1 + warmUp + rate * flags.seconds, addresses)
      const results = yield* measureThose(
        // Without outcomes there is nothing to wait for.
        names.filter((name) => systems[name].progress === "outcomes"),
        flags.rounds,
        (_, program) => measurePaced(running(program), { ...arena, requests, rate, warmUp, patience: 5 })
      )
      return { measured: { results }, lines: pacedTable(results, rate) }
    })
    const { lines, measured } = paced._tag === "Some"
      ? yield* Effect.provide(pace(paced.value), layerKafka)
      : yield* Effect.provide(backlog, layerKafka)
    if (flags.json) return yield* print(JSON.stringify({ about, flags, ...measured }))
    yield* print(`${keys} keys, ${concurrency} calls at once, API ${latency} ms; ${JSON.stringify(about)}`)
    for (const line of lines) yield* print(line)
  })
).pipe(Command.withDescription(
  "Compare the consumer with what people write today, and with what the machine allows: requests in a second, processor time, memory, calls made twice or out of turn."
))

runScript(runCommandLine(bench))
