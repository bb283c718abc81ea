import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Duration } from "effect"
import { type MemberWords, wordOf } from "./MemberWords.ts"
import { nothingCommitted } from "./NothingCommitted.ts"
import { describeOutcome, describeRequest, kindOf } from "./OutcomeTable.ts"
import { plainText } from "./TextColumns.ts"
import type { FoundRequest } from "./Whereabouts.ts"

/** What a search has come to. */
export interface WhereFindings {
  readonly topic: string
  readonly groupId: string
  /** Of whatever is looked for, in words. */
  readonly wanted: string
  /** Requests from then on were looked at, and all that are not done. In milliseconds since 1970. */
  readonly since: number
  readonly at: number
  /** Whether the group has committed anything for the topic. */
  readonly hasProgress: boolean
  readonly found: ReadonlyArray<FoundRequest>
  readonly words: MemberWords
  /** Partitions of the outcomes topic that could not be read to their end: a transaction is open there. */
  readonly held: ReadonlyArray<number>
}

/** More requests are counted only. */
const LISTED = 20

const ago = (milliseconds: number): string => {
  const units = Duration.parts(Duration.millis(Math.max(0, milliseconds)))
  const parts = [[units.days, "d"], [units.hours, "h"], [units.minutes, "min"], [units.seconds, "s"]] as const
  const first = parts.findIndex(([count]) => count > 0)
  return first === -1
    ? "a moment"
    : parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(" ")
}

const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`

const stateOf = (request: FoundRequest): "answered" | "unanswered" =>
  request.outcome !== undefined || request.isDone ? "answered" : "unanswered"

/** What is known of a request, in sentences. */
const sentences = (request: FoundRequest, { at, hasProgress, words }: WhereFindings): ReadonlyArray<string> => {
  const { before, isDone, outcome, owner, sentSince, timestamp } = request
  if (outcome !== undefined) {
    const took = ago(Date.parse(outcome.time) - timestamp)
    return [`answered within ${took}: ${outcome.outcomecode}: ${describeOutcome(outcome)}`]
  }
  if (isDone) return ["answered: the group says so, but its outcome is no longer in the outcomes topic"]
  const word = wordOf(words, request)
  return [
    `not answered yet, for ${ago(at - timestamp)}; ${
      before === 0
        ? "it is the first"
        : counted(before, "unanswered request") + (before === 1 ? " is" : " are") + " before it"
    } in its partition`,
    // Of a group that there is not, nothing is known.
    ...!hasProgress ? [] : [
      sentSince === undefined
        ? "it was not sent to the API yet"
        : `it may have been sent to the API, ${ago(at - sentSince)} ago at the earliest`
    ],
    ...owner === undefined ? [] : [`the partition was last committed by ${owner}`],
    ...word === undefined ? [] : [`${word.member} says: ${word.explanation}`]
  ]
}

/** For a person. */
export const whereText = (findings: WhereFindings): string => {
  const { found, groupId, hasProgress, held, since, topic, wanted, words } = findings
  const listed = found.slice(0, LISTED)
  return [
    `${counted(found.length, "request")} of ${wanted} since ${formatTimestamp(since)}${
      found.length > 1 ? ", the newest first" : ""
    }.`,
    ...listed.flatMap((request) => [
      "",
      `${request.id ?? "(no id)"}  ${
        describeRequest(request)
      }  (${topic} ${request.partition}/${request.offset}, from ${request.source ?? "nobody"})`,
      ...sentences(request, findings).map((sentence) => `  ${sentence}`)
    ]),
    ...found.length > listed.length ? ["", `… and ${found.length - listed.length} older ones.`] : [],
    ...found.length === 0 || hasProgress ? [] : ["", nothingCommitted(groupId)],
    ...held.map((partition) =>
      `Outcomes partition ${partition} could not be read to its end: a transaction is open on it.`
    ),
    ...words.silent.map(({ member, problem }) => `${member} could not be asked: ${problem}.`)
  ].map(plainText).join("\n")
}

/** For a program. */
export const whereJson = ({ at, found, groupId, hasProgress, since, topic, words }: WhereFindings): string =>
  JSON.stringify(
    {
      topic,
      group: groupId,
      has_progress: hasProgress,
      since: formatTimestamp(since),
      at: formatTimestamp(at),
      requests: found.map((request) => ({
        id: request.id,
        source: request.source,
        operation: request.operation,
        address: request.address ?? null,
        partition: request.partition,
        offset: request.offset,
        timestamp: formatTimestamp(request.timestamp),
        state: request.outcome === undefined ? stateOf(request) : kindOf(request.outcome),
        ...stateOf(request) === "answered" ? {} : {
          before: request.before,
          age_seconds: Math.max(0, Math.round((at - request.timestamp) / 1_000)),
          sent_since: request.sentSince === undefined ? null : formatTimestamp(request.sentSince),
          owner: request.owner ?? null,
          member: wordOf(words, request) ?? null
        },
        outcome: request.outcome ?? null
      })),
      not_asked: words.silent
    },
    null,
    2
  )
