import { keyPartition } from "@origin-regions/domain/KeyPartition"
import type { FoundRequest } from "../FoundRequest.ts"
import type { RecentOutcome } from "../RecentOutcomes.ts"
import { clockTime, dated, plural, type StatusReportInput } from "../StatusReport.ts"
import type { ConsoleAnswer, ConsoleOutcome, ConsoleRequest } from "./ConsoleMessages.ts"
import { consoleOutcome } from "./ConsoleOutcomes.ts"
import { fits, type RequestQuery } from "./RequestQuery.ts"

export interface AnswerInput extends StatusReportInput {
  readonly query: RequestQuery
  readonly found: ReadonlyArray<FoundRequest>
  /** From the latest on. */
  readonly outcomes: Iterable<Readonly<RecentOutcome>>
  /** Since when there could be some, in milliseconds since 1970. */
  readonly startedAt: number
  /** The offset after the last record of each partition, where Kafka tells. */
  readonly endOffsets: ReadonlyMap<number, number>
}

/** Requests and outcomes that are told one by one; the others are counted. */
const MAX_TOLD = 50

const ordinal = (number: number): string => {
  const ending = number % 100 >= 11 && number % 100 <= 13 ? "th" : ["th", "st", "nd", "rd"][number % 10] ?? "th"
  return `${number.toLocaleString("en")}${ending}`
}

const waitsFor = { request: "", ahead: "the request ahead of it", zone: "its zone", api: "the API" } as const

const placeOf = (ahead: number): string =>
  ahead === 0
    ? "first in its lane"
    : `${ordinal(ahead + 1)} in its lane, as its address has ${
      ahead === 1 ? "one" : ahead.toLocaleString("en")
    } before it`

const explainRequest = (
  { ahead, state, task }: FoundRequest,
  { member, pipeline: { publishingProblem, quota } }: StatusReportInput
): string => {
  const attempt = task.failures + 1
  const doubt = task.inDoubt ? "; an earlier attempt may have been applied, which is found out first" : ""
  switch (state._tag) {
    case "in_call":
      return `attempt ${attempt} is under way${doubt}`
    case "unpublished":
      return `decided: ${state.code}. Its outcome waits to be published${
        publishingProblem === undefined ? "" : `: ${publishingProblem}`
      }`
    case "queued": {
      const place = `${placeOf(ahead)}; attempt ${attempt} comes next`
      if (!member.ready) return `queued, ${place}, once this member is at work: ${member.phase}${doubt}`
      if (quota?.nextCallAt !== undefined) {
        return `queued, ${place}, when the quota lets it: next call ${clockTime(quota.nextCallAt)}${doubt}`
      }
      return `queued, ${place}${doubt}`
    }
    case "waiting": {
      const { of, pause: { failures, reason, since, until } } = state
      const what = waitsFor[of]
      const why = failures === 0 ? reason : `${plural(failures, "failure")} in a row, last: ${reason}`
      return `waits ${what === "" ? "" : `for ${what} `}since ${dated(since)}: ${why}; ${
        placeOf(ahead)
      }; attempt ${attempt} comes next, next try ${clockTime(until)}${doubt}`
    }
  }
}

const consoleRequest = (found: FoundRequest, input: StatusReportInput): ConsoleRequest => {
  const { ahead, state, task: { failures, inDoubt, record, request } } = found
  const nextTry = state._tag === "waiting"
    ? state.pause.until
    : state._tag === "queued"
    ? input.pipeline.quota?.nextCallAt ?? null
    : null
  return {
    state: state._tag,
    zone_id: request.zoneId,
    ip: request.originIp,
    id: request.event.id,
    source: request.event.source,
    operation: request.operation,
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp >= 0 ? record.timestamp : null,
    ahead,
    attempt: failures + 1,
    in_doubt: inDoubt,
    next_try: nextTry,
    explanation: explainRequest(found, input)
  }
}

