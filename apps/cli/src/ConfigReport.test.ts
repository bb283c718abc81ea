import { assert, describe, it } from "@effect/vitest"
import { type ConfigReport, failedCount, reportJson, reportTable } from "./ConfigReport.ts"

const report: ConfigReport = {
  file: "/etc/consumer.env",
  settings: [
    { name: "KAFKA_BROKERS", value: "a:1", from: "environment file" },
    { name: "TOKEN", value: "(hidden)", from: "secret file" },
    { name: "DELIVERY", value: "exactly-once", from: "default" },
    { name: "HTTP_HOST", value: "::\u001B[31m1", from: "environment" },
    { name: "OTHER", value: undefined, from: "nowhere" }
  ],
  findings: [
    { check: "topic ü", result: "ok", detail: "3 partitions" },
    { check: "group", result: "failed", detail: "Not\nallowed" },
    { check: "writing", result: "unknown", detail: "can't be tried" }
  ]
}

describe("ConfigReport", () => {
  it("is a table for a person, and nothing in it does anything to the terminal", () => {
    assert.strictEqual(
      reportTable(report),
      [
        "setting        value         from",
        "──────────────────────────────────────────────",
        "KAFKA_BROKERS  a:1           /etc/consumer.env",
        "TOKEN          (hidden)      TOKEN_FILE",
        "DELIVERY       exactly-once  default",
        "HTTP_HOST      ::\u{FFFD}[31m1      environment",
        "OTHER          (not set)",
        "",
        "✓  topic ü  3 partitions",
        "✗  group    Not\u{FFFD}allowed",
        "?  writing  can't be tried"
      ].join("\n")
    )
  })

  it("is an object for a program, which is well where nothing has failed", () => {
    assert.strictEqual(failedCount(report.findings), 1)
    const { findings, settings } = report
    assert.deepStrictEqual(JSON.parse(reportJson(report)), {
      ok: false,
      file: "/etc/consumer.env",
      settings: settings.map((setting) => ({ ...setting })).map(({ value, ...setting }) =>
        value === undefined ? setting : { ...setting, value }
      ),
      checks: findings
    })
    const well = { ...report, findings: findings.filter(({ result }) => result !== "failed") }
    assert.isTrue(JSON.parse(reportJson(well)).ok)
  })
})
