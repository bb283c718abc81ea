import type { Change } from "@origin-regions/consumer/fixtures/ApiRecords"
import type { MappingOutcome } from "@origin-regions/domain/MappingOutcome"
import type { Change as Request } from "@origin-regions/domain/RequestReader"

/** A request for an address, with all that was said to have become of it. */
export interface AnsweredRequest {
  /** What its findings are counted by. */
  readonly at: string
  readonly request: Request
  readonly answers: ReadonlyArray<MappingOutcome>
}

/** Something that was said and is not so, or was done and not said; `of` is the request, or the change, that it is about. */
export interface Finding {
  readonly of: string
  readonly text: string
}

interface Placed {
  readonly vendor: string
  readonly region: string
  readonly modified_on: string | null
}

const isSame = (one: Placed | null, other: Placed | null): boolean =>
  one === null || other === null
    ? one === other
    : one.vendor === other.vendor && one.region === other.region && one.modified_on === other.modified_on

/** Whether that is what the outcome tells of. What a batch has done has no time. */
const isClaimed = (placed: Placed | null, claimed: Placed | null): boolean =>
  placed !== null && claimed?.modified_on === null
    ? placed.vendor === claimed.vendor && placed.region === claimed.region
    : isSame(placed, claimed)

const describe = (placed: Placed | null): string =>
  placed === null ? "nothing" : `${placed.vendor} ${placed.region} of ${placed.modified_on}`

/**
 * Holds what was said about the requests of one address, in their order, against the changes that the API has made there, in theirs: every success has
 * its change, with the API's own time; a 1145 has a mapping that was there before its request; and there is no change that no outcome tells of.
 */
export const checkClaims = (
  requests: ReadonlyArray<AnsweredRequest>,
  log: ReadonlyArray<Change>
): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  /** The first change that is not explained yet. */
  let next = 0

  /** What has no outcome may have been done all the same: that it has none is another finding. */
  const unanswered: Array<(change: Change) => boolean> = []

  /** The last upsert, where it was said without a time to tell its attempts apart by: there may be more of them. */
  let again: ((change: Change) => boolean) | undefined

  const mayHaveBeen = (change: Change) => unanswered.some((isAsked) => isAsked(change)) || again?.(change) === true

  /** What can be there now: what the last explained change has left, or what is left by those that may be of requests without an outcome, or further attempts. */
  const present = (): ReadonlyArray<Placed | null> => {
    const placed = [log[next - 1]?.after ?? null]
    for (const change of log.slice(next)) {
      if (!mayHaveBeen(change)) break
      placed.push(change.after)
    }
    return placed
  }

  const unclaimed = (changes: ReadonlyArray<Change>) => changes.filter((change) => !mayHaveBeen(change)).map(noOutcome)

  /** Goes on behind a change. Those before it have to be attempts at the same thing. */
  const goBehind = (index: number, isAttempt: (change: Change) => boolean) => {
    findings.push(...unclaimed(log.slice(next, index + 1).filter((change) => !isAttempt(change))))
    next = index + 1
    again = undefined
  }

  const find = (fits: (change: Change) => boolean) => log.findIndex((change, index) => index >= next && fits(change))

  for (const { answers, at, request } of requests) {
    const said = (text: string) => findings.push({ of: at, text: `${at} ${request.operation}: ${text}` })
    const asked = request.operation === "delete" ? null : request
    const isAsked = ({ after }: Change) =>
      after === null || asked === null
        ? after === asked
        : after.vendor === asked.vendor && after.region === asked.region

    if (answers.length === 0) unanswered.push(isAsked)

    const before = present()
    for (const { data, outcomecode } of answers) {
      if (outcomecode === "1145" && before.every((placed) => placed === null)) {
        said("1145, and nothing was there before it")
      }
      const existing = "error" in data && "existing" in data.error ? data.error.existing ?? null : null
      if (existing !== null && !before.some((placed) => isSame(placed, existing))) {
        said(`1145 of ${describe(existing)}, and ${describe(before[0] ?? null)} was there`)
      }
      if (outcomecode === "unchanged" && !before.includes(null)) {
        said(`unchanged, and ${describe(before[0] ?? null)} was there`)
      }
    }

    const successes = answers.flatMap(({ data }) => "result" in data && data.result !== "unchanged" ? [data] : [])
    switch (request.operation) {
      case "create":
      case "upsert": {
        let last = -1
        for (const { mapping, result } of successes) {
          const index = find((change) => isClaimed(change.after, mapping))
          if (index === -1 || mapping === null) said(`${result} ${describe(mapping)}, which the API never did`)
          else if (result === "created" && log[index]?.before !== null) {
            said(`created ${describe(mapping)}, where the API replaced ${describe(log[index]?.before ?? null)}`)
          }
          last = Math.max(last, index)
        }
        if (last === -1) break
        // An upsert may have been tried more than once.
        goBehind(last, (change) => isAsked(change) && (request.operation === "upsert" || change === log[last]))
        // A create has none: what is found when it is tried again tells its time.
        if (request.operation === "upsert" && successes.some(({ mapping }) => mapping?.modified_on === null)) {
          again = isAsked
        }
        break
      }
      case "delete": {
        const certain = successes.find(({ recovered }) => !recovered)
        if (certain !== undefined) {
          const index = find(({ after, before }) => after === null && isClaimed(before, certain.mapping))
          if (index === -1) said(`deleted ${describe(certain.mapping)}, which the API never did`)
          else goBehind(index, isAsked)
        } else if (successes.length > 0) {
          const index = find((change) => !mayHaveBeen(change))
          if (log[index]?.after === null) goBehind(index, isAsked)
          else if (!before.includes(null)) said(`deleted, and ${describe(before[0] ?? null)} is still there`)
        }
      }
    }
  }
  return [...findings, ...unclaimed(log.slice(next))]
}

const noOutcome = ({ after, before, operation, origin_ip, sequence, zone_id }: Change): Finding => ({
  of: `change ${sequence}`,
  text: `change ${sequence} of ${zone_id}/${origin_ip}, ${operation} from ${describe(before)} to ${
    describe(after)
  }: no outcome tells of it`
})
