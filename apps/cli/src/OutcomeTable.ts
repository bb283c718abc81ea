import type { MappingOutcome } from "@origin-regions/domain/MappingOutcome"
import { formatTimestamp, parseTimestamp } from "@origin-regions/domain/Timestamp"
import { CliOutput } from "effect/cli"
import type { TableStyle } from "./TableStyle.ts"
import { plainText } from "./TextColumns.ts"

const cloud = ({ region, vendor }: { readonly vendor: string; readonly region: string }): string =>
  `${vendor} ${region}`

/** What an outcome means, in few words. */
export const describeOutcome = (outcome: MappingOutcome): string =>
  "replayed" in outcome.data
    ? `${describeResult(outcome)}; as it was told when the same request came before`
    : describeResult(outcome)

const describeResult = ({ data, subject }: MappingOutcome): string => {
  const address = subject?.slice(subject.indexOf("/") + 1) ?? "the address"
  if ("result" in data) {
    const { mapping, recovered, result } = data
    const meaning = result === "unchanged"
      ? `${address} had no mapping`
      : result === "deleted"
      ? `${address} ${mapping === null ? "has no mapping now" : `was ${cloud(mapping)}`}`
      : `${address} ${mapping === null ? "has it" : `is ${cloud(mapping)}`}`
    return recovered ? `${meaning}; an earlier attempt had done it` : meaning
  }
  const { error } = data
  switch (error.name) {
    case "already_exists":
      return error.existing === null || error.existing === undefined
        ? `${address} had a mapping, which has gone since`
        : error.matches === true
        ? `${address} has this very mapping already`
        : `${address} is ${cloud(error.existing)} already`
    case "invalid_ip":
      return "no valid IP address"
    case "unsupported_region":
      return "no such vendor, or no such region of it"
    case "limit_reached":
      return "the zone is full"
    case "unknown_zone":
      return "the API does not know the zone"
    case "malformed_request": {
      const [first, ...others] = error.issues ?? []
      const more = others.length === 0 ? "" : `, and ${others.length} more`
      return (first?.message ?? error.message) + more
    }
    case "expired":
      return "too late: its expirytime had passed"
    case "gave_up":
      return `given up after ${data.attempts} attempts: ${error.message}`
    case "rejected_by_api":
      return error.message
  }
}

/** What a request asks for, in one phrase. */
export const describeRequest = (
  request: {
    readonly operation: string | null
    /** `zone/address`, or as much of it as is known. */
    readonly address: string | undefined
    readonly mapping: { readonly vendor: string; readonly region: string } | undefined
  }
): string =>
  [
    request.operation ?? "(unknown)",
    request.address ?? "?",
    ...request.mapping === undefined ? [] : ["as", cloud(request.mapping)]
  ]
    .join(" ")

/** What was asked for, as far as the outcome alone tells. */
export const describeAnswered = ({ data, subject }: MappingOutcome): string =>
  describeRequest({
    operation: data.operation,
    address: subject ?? `${data.request.topic} ${data.request.partition}/${data.request.offset}`,
    mapping: undefined
  })

/** One outcome of the table. */
export interface OutcomeRow {
  /** Before everything else; one character, or none. */
  readonly mark: string
  /** As it is shown, in a table that is timed. */
  readonly time: string
  readonly request: string
  readonly asked: string
  readonly code: string
  readonly meaning: string
  readonly kind: "succeeded" | "rejected" | "failed"
}

/** The row of an outcome that nothing but the outcome is known of. */
export const outcomeRow = (outcome: MappingOutcome): OutcomeRow => ({
  mark: "",
  time: "",
  request: outcome.causationid ?? "(no id)",
  asked: describeAnswered(outcome),
  code: outcome.outcomecode,
  meaning: describeOutcome(outcome),
  kind: kindOf(outcome)
})

/** Which of the three kinds an outcome is. */
export const kindOf = ({ data }: MappingOutcome): OutcomeRow["kind"] =>
  "result" in data ? "succeeded" : "attempts" in data.error ? "failed" : "rejected"

