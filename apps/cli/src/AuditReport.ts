import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Duration } from "effect"
import type { AuditFindings, AuditPlan } from "./AuditReading.ts"
import type { Completeness, Place } from "./CompletenessAudit.ts"
import { nothingCommitted } from "./NothingCommitted.ts"

/** How many of each kind are listed for a person; `--json` has a hundred. */
const LISTED = 10

const count = (number: number, noun: string): string =>
  `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`

const places = ({ offset, partition }: Place): string => `${partition}/${offset}`

const age = (millis: number): string => Duration.format(Duration.seconds(Math.floor(millis / 1_000)))

/** There are requests, and the group has done nothing. */
const isIdle = ({ completeness, hasProgress }: AuditFindings): boolean => completeness.requests > 0 && !hasProgress

/** Nothing is wrong but that: nothing speaks against the group, as it has done nothing. */
export const isOnlyIdle = (findings: AuditFindings): boolean => isIdle(findings) && problemCount(findings) === 1

/** In how many things it is not as it should be. */
export const problemCount = (findings: AuditFindings): number => {
  const { extra, mismatched, missing, unreadable } = findings.completeness
  return missing + extra + mismatched + unreadable + findings.held.length + (isIdle(findings) ? 1 : 0)
}

/** One object, with every number, and the first hundred places of each kind. */
export const auditJson = (plan: AuditPlan, findings: AuditFindings): string => {
  const { at, completeness, hasProgress, held, partitions, shortened } = findings
  const { oldest, ...found } = completeness
  return JSON.stringify({
    proved: problemCount(findings) === 0,
    at: formatTimestamp(at),
    since: plan.since === undefined ? null : formatTimestamp(plan.since),
    group: plan.groupId,
    delivery: plan.delivery,
    requests_topic: plan.requestsTopic,
    outcomes_topic: plan.outcomesTopic,
    partitions,
    has_progress: hasProgress,
    requests: found.requests,
    answered: found.answered,
    missing: { count: found.missing, runs: found.missingRuns },
    extra: {
      count: found.extra,
      outcomes: found.extraOutcomes.map(({ isSame, outcome, request }) => ({ request, outcome, same_id: isSame }))
    },
    repeated: found.repeated,
    mismatched: { count: found.mismatched, requests: found.mismatchedRequests },
    unreadable: { count: found.unreadable, outcomes: found.unreadableRecords },
    unanswered: {
      count: found.unanswered,
      under_a_minute: found.ages.underMinute,
      under_an_hour: found.ages.underHour,
      under_a_day: found.ages.underDay,
      older: found.ages.older,
      oldest: oldest === undefined
        ? null
        : { partition: oldest.partition, offset: oldest.offset, age_seconds: Math.floor(oldest.ageMillis / 1_000) }
    },
    without_request: found.withoutRequest,
    beside: found.beside,
    held,
    outcomes_deleted_before: shortened
  })
}

/** A heading, and under it the first of what it is about. */
const listed = (heading: string, all: number, items: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (all === 0) return []
  const shown = items.slice(0, LISTED)
  const more = items.length > shown.length ? ["  … (--json lists the first hundred)"] : []
  return ["", heading, ...shown.map((item) => `  ${item}`), ...more]
}

const missing = ({ completeness, shortened }: AuditFindings): ReadonlyArray<string> => {
  const runs = completeness.missingRuns.map(({ first, last, partition, requests }) =>
    first === last
      ? `${partition}/${first}`
      : `${partition}/${first} to ${partition}/${last}: ${count(requests, "request")}`
  )
  const deleted = shortened.map(places).join(", ")
  const why = deleted === ""
    ? "Their offsets were skipped (set by hand?), or their outcomes deleted."
    : `Their offsets were skipped, or their outcomes deleted: the outcomes topic begins at ${deleted}.`
  return listed(`${count(completeness.missing, "request")} without an outcome. ${why}`, completeness.missing, runs)
}

const extra = ({ completeness: { extra, extraOutcomes } }: AuditFindings, { delivery }: AuditPlan) =>
  listed(
    `${count(extra, "outcome")} beyond the first of a request.${
      delivery === "exactly-once" && extraOutcomes.some(({ isSame }) => isSame)
        ? " Those with the same id are repeats where the consumer has DELIVERY=at-least-once: set it here, too."
        : ""
    }`,
    extra,
    extraOutcomes.map(({ isSame, outcome, request }) =>
      `of ${places(request)}, at ${places(outcome)} of the outcomes, ${isSame ? "with the same id" : "with another id"}`
    )
  )

const numbers = ({ completeness: found }: AuditFindings, { delivery }: AuditPlan): ReadonlyArray<string> => {
  const rows: ReadonlyArray<readonly [string, number, string]> = [
    ["requests", found.requests, ""],
    ["answered", found.answered, "have their outcome"],
    ["missing", found.missing, "done, as the group has committed, and without an outcome"],
    ["extra", found.extra, "outcomes beyond the first of a request"],
    ...delivery === "at-least-once"
      ? [["repeated", found.repeated, "outcomes published again with the same id, as at-least-once may"] as const]
      : [],
    ["mismatched", found.mismatched, "whose outcome has an id, or names an id, that is not the request's"],
    ["unreadable", found.unreadable, "records among the outcomes that are none"],
    ["unanswered", found.unanswered, "not done yet"],
    ["without request", found.withoutRequest, "outcomes of requests that retention or compaction has taken"]
  ]
  const width = Math.max(...rows.map(([, number]) => number.toLocaleString("en").length))
  return rows.map(([name, number, meaning]) =>
    `${name.padEnd(15)}  ${number.toLocaleString("en").padStart(width)}  ${meaning}`.trimEnd()
  )
}

const ages = ({ ages, oldest, unanswered }: Completeness): ReadonlyArray<string> =>
  oldest === undefined ? [] : [
    "",
    `Unanswered, by age: ${ages.underMinute} under a minute, ${ages.underHour} under an hour, ${ages.underDay} under a day, ${ages.older} older.`,
    `The oldest${unanswered === 1 ? "" : " of them"} is ${places(oldest)}, since ${age(oldest.ageMillis)}.`
  ]

/** For a person. Places are `partition/offset`, of the requests where nothing else is said. */
export const auditText = (plan: AuditPlan, findings: AuditFindings): string => {
  const { at, completeness, held, partitions } = findings
  const since = plan.since === undefined ? "" : ` since ${formatTimestamp(plan.since)}`
  const found = problemCount(findings)
  return [
    `${plan.requestsTopic}${since}, ${count(partitions, "partition")}, as the group ${plan.groupId} had it at ${
      formatTimestamp(at)
    }:`,
    "",
    ...numbers(findings, plan),
    ...ages(completeness),
    ...missing(findings),
    ...extra(findings, plan),
    ...listed(
      `${count(completeness.mismatched, "request")} whose outcome is another's.`,
      completeness.mismatched,
      completeness.mismatchedRequests.map(places)
    ),
    ...listed(
      `${count(completeness.unreadable, "record")} among the outcomes that can't be read as one.`,
      completeness.unreadable,
      completeness.unreadableRecords.map(places)
    ),
    ...listed(
      "Not read to the end, as a transaction is open:",
      held.length,
      held.map((place) => `${place.topic} ${places(place)}`)
    ),
    ...isIdle(findings) ? ["", nothingCommitted(plan.groupId)] : [],
    "",
    found === 0
      ? "Proved: every request that is done has exactly one outcome, and it is its own."
      : "Not proved."
  ].join("\n")
}
