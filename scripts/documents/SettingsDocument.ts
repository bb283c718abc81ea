import { apiServerSettings } from "@origin-regions/api/Settings"
import { cliSettings } from "@origin-regions/cli/CliSettings"
import { consumerSettings } from "@origin-regions/consumer/Settings"
import { environmentFileSettings } from "@origin-regions/settings/EnvironmentFile"
import type { Declarations, Setting } from "@origin-regions/settings/Setting"
import { startSettings } from "../start/StartSettings.ts"

/** The tables of `docs/settings.md`, by the names in their comments. */
export const settingTables: Readonly<Record<string, ReadonlyArray<Declarations>>> = {
  "every program": [environmentFileSettings],
  "kafka": [consumerSettings.kafka, consumerSettings.topics],
  "consumer": [consumerSettings.api, consumerSettings.own],
  "command line": [{ brokers: cliSettings.brokers }],
  "api": [apiServerSettings],
  "traces": [consumerSettings.traces],
  "start": [startSettings]
}

const code = (text: string): string => `\`${text}\``

const cells = ({ default: value, example, meaning, name, presence, type }: Setting<unknown>): ReadonlyArray<string> => [
  code(name),
  presence === "required" ? "must be set" : presence === "defaulted" ? code(value ?? "") : value ?? "none",
  meaning,
  type.expected + (type.secret ? " (secret)" : ""),
  code(example)
]

/** A table in Markdown, laid out as the formatter does. */
const table = (declared: ReadonlyArray<Declarations>): string => {
  const rows = [
    ["name", "default", "means", "expected", "example"],
    ...declared.flatMap((settings) => Object.values(settings)).map(cells)
  ]
    .map((row) => row.map((cell) => cell.replaceAll("|", "\\|")))
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  const [head = "", ...body] = rows.map((row) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  )
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  return [head, rule, ...body].join("\n")
}

const TABLE = /(<!-- settings: (.+?) -->\n)[^]*?(\n<!-- end of settings -->)/g

/** The document with its tables as the declarations have them; the rest stays as it is. */
export const settingsDocument = (current: string): string =>
  current.replaceAll(TABLE, (_, begin: string, name: string, end: string) => {
    const declared = Object.hasOwn(settingTables, name) ? settingTables[name] : undefined
    if (declared === undefined) {
      throw new Error(`docs/settings.md asks for the settings of ${name}, which there are not`)
    }
    return `${begin}\n${table(declared)}\n${end}`
  })
