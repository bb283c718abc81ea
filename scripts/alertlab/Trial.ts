import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Api } from "@origin-regions/testkit/Api"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Clock, type Duration, Effect, Layer, Schedule, Scope } from "effect"
import type { Experiment } from "./Experiments.ts"
import { startPrometheus } from "./Prometheus.ts"
import { makeSystem } from "./System.ts"

/** What became of an experiment. `fired` and `resolved` are how long that took, in milliseconds; undefined where it was not seen. */
export interface Trial {
  readonly experiment: Experiment
  readonly fired: number | undefined
  readonly resolved: number | undefined
  /** What else fired meanwhile. */
  readonly others: ReadonlyArray<string>
}

export interface TrialOptions {
  /** The alert rules' text. */
  readonly rules: string
  readonly factor: number
  /** For how long an alert is waited for. */
  readonly patience: Duration.Duration
}

const LOOK_SPACING = "200 millis"

/** Clients of the broker there is. */
export const kafkaClients = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => {
  const settings = { brokers, tls: undefined, sasl: undefined }
  return Layer.merge(KafkaAdmin.layer(settings), KafkaProducer.layer(settings))
}))

/** Makes an alert's cause in a system of its own, waits until it fires, takes the cause away, and waits until it has resolved. */
export const runTrial = Effect.fnUntraced(
  function*(experiment: Experiment, { factor, patience, rules }: TrialOptions) {
    const settings = experiment.settings?.(factor)
    const system = yield* makeSystem({ members: experiment.members ?? 1, environment: settings?.consumer ?? {} })
    const prometheus = yield* startPrometheus({ rules, factor, targets: system.members.map(({ address }) => address) })
    const others = new Set<string>()
    const look = Effect.tap(prometheus.firing, (firing) =>
      Effect.sync(() => {
        for (const name of firing) if (name !== experiment.alert) others.add(name)
      }))
    /** How long it takes until the alert fires, or fires no longer. */
    const until = Effect.fnUntraced(function*(fires: boolean) {
      const since = yield* Clock.currentTimeMillis
      const seen = yield* Effect.repeat(look, {
        until: (firing) => firing.has(experiment.alert) === fires,
        schedule: Schedule.spaced(LOOK_SPACING)
      }).pipe(Effect.timeoutOption(patience))
      return seen._tag === "None" ? undefined : (yield* Clock.currentTimeMillis) - since
    })
    const everyoneIsScraped = Effect.map(
      prometheus.value("sum(up)"),
      (up) => up === system.members.length
    )
    yield* Effect.repeat(everyoneIsScraped, { until: (scraped) => scraped, schedule: Schedule.spaced(LOOK_SPACING) })
    const cause = yield* Scope.make()
    const fired = yield* experiment.make(system, factor).pipe(
      Effect.provideService(Scope.Scope, cause),
      Effect.andThen(until(true)),
      Effect.onExit((exit) => Scope.close(cause, exit))
    )
    const resolved = fired === undefined ? undefined : yield* until(false)
    const trial: Trial = { experiment, fired, resolved, others: [...others] }
    return trial
  },
  (trial, experiment, { factor }) =>
    Effect.scoped(trial).pipe(
      Effect.provide(Api.layerWith({ environment: { API_FAULTS: "true", ...experiment.settings?.(factor).api } }))
    )
)