/** The time of an outcome in UTC, with the day where that isn't today's: to the second, as `--since` takes it. */
export const shownTime = ({ time }: MappingOutcome, now: number): string => {
  const moment = parseTimestamp(time)
  if (moment === undefined) return time
  const text = `${formatTimestamp(moment).slice(0, -".000Z".length)}Z`
  const [day = "", clock = ""] = text.split("T")
  return formatTimestamp(now).startsWith(day) ? clock : text
}

const { displayWidth } = CliOutput

interface Column {
  readonly title: string
  readonly width: number
}

const GAP = "  "

/** Wide enough for a day: with one, the clock comes below it. */
const TIME: Column = { title: "time", width: "2026-11-24".length }

/** The widths follow the terminal's: a narrow one gets more lines, not less text. */
const columnsOf = ({ requestWidth, timed, width }: TableStyle): ReadonlyArray<Column> => {
  const first = [{ title: "", width: 1 }, ...timed ? [TIME] : []]
  const taken = first.reduce((sum, column) => sum + column.width + GAP.length, 2 * GAP.length)
  const usable = Math.min(Math.max(width, 60), 160) - taken
  const request = Math.min(requestWidth, Math.floor(usable * 0.36))
  const asked = Math.floor((usable - request) * 0.5)
  return [
    ...first,
    { title: "request", width: request },
    { title: "asked for", width: asked },
    { title: "outcome", width: usable - request - asked }
  ]
}

const characters = new Intl.Segmenter()

/** The longest beginning of the text that fits, of at least one character. */
const fitting = (text: string, width: number): string => {
  let fits = ""
  for (const { segment } of characters.segment(text)) {
    if (fits !== "" && displayWidth(fits + segment) > width) break
    fits += segment
  }
  return fits
}

/** Breaks text into lines that fit: at spaces, or within a word that is wider than a line. */
const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && displayWidth(`${line} ${word}`) <= width) {
      line += ` ${word}`
      continue
    }
    if (line !== "") lines.push(line)
    line = word
    while (displayWidth(line) > width) {
      const fits = fitting(line, width)
      lines.push(fits)
      line = line.slice(fits.length)
    }
  }
  return [...lines, line]
}

const pad = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - displayWidth(text)))

const COLOR_OF_KIND = { succeeded: 32, rejected: 33, failed: 31 } as const

const layOut = (cells: ReadonlyArray<string>, columns: ReadonlyArray<Column>): ReadonlyArray<ReadonlyArray<string>> => {
  const wrapped = cells.map((cell, index) => wrap(plainText(cell), columns[index]?.width ?? 1))
  const height = Math.max(...wrapped.map((lines) => lines.length))
  return Array.from(
    { length: height },
    (_, line) => wrapped.map((lines, index) => pad(lines[line] ?? "", columns[index]?.width ?? 1))
  )
}

/** The table's head: titles and a rule. */
export const tableHead = (style: TableStyle): string => {
  const columns = columnsOf(style)
  const titles = columns.map(({ title, width }) => title.padEnd(width)).join(GAP)
  return `${titles.trimEnd()}\n${"─".repeat(titles.length)}`
}

/** One row, of as many lines as its longest cell needs. */
export const tableRow = (
  { asked, code, kind, mark, meaning, request, time }: OutcomeRow,
  style: TableStyle
): string => {
  const cells = [mark, ...style.timed ? [time] : [], request, asked, `${code}: ${meaning}`]
  const [first = [], ...others] = layOut(cells, columnsOf(style))
  const outcome = first.at(-1) ?? ""
  const colored = style.colors && outcome.startsWith(code)
    ? `\u001B[${COLOR_OF_KIND[kind]}m${code}\u001B[39m${outcome.slice(code.length)}`
    : outcome
  return [[...first.slice(0, -1), colored], ...others].map((cells) => cells.join(GAP).trimEnd()).join("\n")
}
