import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const rules = fileURLToPath(new URL("../../../deploy/prometheus/rules/origin-regions.yml", import.meta.url))

/** Of Debian's package prometheus. */
const promtool = "/usr/bin/promtool"

/** Values once a minute, as promtool writes them: `first`, and then so much more each time, `times` times. */
const series = (name: string, first: number, step: number, times = 60) => {
  const [, metric = "", labels = ""] = /^([^{]+)(?:\{(.*)\})?$/.exec(name) ?? []
  const target = "job=\"origin-regions-consumer\",instance=\"one\""
  return {
    series: `${metric}{${target}${labels === "" ? "" : `,${labels}`}}`,
    values: `${first}${step < 0 ? step : `+${step}`}x${times}`
  }
}

type Series = ReturnType<typeof series>

interface Case {
  readonly alert: string
  readonly severity: "critical" | "warning"
  /** With each of these it fires. */
  readonly causes: ReadonlyArray<ReadonlyArray<Series>>
  /** With each of these it doesn't. */
  readonly quiet: Readonly<Record<string, ReadonlyArray<Series>>>
}

const ours = (name: string) => `origin_regions_consumer_${name}`
const lag = ours("lag_records{messaging_destination_partition_id=\"0\"}")
const created = ours("outcomes_total{code=\"created\"}")
const paused = (reason: string) => ours(`api_paused{reason="${reason}"}`)
const waitsForQuota = ours("requests_waiting{reason=\"quota\"}")
const letters = ours("dead_letters_total{code=\"gave_up\"}")
const rebalances = ours("rebalances_total")
const mebibyte = 1024 * 1024
const heapOf = (used: number) => [
  series("v8js_memory_heap_used_bytes", used * mebibyte, 0),
  series("v8js_memory_heap_limit_bytes", 1000 * mebibyte, 0)
]

/** What has been so for some minutes when it is looked at. */
const since = (minutes: number, name: string, before: number, value: number) => {
  const each = series(name, value, 0)
  return { ...each, values: `${before}+0x${58 - minutes} ${value}+0x${minutes}` }
}

const cases: ReadonlyArray<Case> = [
  {
    alert: "ConsumerDown",
    severity: "critical",
    causes: [[series("up", 0, 0)]],
    quiet: { "it answers": [series("up", 1, 0)], "it is down for a minute": [since(1, "up", 1, 0)] }
  },
  {
    alert: "NoConsumer",
    severity: "critical",
    causes: [[], [series("up", 0, 0)]],
    quiet: { "one answers": [series("up", 1, 0)], "there was one a minute ago": [series("up", 1, 0, 53)] }
  },
  {
    alert: "ConsumerNotReady",
    severity: "critical",
    causes: [[since(6, ours("ready"), 1, 0)]],
    quiet: {
      "it is ready": [series(ours("ready"), 1, 0)],
      "it has been so for 4 minutes": [since(4, ours("ready"), 1, 0)]
    }
  },
  {
    alert: "LagGrowsWithoutOutcomes",
    severity: "critical",
    causes: [[series(lag, 100, 10), series(created, 5, 0)]],
    quiet: {
      "outcomes go out": [series(lag, 100, 10), series(created, 5, 1)],
      "the lag does not grow": [series(lag, 100, 0), series(created, 5, 0)]
    }
  },
  {
    alert: "CredentialRefused",
    severity: "critical",
    causes: [[since(2, paused("credential"), 0, 1)]],
    quiet: { "it works": [series(paused("credential"), 0, 0)], "the API is down": [series(paused("api"), 1, 0)] }
  },
  {
    alert: "ApiPaused",
    severity: "warning",
    causes: [[since(11, paused("api"), 0, 1), series(paused("quota"), 0, 0)]],
    quiet: {
      "it has been so for 9 minutes": [since(9, paused("api"), 0, 1)],
      "it is the credential": [series(paused("credential"), 1, 0), series(paused("api"), 0, 0)]
    }
  },
  {
    alert: "ZonesPausedForLong",
    severity: "warning",
    causes: [[series(ours("zone_pause_longest_seconds"), 0, 60)]],
    quiet: { "it comes and goes": [series(ours("zone_pause_longest_seconds"), 600, 0)] }
  },
  {
    alert: "QuotaUsedUp",
    severity: "warning",
    causes: [
      [since(22, waitsForQuota, 0, 7)],
      // At the beginning of a window nothing waits for a moment.
      [{ ...series(waitsForQuota, 7, 0), values: "0+0x30 7+0x16 0 7+0x12" }]
    ],
    quiet: {
      "nothing waits for it": [series(waitsForQuota, 0, 0)],
      "every other time something waits": [{ ...series(waitsForQuota, 0, 0), values: "0 7 ".repeat(30).trimEnd() }],
      "it has been so for 14 minutes": [since(14, waitsForQuota, 0, 7)]
    }
  },
  {
    alert: "DeadLetters",
    severity: "warning",
    causes: [[since(5, letters, 0, 1)]],
    quiet: { "there were some long ago": [series(letters, 12, 0)] }
  },
  {
    alert: "OutcomesNotPublished",
    severity: "critical",
    causes: [[since(3, ours("publishing_blocked"), 0, 1)]],
    quiet: { "it has been so for a minute": [since(1, ours("publishing_blocked"), 0, 1)] }
  },
  {
    alert: "RebalanceStorm",
    severity: "warning",
    causes: [[series(rebalances, 1, 1)]],
    quiet: { "members are replaced, one after the other": [since(5, rebalances, 1, 5)] }
  },
  {
    alert: "MemoryNearlyUsedUp",
    severity: "warning",
    causes: [heapOf(950)],
    quiet: { "there is room": heapOf(850) }
  }
]

const AT = "59m"

const unitTest = (name: string, { alert, severity }: Case, input: ReadonlyArray<Series>, fires: boolean) => ({
  name: `${alert}: ${name}`,
  interval: "1m",
  input_series: input,
  promql_expr_test: [{
    expr: `count by (alertname, severity) (ALERTS{alertname="${alert}", alertstate="firing"})`,
    eval_time: AT,
    exp_samples: fires ? [{ labels: `{alertname="${alert}", severity="${severity}"}`, value: 1 }] : []
  }]
})

const run = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(promtool, args, { encoding: "utf8" })
  return { status, output: `${stdout}${stderr}` }
}

