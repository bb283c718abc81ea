import type { SettingProblem } from "@origin-regions/settings/SettingProblem"
import type { SettingValue } from "@origin-regions/settings/SettingValue"
import { CliOutput } from "effect/cli"
import { textColumns } from "./TextColumns.ts"

/**
 * What came of one check. `warning`: the consumer works, but for something that is rare. `unknown`: it can't be made, or nothing can be told without something that it
 * rests on.
 */
export interface Finding {
  readonly check: string
  readonly result: "ok" | "warning" | "failed" | "unknown"
  readonly detail: string
}

/** All that a configuration check has found. */
export interface ConfigReport {
  /** The file of settings, if there is one. */
  readonly file: string | undefined
  readonly settings: ReadonlyArray<SettingValue>
  readonly findings: ReadonlyArray<Finding>
}

export const failedCount = (findings: ReadonlyArray<Finding>): number =>
  findings.filter(({ result }) => result === "failed").length

const MARKS = { ok: "✓", warning: "!", failed: "✗", unknown: "?" } as const

const fromOf = ({ from, name }: SettingValue, file: string | undefined): string =>
  from === "nowhere"
    ? ""
    : from === "environment file"
    ? file ?? ""
    : from === "secret file"
    ? `${name}_FILE`
    : from

/** For a person: the settings, and below them what was checked. */
export const reportTable = ({ file, findings, settings }: ConfigReport): string => {
  const head = ["setting", "value", "from"]
  const rows = settings.map((setting) => [setting.name, setting.value ?? "(not set)", fromOf(setting, file)])
  const [titles = "", ...lines] = textColumns([head, ...rows])
  const rule = "─".repeat(Math.max(...[titles, ...lines].map((line) => CliOutput.displayWidth(line))))
  const checked = textColumns(findings.map(({ check, detail, result }) => [MARKS[result], check, detail]))
  return [titles, rule, ...lines, "", ...checked].join("\n")
}

/** For a program: one object in JSON. Settings that are not set have no `value`. */
export const reportJson = ({ file, findings, settings }: ConfigReport): string =>
  JSON.stringify({ ok: failedCount(findings) === 0, file, settings, checks: findings }, null, 2)

/** The same where settings are wrong, so that nothing was checked. */
export const problemsJson = (problems: ReadonlyArray<SettingProblem>): string =>
  JSON.stringify({ ok: false, problems }, null, 2)
