import { readFaultPlan } from "@origin-regions/api/FaultPlan"
import { readGrants } from "@origin-regions/api/Grant"
import { readAllowRules } from "@origin-regions/consumer/AllowRules"
import { mappingKey } from "@origin-regions/domain/MappingKey"
import { MappingOutcome } from "@origin-regions/domain/MappingOutcome"
import { outcomeId } from "@origin-regions/domain/OutcomeId"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { Result, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as NodePath from "node:path"
import { parseEnv } from "node:util"
import { parse } from "yaml"
import { root } from "../Command.ts"
import type { Snippet } from "./MarkdownPage.ts"
import { settingTables } from "./SettingsDocument.ts"

/** Says what is wrong with a block that is data and not a command; `undefined` where nothing is. */
type Check = (text: string) => string | undefined

const settings = new Map(
  Object.values(settingTables).flat().flatMap((declared) => Object.values(declared)).map((setting) => [
    setting.name,
    setting
  ])
)

const checkSettings: Check = (text) => {
  for (const [name, value] of Object.entries(parseEnv(text))) {
    const setting = settings.get(name)
    if (setting === undefined) return `there is no setting ${name}`
    // A file need not be here, and the names of files are all that is told of secrets in them.
    if (value !== undefined && !name.endsWith("_FILE") && Result.isFailure(setting.type.parse(value))) {
      return `${name} must be ${setting.type.expected}`
    }
  }
  return undefined
}

const bytes = (text: string) => new TextEncoder().encode(text)

const checkRequest: Check = (text) => {
  const { verdict } = readRequest({ value: bytes(text), headers: [] })
  return verdict._tag === "Apply" ? undefined : `it would not be applied: ${JSON.stringify(verdict)}`
}

const decodeOutcome = Schema.decodeUnknownResult(MappingOutcome, { onExcessProperty: "error", errors: "all" })

const checkOutcome: Check = (text) => {
  const decoded = decodeOutcome(JSON.parse(text))
  if (Result.isFailure(decoded)) return decoded.failure.message
  const { causationid, data: { request, ...data }, id, subject } = decoded.success
  const expected = outcomeId(request, request.source, request.id)
  if (id !== expected) return `the id of this record's outcome is ${expected}`
  if (causationid !== request.id) return `causationid is the request's id, ${request.id}`
  if ("mapping" in data && data.mapping !== null) {
    const key = mappingKey(data.mapping.zone_id, data.mapping.origin_ip)
    if (subject !== key) return `subject is ${key}`
  }
  return undefined
}

const keysOf = (value: unknown): ReadonlyArray<string> =>
  typeof value !== "object" || value === null
    ? []
    : Object.entries(value).flatMap(([key, inner]) => [...(Array.isArray(value) ? [] : [key]), ...keysOf(inner)])

/** That each field is one that the sources name. */
const checkFields = (files: string): Check => (text) => {
  const sources = files.split(", ").map((file) => readFileSync(NodePath.join(root, file), "utf8")).join("\n")
  const isNamed = (key: string) =>
    new RegExp(`(?<![\\w.])${key.replaceAll(".", "\\.")}["']?(\\??:|,| \\})`).test(sources)
  const unknown = keysOf(JSON.parse(text)).filter((key) => !isNamed(key))
  return unknown.length === 0 ? undefined : `${files} name no ${unknown.join(", ")}`
}

const failureOf = <A>(result: Result.Result<A, string>): string | undefined =>
  Result.isFailure(result) ? result.failure : undefined

const named: Readonly<Record<string, Check>> = {
  "settings": checkSettings,
  "allow rules": (text) => failureOf(readAllowRules(text)),
  "fault plan": (text) => failureOf(readFaultPlan(text)),
  "tokens of the API": (text) => failureOf(readGrants(text))
}

const typeOf = (text: string): string => {
  const value: unknown = JSON.parse(text)
  return typeof value === "object" && value !== null && "type" in value ? String(value.type) : ""
}

const checkJson: Check = (text) => {
  const type = typeOf(text)
  if (/\.mapping\.(succeeded|rejected|failed)\.v1$/.test(type)) return checkOutcome(text)
  if (type !== "") return checkRequest(text)
  return "say what it is: <!-- is: … --> with one of "
    + `${Object.keys(named).join(", ")}, or <!-- fields: files --> with the sources that name its fields`
}

const promtool = "/usr/bin/promtool"

const checkYaml: Check = (text) => {
  const value: unknown = parse(text)
  if (typeof value !== "object" || value === null || !("scrape_configs" in value)) return "nothing checks such YAML yet"
  if (!existsSync(promtool)) return undefined
  const directory = mkdtempSync(NodePath.join(tmpdir(), "origin-regions-"))
  const file = NodePath.join(directory, "prometheus.yml")
  writeFileSync(file, text)
  const checked = spawnSync(promtool, ["check", "config", "--syntax-only", file], { encoding: "utf8" })
  rmSync(directory, { recursive: true })
  return checked.status === 0 ? undefined : checked.stderr
}

/** The check of a block that is no command; `undefined` where it is one. */
const checkOf = ({ language, marks }: Snippet): Check | undefined => {
  const is = marks.get("is")
  const fields = marks.get("fields")
  if (is !== undefined) return named[is] ?? (() => `nothing is known of “${is}”`)
  if (fields !== undefined) return checkFields(fields)
  return language === "json" ? checkJson : language === "yaml" ? checkYaml : undefined
}

/** Whether a block is data, and then what is wrong with it. */
export const checkSnippet = (snippet: Snippet): { readonly problem: string | undefined } | undefined => {
  const check = checkOf(snippet)
  if (check === undefined) return undefined
  try {
    return { problem: check(snippet.text) }
  } catch (error) {
    return { problem: String(error) }
  }
}
