import { assert, describe, it } from "@effect/vitest"
import { fasterRules } from "./FasterRules.ts"

describe("Faster rules", () => {
  it("divide what is waited for, ranges and limits in seconds, and nothing else", () => {
    const rules = `
      - alert: A
        expr: |
          sum by (job) (delta(lag_records[10m])) > 6
            and on (job) sum by (job) (rate(outcomes_total[1h])) == 0
        for: 2m
      - alert: B
        expr: pause_longest_seconds > 900
        for: 30s
        annotations: { description: "For 10 minutes nothing could be sent [really]." }`
    assert.strictEqual(
      fasterRules(rules, 60),
      rules.replace("[10m]", "[10000ms]").replace("[1h]", "[60000ms]").replace("for: 2m", "for: 2000ms")
        .replace("> 900", "> 15").replace("for: 30s", "for: 500ms")
    )
  })
})
