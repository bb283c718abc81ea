/** Every gate but the tests: lint, format, types, Effect's diagnostics, unused code, generated documents. */
import { Clock, Effect } from "effect"
import { runCommand } from "./Command.ts"
import { print, runScript } from "./ScriptRuntime.ts"

interface Check {
  readonly name: string
  readonly script: readonly [file: string, ...args: ReadonlyArray<string>]
}

const checks: ReadonlyArray<Check> = [
  { name: "lint", script: ["node_modules/oxlint/bin/oxlint"] },
  { name: "format", script: ["node_modules/dprint/bin.cjs", "check"] },
  { name: "types", script: ["node_modules/typescript/bin/tsc", "--noEmit", "-p", "tsconfig.json"] },
  { name: "page types", script: ["node_modules/typescript/bin/tsc", "--noEmit", "-p", "apps/consumer/console"] },
  {
    name: "diagnostics",
    script: [
      "node_modules/@effect/tsgo/dist/effect-tsgo.cjs",
      "diagnostics",
      "--project",
      "tsconfig.json",
      "--strict",
      "--format",
      "text"
    ]
  },
  { name: "unused code", script: ["node_modules/knip/bin/knip.js"] },
  { name: "documents", script: ["scripts/documents.ts", "--check"] }
]

/** One line when it is through, and its output where it failed. */
const runCheck = Effect.fnUntraced(function*({ name, script }: Check) {
  const start = yield* Clock.currentTimeMillis
  const { exitCode, output } = yield* runCommand({ script, environment: { NO_COLOR: "1" }, output: "keep" })
  const seconds = ((yield* Clock.currentTimeMillis) - start) / 1000
  yield* print(`${exitCode === 0 ? "✓" : "✗"} ${name.padEnd(12)} ${seconds.toFixed(1)} s`)
  return { name, output, passed: exitCode === 0 }
})

const main = Effect.gen(function*() {
  const results = yield* Effect.forEach(checks, runCheck, { concurrency: 2 })
  const failed = results.filter(({ passed }) => !passed)
  for (const { name, output } of failed) yield* print(`\n${name}:\n${output.trimEnd()}`)
  return failed.length === 0 ? 0 : 1
})

runScript(main)
