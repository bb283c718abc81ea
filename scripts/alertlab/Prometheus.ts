import { spawn } from "@origin-regions/testkit/ChildProcess"
import { Effect, FileSystem, Option, Schedule, Schema } from "effect"
import { existsSync } from "node:fs"
import * as NodePath from "node:path"

/** The server of Debian's package prometheus. */
const program = "/usr/bin/prometheus"

export const isPrometheusHere = existsSync(program)

export class PrometheusMissing extends Schema.TaggedError<PrometheusMissing>()("PrometheusMissing", {}) {
  override get message() {
    return `There is no ${program}: install Debian's package prometheus (apt-get install --no-install-recommends prometheus).`
  }
}

/** How often deploy/prometheus has Prometheus look: as all times, it is divided. */
const INTERVAL_MILLIS = 15_000
/** For how long Prometheus takes a series' last value for its present one, where a scrape just has not come. */
const LOOKBACK_MILLIS = 300_000

const Alerts = Schema.Struct({
  data: Schema.Struct({
    alerts: Schema.Array(
      Schema.Struct({
        labels: Schema.Record(Schema.String, Schema.String),
        state: Schema.Literals(["pending", "firing"])
      })
    )
  })
})

const Samples = Schema.Struct({
  data: Schema.Struct({ result: Schema.Array(Schema.Struct({ value: Schema.Tuple([Schema.Finite, Schema.String]) })) })
})

export interface PrometheusOptions {
  /** The alert rules' text. */
  readonly rules: string
  /** Of the consumers, `host:port`. */
  readonly targets: ReadonlyArray<string>
  /** By how much its time runs faster than in production. */
  readonly factor: number
}

interface Prometheus {
  /** The names of the alerts that fire. */
  readonly firing: Effect.Effect<ReadonlySet<string>>
  /** An expression's value, if it has just one. */
  readonly value: (expression: string) => Effect.Effect<number | undefined>
}

const listeningAt = (line: string) =>
  Option.fromNullishOr(/msg="Listening on" address=(127\.0\.0\.1:\d+)/.exec(line)?.[1])

/** A real Prometheus server with these rules, on loopback and with nothing but what it sees from now on; gone with the scope. */
export const startPrometheus = Effect.fnUntraced(function*({ factor, rules, targets }: PrometheusOptions) {
  if (!isPrometheusHere) return yield* new PrometheusMissing()
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "alertlab-" })
  const interval = `${Math.round(INTERVAL_MILLIS / factor)}ms`
  yield* fs.writeFileString(NodePath.join(directory, "rules.yml"), rules)
  // All of JSON is YAML.
  yield* fs.writeFileString(
    NodePath.join(directory, "prometheus.yml"),
    JSON.stringify({
      global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
      rule_files: ["rules.yml"],
      scrape_configs: [{ job_name: "origin-regions-consumer", static_configs: [{ targets }] }]
    })
  )
  const server = yield* spawn({
    name: "Prometheus",
    command: program,
    args: [
      "--config.file=prometheus.yml",
      "--storage.tsdb.path=data",
      "--web.listen-address=127.0.0.1:0",
      `--query.lookback-delta=${Math.round(LOOKBACK_MILLIS / factor)}ms`
    ],
    directory,
    environment: { PATH: process.env["PATH"] }
  })
  const address = yield* server.firstLine(listeningAt)
  /** It answers 503 until it has read its data. */
  const ask = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, path: string) =>
    Effect.tryPromise(async () => {
      const response = await fetch(`http://${address}/api/v1/${path}`)
      return response.json()
    }).pipe(
      Effect.flatMap(Schema.decodeUnknownEffect(schema)),
      Effect.retry(Schedule.spaced("50 millis")),
      Effect.raceFirst(server.ended),
      Effect.orDie
    )
  const prometheus: Prometheus = {
    firing: Effect.map(
      ask(Alerts, "alerts"),
      ({ data }) =>
        new Set(data.alerts.flatMap(({ labels, state }) => state === "firing" ? [labels["alertname"] ?? ""] : []))
    ),
    value: (expression) =>
      Effect.map(
        ask(Samples, `query?query=${encodeURIComponent(expression)}`),
        ({ data: { result: [sample, ...others] } }) =>
          others.length === 0 && sample !== undefined ? Number(sample.value[1]) : undefined
      )
  }
  return prometheus
})