/** Numbers in their order, those that follow each other as one. */
const listOf = (numbers: ReadonlyArray<number>): string => {
  const runs: Array<{ readonly first: number; last: number }> = []
  for (const number of numbers.toSorted((one, other) => one - other)) {
    const run = runs.at(-1)
    if (run !== undefined && number === run.last + 1) run.last = number
    else runs.push({ first: number, last: number })
  }
  return runs.length === 0
    ? "none"
    : runs.map(({ first, last }) => first === last ? `${first}` : `${first} to ${last}`).join(", ")
}

/** Where it belongs by its key, as far as that can be said. */
const partitionOf = (
  { endOffsets, pipeline, query: { originIp, zoneId } }: AnswerInput
): ConsoleAnswer["partition"] => {
  if (originIp === undefined || zoneId === undefined || endOffsets.size === 0) return null
  const number = keyPartition(new TextEncoder().encode(`${zoneId}/${originIp}`), endOffsets.size)
  return { number, is_ours: pipeline.partitions.some(({ partition }) => partition === number) }
}

/** Nothing is here: what that means, and where else it can be. */
const explainAbsence = (
  input: AnswerInput,
  partition: ConsoleAnswer["partition"],
  { oldest, remembered }: { readonly remembered: number; readonly oldest: number }
): ReadonlyArray<string> => {
  const { endOffsets, member, pipeline, query, requestsTopic } = input
  const lines: Array<string> = []
  if (!member.ready) lines.push(`this member is not at work: ${member.phase}`)
  const isElsewhere = partition !== null && !partition.is_ours
  const owned = pipeline.partitions.map(({ partition }) => partition)
  if (partition !== null) {
    const by =
      `with the key ${query.zoneId}/${query.originIp}, as is recommended, it is in ${requestsTopic}-${partition.number}`
    lines.push(
      partition.is_ours
        ? `${by}, which this member has, and where it does not wait`
        : `${by}, which another member has: ask there. This member's partitions: ${listOf(owned)}`
    )
  } else {
    const others = endOffsets.size - owned.length
    lines.push(
      `it does not wait at this member, which has the partitions ${listOf(owned)} of ${requestsTopic}${
        others > 0 ? `; ${plural(others, "other partition")} may have it, at other members` : ""
      }`
    )
  }
  if (!isElsewhere) {
    let unread = 0
    for (const { partition: number, position } of pipeline.partitions) {
      if (partition === null || partition.number === number) {
        unread += Math.max(0, (endOffsets.get(number) ?? 0) - position)
      }
    }
    if (unread > 0) {
      lines.push(`${plural(unread, "record")} ${unread === 1 ? "is" : "are"} not read yet: it may be among them`)
    }
  }
  lines.push(
    remembered === 0
      ? `this member has published no outcome since it started at ${dated(oldest)}: the outcomes topic has older ones`
      : `it is not among the last ${
        plural(remembered, "outcome")
      } of this member, which are all that it remembers, since ${dated(oldest)}: the outcomes topic has older ones`
  )
  return lines
}

/** Answers where requests are: here, and how they stand; or what has come of them; or why this can't be said here. */
export const answer = (input: AnswerInput): ConsoleAnswer => {
  const { found, query } = input
  const outcomes: Array<ConsoleOutcome> = []
  let fitting = 0
  let remembered = 0
  let oldest = input.startedAt
  for (const outcome of input.outcomes) {
    remembered += 1
    oldest = outcome.publishedAt
    if (!fits(query, outcome)) continue
    fitting += 1
    if (outcomes.length < MAX_TOLD) outcomes.push(consoleOutcome(outcome))
  }
  const partition = partitionOf(input)
  return {
    requests: found.slice(0, MAX_TOLD).map((each) => consoleRequest(each, input)),
    requests_found: found.length,
    outcomes,
    outcomes_found: fitting,
    partition,
    explanation: found.length + fitting === 0 ? explainAbsence(input, partition, { remembered, oldest }) : []
  }
}
