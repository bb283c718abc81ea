import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer, Schema } from "effect"
import { readFile } from "node:fs/promises"
import { parse } from "yaml"
import { type ExposedMetric, exposedMetrics, valueOf } from "./fixtures/ExposedMetrics.ts"
import { namesOf } from "./fixtures/PromQl.ts"
import { eventOf, recordOf } from "./fixtures/RequestRecords.ts"
import { until } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"

const textOf = (url: string | URL) => Effect.promise(() => fetch(url).then((response) => response.text()))

/** What a consumer and its API expose that have had all sorts of requests. */
class Exposed extends Context.Service<Exposed, {
  readonly consumer: string
  readonly api: string
}>()("test/Exposed") {
  static readonly layer = Layer.effect(
    Exposed,
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const api = yield* Api
      const topics = yield* makeTestTopics()
      const zone_id = yield* uniqueZoneId
      const consumer = yield* Consumer.start(settingsFor(brokers, topics.names, api))
      const mapping = { zone_id, ip: "192.0.2.1", vendor: "aws", region: "us-east-1" }
      yield* topics.emit([
        recordOf("structured", eventOf("create", "one", mapping)),
        recordOf("structured", eventOf("create", "again", mapping)),
        recordOf("structured", eventOf("delete", "nothing", { zone_id, ip: "192.0.2.2" })),
        recordOf("structured", eventOf("create", "no address", { ...mapping, ip: "nowhere" })),
        { key: null, value: new TextEncoder().encode("poison"), headers: [] }
      ])
      yield* topics.outcomes.until(({ length }) => length === 5)
      const address = yield* consumer.address
      return Exposed.of({
        consumer: yield* until(
          textOf(`${address}/metrics`),
          (text) =>
            valueOf(text, "origin_regions_consumer_lag_records{messaging_destination_partition_id=\"0\"}") === 0 &&
            (valueOf(text, "origin_regions_consumer_outcomes_total{code=\"malformed_request\"}") ?? 0) > 0
        ),
        api: yield* textOf(new URL("/metrics", api.baseUrl))
      })
    })
  ).pipe(
    Layer.provide(Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers)))),
    Layer.provide([KafkaBroker.layer, Api.layerWith({ environment: { API_RATE_LIMIT: "100000" } })]),
    Layer.provide(Leash.layer)
  )
}

const fileOf = (path: string) => Effect.promise(() => readFile(new URL(`../../../${path}`, import.meta.url), "utf8"))

