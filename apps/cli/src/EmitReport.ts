import type { MappingOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { stringify } from "csv-stringify/sync"
import { describeOutcome, outcomeRow } from "./OutcomeTable.ts"
import type { AnsweredRow, AwaitedOutcomes } from "./OutcomeWait.ts"
import type { RequestRow } from "./RequestRows.ts"
import type { Sent } from "./RequestSending.ts"
import { textColumns } from "./TextColumns.ts"

/** More of them are counted only. */
const LISTED = 20

const byCount = (codes: ReadonlyMap<string, number>) => [...codes].sort(([, one], [, other]) => other - one)

/** For a person: how many got which code, and below that what did not succeed. */
export const outcomeSummary = (
  { codes }: AwaitedOutcomes,
  unsuccessful: ReadonlyArray<AnsweredRow>
): string => {
  const listed = unsuccessful.toSorted((one, other) => one.number - other.number).slice(0, LISTED)
  const more = unsuccessful.length - listed.length
  return [
    ...textColumns([["outcome", "requests"], ...byCount(codes).map(([code, count]) => [code, String(count)])]),
    ...listed.length === 0 ? [] : [""],
    ...textColumns(listed.map(({ outcome, place }) => {
      const { asked, code, meaning } = outcomeRow(outcome)
      return [...place === "" ? [] : [place], asked, `${code}: ${meaning}`]
    })),
    ...more === 0 ? [] : [`… and ${more} more`]
  ].join("\n")
}

/** For a person, of a single request: what came of it. */
export const outcomeLine = (outcome: MappingOutcome): string => {
  const { asked, code, meaning } = outcomeRow(outcome)
  return `${asked}  ${code}: ${meaning}`
}

/** How far it came when somebody ended it. `all` is `undefined` where nobody has counted. */
export const interruptedText = ({ all, isAllSent, sent, topic, unanswered }: {
  readonly topic: string
  readonly sent: Sent
  readonly all: number | undefined
  readonly isAllSent: boolean
  /** With what is on its way; `undefined` where nothing was waited for. */
  readonly unanswered: number | undefined
}): string => {
  const ofAll = all === undefined || isAllSent ? "" : ` of ${all}`
  const underWay = sent.begun - sent.count
  const waiting = unanswered === undefined
    ? ""
    : `; ${Math.min(sent.count, Math.max(0, unanswered - underWay))} of them still unanswered`
  const noun = (ofAll === "" ? sent.count : all) === 1 ? "request" : "requests"
  return [
    `Sent ${sent.count}${ofAll} ${noun} to ${topic}${waiting}.`,
    ...underWay === 0 ? [] : [`${underWay} more were on their way, and may have arrived.`],
    ...isAllSent ? [] : ["The rest was never sent."]
  ].join(" ")
}

/** For a program: what came of one request. */
export const outcomeJson = ({ number, outcome, place }: AnsweredRow): string =>
  JSON.stringify({ ...place === "" ? {} : { row: number, place }, outcome })

/** For a program: what came of all. */
export const outcomeSummaryJson = ({ answered, codes, unanswered, unsuccessful }: AwaitedOutcomes) => ({
  answered,
  unanswered,
  unsuccessful,
  outcomes: Object.fromEntries(byCount(codes))
})

const COLUMNS = ["operation", "zone_id", "ip", "vendor", "region", "expires", "outcome", "problem"] as const

const encoder = new TextEncoder()

const fieldsOf = (data: unknown): Readonly<Record<string, unknown>> =>
  typeof data === "object" && data !== null ? { ...data } : {}

/** A row to be corrected and sent again, with what is wrong with it in columns that are not read. */
const failedRow = ({ text }: RequestRow, { outcome }: AnsweredRow) => {
  const { event, operation } = readRequest({ value: encoder.encode(text), headers: [] })
  const { ip, region, vendor, zone_id } = fieldsOf(event.data)
  return {
    operation: operation ?? event.type ?? undefined,
    zone_id,
    ip,
    vendor,
    region,
    expires: event.expiresAt === null ? undefined : formatTimestamp(event.expiresAt),
    outcome: outcome.outcomecode,
    problem: describeOutcome(outcome)
  }
}

/** What did not succeed, as a file for `emit --file`: CSV where the path says so, and otherwise one row in JSON a line. */
export const failedRows = (path: string) => {
  const isCsv = path.endsWith(".csv")
  return {
    head: isCsv ? stringify([COLUMNS]) : "",
    line: (row: RequestRow, unsuccessful: AnsweredRow): string => {
      const failed = failedRow(row, unsuccessful)
      return isCsv ? stringify([COLUMNS.map((column) => failed[column])]) : `${JSON.stringify(failed)}\n`
    }
  }
}
