import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Duration } from "effect"
import type { Pause } from "./Circuit.ts"
import type { PartitionStatus, PipelineStatus, QuotaPause } from "./PipelineStatus.ts"

/** How the consumer takes part in its group. `lastContact` is when the group's coordinator last answered, in milliseconds since 1970. */
export interface MemberStatus {
  readonly joined: boolean
  /** Whether it works on requests. */
  readonly ready: boolean
  /** Where it is, in words. */
  readonly phase: string
  /** That members of the group are subscribed to different topics, in words, where they are. */
  readonly differing?: string | undefined
  readonly lastContact: number
}

export interface StatusReportInput {
  readonly requestsTopic: string
  readonly member: MemberStatus
  readonly pipeline: PipelineStatus
}

/** Zones that are told one by one; the others are counted. */
const MAX_ZONES = 100

export const plural = (count: number, what: string): string =>
  `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`

const thatWait = (count: number, what: string): string => `${plural(count, what)} ${count === 1 ? "waits" : "wait"}`

/** To the second: this is for people. */
export const clockTime = (millis: number): string => `${formatTimestamp(millis).slice(11, 19)}Z`

export const dated = (millis: number): string => `${formatTimestamp(millis).slice(0, 19)}Z`

const failuresOf = ({ failures, reason }: Pause): string => `${plural(failures, "failure")} in a row, last: ${reason}`

const isCredential = /\(code (6003|9103|9106|9109|10000)\)$/

const apiLine = (pause: Pause, waiting: number): string =>
  `the API is not called: ${thatWait(waiting, "request")} since ${dated(pause.since)}; ${failuresOf(pause)}; next try ${
    clockTime(pause.until)
  }${isCredential.test(pause.reason) ? "; nothing is lost, and all goes on once the credential works" : ""}`

const quotaLine = (
  { left, limit, pool, refused, windowMillis }: QuotaPause,
  nextCallAt: number,
  queued: number
): string => {
  const next = `next call ${clockTime(nextCallAt)}`
  if (refused === true) {
    return `${thatWait(queued, "request")}, as the API refuses all calls for their number: ${next}`
  }
  return `${thatWait(queued, "request")} for the API's quota of ${limit.toLocaleString("en")} calls in ${
    Duration.format(Duration.millis(windowMillis))
  }, of which ${left.toLocaleString("en")} are left for ${
    pool === "joined" ? "all who pool it" : "this member"
  }: ${next}`
}

const poolLine = (problem: string): string =>
  `the quota is not pooled in Redis (${problem}): this member keeps to its share by partitions`

const zoneLine = (zoneId: string, { waiting, ...pause }: Pause & { readonly waiting: number }): string =>
  `zone ${zoneId}: paused since ${dated(pause.since)} after ${failuresOf(pause)}; ${
    plural(waiting, "request")
  } waiting, next try ${clockTime(pause.until)}`

const partitionLine = (
  topic: string,
  { partition, paused, undone, wait, waiting }: PartitionStatus
): string | undefined => {
  const name = `${topic}-${partition}`
  const reading = paused ? `; no more is read, as ${plural(undone, "request")} here have no outcome yet` : ""
  if (wait !== undefined) {
    return `${name}: ${waiting.toLocaleString("en")} waiting since ${
      dated(wait.since)
    }, the oldest for ${wait.reason}, next try ${clockTime(wait.until)}${reading}`
  }
  return paused ? `${name}${reading.replace("; ", ": ")}` : undefined
}

/** What waits, since when, for what and until when: a sentence for each. Empty where nothing does. */
export const explain = ({ member, pipeline, requestsTopic }: StatusReportInput): ReadonlyArray<string> => {
  const lines: Array<string> = []
  if (!member.ready) lines.push(`not at work: ${member.phase}`)
  if (member.differing !== undefined) lines.push(member.differing)
  if (pipeline.apiPause !== undefined) lines.push(apiLine(pipeline.apiPause, pipeline.waiting))
  const { publishingProblem, quota, queued, unpublished } = pipeline
  if (quota?.nextCallAt !== undefined && queued > 0) lines.push(quotaLine(quota, quota.nextCallAt, queued))
  if (quota?.pool !== undefined && quota.pool !== "joined") lines.push(poolLine(quota.pool))
  if (publishingProblem !== undefined) {
    const what = unpublished === 0
      ? "outcomes can't be published"
      : `${thatWait(unpublished, "outcome")} to be published`
    lines.push(`${what}: ${publishingProblem}`)
  }
  const zones = [...pipeline.zones].toSorted(([, one], [, other]) => one.since - other.since)
  lines.push(...zones.slice(0, MAX_ZONES).map(([zoneId, pause]) => zoneLine(zoneId, pause)))
  if (zones.length > MAX_ZONES) lines.push(`${plural(zones.length - MAX_ZONES, "more zone")} paused`)
  for (const partition of pipeline.partitions) {
    const line = partitionLine(requestsTopic, partition)
    if (line !== undefined) lines.push(line)
  }
  return lines
}

const pauseFields = ({ failures, reason, since, until }: Pause) => ({
  since: formatTimestamp(since),
  next_try: formatTimestamp(until),
  failures,
  reason
})

const quotaFields = ({ left, limit, nextCallAt, pool, refused, windowMillis }: QuotaPause) => ({
  limit,
  window_seconds: windowMillis / 1000,
  left,
  next_call: nextCallAt === undefined ? null : formatTimestamp(nextCallAt),
  ...(pool === undefined ? {} : { pool, refused: refused === true })
})

/** What `/status` answers. */
export const statusReport = (input: StatusReportInput) => {
  const { member, pipeline, requestsTopic } = input
  const zones = [...pipeline.zones].toSorted(([, one], [, other]) => one.since - other.since)
  return {
    ready: member.ready,
    phase: member.phase,
    explanation: explain(input),
    last_contact: formatTimestamp(member.lastContact),
    in_flight: pipeline.inFlight,
    queued: pipeline.queued,
    waiting: pipeline.waiting,
    unpublished: pipeline.unpublished,
    publishing_problem: pipeline.publishingProblem ?? null,
    api: pipeline.apiPause === undefined ? null : pauseFields(pipeline.apiPause),
    quota: pipeline.quota === undefined ? null : quotaFields(pipeline.quota),
    zones_paused: zones.length,
    zones: zones.slice(0, MAX_ZONES).map(([zone_id, { waiting, ...pause }]) => ({
      zone_id,
      waiting,
      ...pauseFields(pause)
    })),
    partitions: pipeline.partitions.map(({ head, partition, paused, position, undone, wait, waiting }) => ({
      topic: requestsTopic,
      partition,
      head,
      position,
      undone,
      paused,
      waiting,
      wait: wait === undefined ? null : pauseFields(wait)
    }))
  }
}