const cell = (text: string | undefined) => [...(text ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name)

/** The tables of docs/metrics.md, by their headings. */
const documented = (text: string, heading: string) => {
  const [, section = ""] = text.split(`\n## ${heading}\n`)
  const [table = ""] = section.split("\n## ")
  return table.split("\n").filter((line) => line.startsWith("| `")).map((line) => {
    const [, names, type = "", labels] = line.split("|")
    return { name: cell(names)[0] ?? "", type: type.trim(), labels: cell(labels).toSorted() }
  })
}

const found = (text: string) =>
  [...exposedMetrics(text)].map(([name, { labels, type }]) => ({ name, type, labels: [...labels.keys()].toSorted() }))

const byName = <A extends { readonly name: string }>(metrics: ReadonlyArray<A>) =>
  metrics.toSorted((one, other) => one.name < other.name ? -1 : 1)

const Rules = Schema.Struct({
  groups: Schema.Array(
    Schema.Struct({ rules: Schema.Array(Schema.Struct({ alert: Schema.String, expr: Schema.String })) })
  )
})

const Dashboard = Schema.fromJsonString(Schema.Struct({
  templating: Schema.Struct({ list: Schema.Array(Schema.Struct({ name: Schema.String, query: Schema.Unknown })) }),
  panels: Schema.Array(Schema.Struct({
    title: Schema.String,
    targets: Schema.optionalKey(Schema.Array(Schema.Struct({ expr: Schema.String })))
  }))
}))

const Query = Schema.Struct({ query: Schema.String })

/** What a scrape adds to all series. */
const scraped: ReadonlyArray<string> = ["job", "instance"]

/** What is wrong with the names in an expression, where these are the metrics. */
const problemsOf = (expression: string, metrics: ReadonlyMap<string, ExposedMetric>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const known = new Set(scraped)
  const { grouping, selectors } = namesOf(expression)
  for (const { matchers, metric } of selectors) {
    const [, family = metric] = /^(.*)_(?:bucket|sum|count)$/.exec(metric) ?? []
    const exposed = metrics.get(metric) ?? metrics.get(family)
    const isBucket = metric.endsWith("_bucket")
    if (exposed === undefined || (exposed.type === "histogram") === metrics.has(metric)) {
      problems.push(`${metric} is not there`)
      continue
    }
    if (isBucket) known.add("le")
    for (const label of exposed.labels.keys()) known.add(label)
    for (const { isNegative, isRegex, label, value } of matchers) {
      if (scraped.includes(label)) continue
      const values = new Set(exposed.labels.get(label))
      // Each of the alternatives must be one that there is.
      const missing = (isRegex ? value.split("|") : [value]).filter((each) => !values.has(each))
      if (isNegative || missing.length > 0) problems.push(`${metric} has no ${label} ${missing.join(", ")}`)
    }
  }
  for (const label of grouping) if (!known.has(label)) problems.push(`nothing in ${expression} has the label ${label}`)
  return problems
}

const up: ExposedMetric = { type: "gauge", labels: new Map() }

layer(Exposed.layer, { timeout: "2 minutes", excludeTestServices: true })("Metrics", (it) => {
  it.effect("are those of the documentation, with their types and labels, and no others", () =>
    Effect.gen(function*() {
      const { api, consumer } = yield* Exposed
      const text = yield* fileOf("docs/metrics.md")
      assert.deepStrictEqual(byName(found(consumer)), byName(documented(text, "The consumer")))
      assert.deepStrictEqual(byName(found(api)), byName(documented(text, "The API, self-hosted")))
    }))

  it.effect("count what has come of requests, and what it took", () =>
    Effect.gen(function*() {
      const { consumer } = yield* Exposed
      const values = {
        "origin_regions_consumer_outcomes_total{code=\"created\"}": 1,
        "origin_regions_consumer_outcomes_total{code=\"1145\"}": 1,
        "origin_regions_consumer_outcomes_total{code=\"unchanged\"}": 1,
        "origin_regions_consumer_outcomes_total{code=\"1146\"}": 1,
        "origin_regions_consumer_outcomes_total{code=\"malformed_request\"}": 1,
        "origin_regions_consumer_outcomes_total{code=\"other\"}": 0,
        "origin_regions_consumer_dead_letters_total{code=\"malformed_request\"}": 1,
        "origin_regions_consumer_dead_letters_total{code=\"gave_up\"}": 0,
        "origin_regions_consumer_request_age_seconds_count": 5,
        "origin_regions_consumer_rebalances_total": 1,
        "origin_regions_consumer_ready": 1,
        "origin_regions_consumer_partitions_assigned": 1,
        "origin_regions_consumer_requests_waiting{reason=\"credential\"}": 0,
        "origin_regions_consumer_api_quota_limit": 100_000
      }
      assert.deepStrictEqual(
        Object.fromEntries(Object.keys(values).map((series) => [series, valueOf(consumer, series)])),
        values
      )
    }))

  it.effect("are all that the alert rules name, with the labels and values that they name", () =>
    Effect.gen(function*() {
      const { consumer } = yield* Exposed
      const metrics = new Map([...exposedMetrics(consumer), ["up", up] as const])
      const text = yield* fileOf("deploy/prometheus/rules/origin-regions.yml")
      const { groups } = yield* Schema.decodeUnknownEffect(Rules)(parse(text))
      const rules = groups.flatMap((group) => group.rules)
      assert.isNotEmpty(rules)
      assert.deepStrictEqual(rules.flatMap(({ expr }) => problemsOf(expr, metrics)), [])
    }))

  it.effect("are all that the dashboard names, and each is on it", () =>
    Effect.gen(function*() {
      const { api, consumer } = yield* Exposed
      const metrics = new Map([...exposedMetrics(consumer), ...exposedMetrics(api), ["up", up] as const])
      const text = yield* fileOf("deploy/grafana/dashboards/origin-regions.json")
      const { panels, templating } = yield* Schema.decodeUnknownEffect(Dashboard)(text)
      const variables = templating.list.map(({ query }) => query).filter(Schema.is(Query)).map(({ query }) => {
        const [, selector = "", label = ""] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? []
        return `count by (${label}) (${selector})`
      })
      assert.lengthOf(variables, 2)
      const expressions = panels.flatMap(({ targets = [] }) =>
        targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "5m"))
      )
      assert.deepStrictEqual([...variables, ...expressions].flatMap((each) => problemsOf(each, metrics)), [])
      const named = new Set(expressions.flatMap((each) => namesOf(each).selectors.map(({ metric }) => metric)))
      const forgotten = [...metrics.keys()].filter((name) =>
        ["", "_bucket", "_count"].every((suffix) => !named.has(`${name}${suffix}`))
      )
      assert.deepStrictEqual(forgotten, [])
    }))
})