describe("The alert rules", () => {
  it.effect("fire when their cause is there, and not otherwise", (context) =>
    Effect.gen(function*() {
      if (!existsSync(promtool)) return context.skip("promtool of Debian's package prometheus is not installed")
      const checked = run("check", "rules", rules)
      assert.strictEqual(checked.status, 0, checked.output)
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "alert-rules-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const file = join(folder, "tests.json")
      writeFileSync(
        file,
        // All of JSON is YAML.
        JSON.stringify({
          rule_files: [rules],
          evaluation_interval: "1m",
          tests: cases.flatMap((each) => [
            ...each.causes.map((input) => unitTest("its cause", each, input, true)),
            ...Object.entries(each.quiet).map(([name, input]) => unitTest(name, each, input, false))
          ])
        })
      )
      const tested = run("test", "rules", file)
      assert.strictEqual(tested.status, 0, tested.output)
    }))

  it("have a test, and a paragraph in the runbook that their link leads to", () => {
    const text = readFileSync(rules, "utf8")
    const names = [...text.matchAll(/- alert: (\S+)/g)].map(([, name]) => name)
    assert.deepStrictEqual(names, cases.map(({ alert }) => alert))
    const links = [...text.matchAll(/runbook_url: docs\/alerts\.md#(\S+)/g)].map(([, anchor]) => anchor)
    assert.deepStrictEqual(links, names.map((name) => name?.toLowerCase()))
    const runbook = readFileSync(new URL("../../../docs/alerts.md", import.meta.url), "utf8")
    assert.deepStrictEqual([...runbook.matchAll(/^## (\S+)$/gm)].map(([, heading]) => heading), names)
  })
})
