/** Makes the cause of each alert for real, and sees in a real Prometheus that it fires, and resolves when the cause has gone. */
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { Duration, Effect, FileSystem, Layer, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as NodePath from "node:path"
import { type Experiment, experiments } from "./alertlab/Experiments.ts"
import { fasterRules } from "./alertlab/FasterRules.ts"
import { isPrometheusHere, PrometheusMissing } from "./alertlab/Prometheus.ts"
import { kafkaClients, runTrial, type Trial } from "./alertlab/Trial.ts"
import { root } from "./Command.ts"
import { count, runCommandLine } from "./CommandLine.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"

class UnknownAlert extends Schema.TaggedError<UnknownAlert>()("UnknownAlert", { only: Schema.String }) {
  override get message() {
    const names = new Set(experiments.map(({ alert }) => alert))
    return `There is no alert "${this.only}" (--only). They are: ${[...names].join(", ")}.`
  }
}

class NotAllSeen extends Schema.TaggedError<NotAllSeen>()("NotAllSeen", { alerts: Schema.Array(Schema.String) }) {
  override get message() {
    return `Not seen to fire and to resolve: ${this.alerts.join(", ")}.`
  }
}

/** Each has processes of its own, which mostly wait. */
const AT_A_TIME = 3

/** Much longer than any alert takes. */
const patienceOf = (factor: number) => Duration.sum(Duration.minutes(2), Duration.minutes(90 / factor))

const seconds = (millis: number | undefined) => millis === undefined ? "no" : `${(millis / 1000).toFixed(0)} s`

/** A line of the table in docs/alerts.md. */
const rowOf = ({ experiment: { alert, cause }, fired, others, resolved }: Trial) =>
  `| ${[alert, cause, seconds(fired), seconds(resolved), others.join(", ")].join(" | ")} |`

const isSeen = ({ fired, resolved }: Trial) => fired !== undefined && resolved !== undefined

const run = Effect.fnUntraced(function*(chosen: ReadonlyArray<Experiment>, factor: number) {
  const rules = yield* FileSystem.FileSystem.use((fs) =>
    fs.readFileString(NodePath.join(root, "deploy/prometheus/rules/origin-regions.yml"))
  )
  const options = { factor, patience: patienceOf(factor), rules: fasterRules(rules, factor) }
  const trials = yield* Effect.forEach(chosen, (experiment) => {
    const clients = experiment.breaksBroker === true
      ? Layer.fresh(kafkaClients).pipe(
        Layer.provideMerge(Layer.fresh(KafkaBroker.layerPrivate({ progress: printError })))
      )
      : Layer.empty
    return runTrial(experiment, options).pipe(
      Effect.provide(clients),
      Effect.tap((trial) => printError(rowOf(trial)))
    )
  }, { concurrency: AT_A_TIME })
  yield* print("| alert | cause | fired after | resolved after | others that fired |")
  yield* print("| --- | --- | --- | --- | --- |")
  yield* Effect.forEach(trials, (trial) => print(rowOf(trial)), { discard: true })
  const missed = trials.filter((trial) => !isSeen(trial)).map(({ experiment: { alert } }) => alert)
  if (missed.length > 0) return yield* new NotAllSeen({ alerts: missed })
})

const alertlab = Command.make(
  "npm run alertlab --",
  {
    only: Flag.String("only").pipe(
      Flag.withDescription("Only these alerts, with commas between"),
      Flag.withDefault("")
    ),
    factor: count("factor", 15, "By how much the rules' durations are divided")
  },
  Effect.fnUntraced(function*({ factor, only }) {
    if (!isPrometheusHere) return yield* new PrometheusMissing()
    const names = only.split(",").map((name) => name.trim()).filter((name) => name !== "")
    const chosen = names.length === 0 ? experiments : experiments.filter(({ alert }) => names.includes(alert))
    for (const name of names) {
      if (!experiments.some(({ alert }) => alert === name)) return yield* new UnknownAlert({ only: name })
    }
    yield* run(chosen, factor).pipe(
      Effect.provide(
        kafkaClients.pipe(
          Layer.provideMerge(Layer.merge(KafkaBroker.layerWith({ progress: printError }), Leash.layer))
        )
      )
    )
  })
).pipe(Command.withDescription(
  "Make the cause of each alert for real, and see in a real Prometheus that it fires, and resolves when the cause has gone."
))

runScript(runCommandLine(alertlab))
