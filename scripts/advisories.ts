/**
 * Asks the package registry what is known of the packages that we run with. Exits with 1 where something of severity high or critical is, and with 3 where nobody
 * answers: then nothing is known, good or bad.
 */
import { Effect, Option, Schema } from "effect"
import { execFile } from "node:child_process"
import { root } from "./Command.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"

const NOT_KNOWN = 3

const Advisory = Schema.Struct({
  module_name: Schema.String,
  severity: Schema.String,
  title: Schema.String,
  url: Schema.String,
  vulnerable_versions: Schema.String,
  findings: Schema.Array(Schema.Struct({ version: Schema.String, paths: Schema.Array(Schema.String) }))
})

const decode = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({
    /** Those of the severity that was asked for, or of a higher one. */
    advisories: Schema.Record(Schema.String, Advisory),
    metadata: Schema.Struct({
      vulnerabilities: Schema.Record(Schema.String, Schema.Int),
      totalDependencies: Schema.Int
    })
  }))
)

/** What it says, well or not: its exit code is the same for an advisory as for silence. */
const audit = Effect.callback<{ readonly stdout: string; readonly stderr: string }>((resume) => {
  // One try: whether somebody answers is for the next run to ask again.
  const env = { ...process.env, pnpm_config_fetch_retries: "0", NO_COLOR: "1" }
  const args = ["audit", "--prod", "--json", "--audit-level", "high"]
  const child = execFile("pnpm", args, { cwd: root, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
    resume(Effect.succeed({ stdout, stderr: stderr || (error?.message ?? "") }))
  })
  return Effect.sync(() => child.kill())
})

const describe = ({ findings, module_name, severity, title, url, vulnerable_versions }: typeof Advisory.Type) =>
  [
    `${severity}: ${module_name} ${vulnerable_versions}: ${title} (${url})`,
    ...findings.flatMap(({ paths, version }) => paths.map((path) => `  ${version} by ${path}`))
  ].join("\n")

const main = Effect.gen(function*() {
  const { stderr, stdout } = yield* audit
  const report = Option.getOrUndefined(decode(stdout))
  if (report === undefined) {
    yield* printError(
      `${(stderr || stdout).trim()}\nNobody could be asked for advisories: nothing is known about the packages.`
    )
    return NOT_KNOWN
  }
  const advisories = Object.values(report.advisories)
  for (const advisory of advisories) yield* print(describe(advisory))
  const counts = Object.entries(report.metadata.vulnerabilities).filter(([, count]) => count > 0)
    .map(([severity, count]) => `${count} ${severity}`)
  yield* print(
    `Advisories for ${report.metadata.totalDependencies} packages: ${counts.length === 0 ? "none" : counts.join(", ")}`
  )
  return advisories.length === 0 ? 0 : 1
})

runScript(main)
