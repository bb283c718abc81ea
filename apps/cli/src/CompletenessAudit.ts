import { readCloudEvent } from "@origin-regions/domain/CloudEvent"
import { OUTCOME_NAMESPACE } from "@origin-regions/domain/OutcomeId"
import type { DoneRun } from "@origin-regions/kafka/DoneRuns"
import type { ScannedRecord } from "@origin-regions/kafka/KafkaScan"
import { hash } from "node:crypto"
import { AnswerMap, markOf, NO_ANSWER } from "./AnswerMap.ts"
import { outcomeReference } from "./OutcomeReference.ts"

/** One partition of the requests topic, as it was when the audit began. */
export interface RequestPartition {
  /** The first offset that is still there. */
  readonly beginning: number
  /** From where on requests are looked at. */
  readonly from: number
  /** Behind the last offset that is looked at. */
  readonly to: number
  /** What the group has committed: every request below is done. */
  readonly head: number
  /** And these beyond it. */
  readonly done: ReadonlyArray<DoneRun>
}

/** What an audit is about. */
export interface AuditScope {
  readonly topic: string
  /** The outcomes' own name for who made them. */
  readonly source: string
  readonly delivery: "exactly-once" | "at-least-once"
  readonly partitions: ReadonlyMap<number, RequestPartition>
}

/** Requests of one partition, one after the other, from the first to the last of them. */
export interface RequestRun {
  readonly partition: number
  readonly first: number
  readonly last: number
  readonly requests: number
}

export interface Place {
  readonly partition: number
  readonly offset: number
}

/** An outcome beyond the first of its request, where it stands in the outcomes topic. */
export interface ExtraOutcome {
  readonly request: Place
  readonly outcome: Place
  /** It has the same id as the first, and names the same request. */
  readonly isSame: boolean
}

/** Requests that are waited for, by how old they are. */
export interface Ages {
  readonly underMinute: number
  readonly underHour: number
  readonly underDay: number
  readonly older: number
}

/** What was found. Lists are of the first `LISTED` of each kind; the numbers count all. */
export interface Completeness {
  readonly requests: number
  readonly outcomes: number
  /** Have their outcome. */
  readonly answered: number
  /** Below the committed progress, or done beyond it, and without an outcome. */
  readonly missing: number
  readonly missingRuns: ReadonlyArray<RequestRun>
  /** Outcomes beyond the first of a request that are more than a repeat. */
  readonly extra: number
  readonly extraOutcomes: ReadonlyArray<ExtraOutcome>
  /** Outcomes that `at-least-once` has published again, with the same id. */
  readonly repeated: number
  /** Outcomes whose id, or the request that they name, is not that of the record. */
  readonly mismatched: number
  readonly mismatchedRequests: ReadonlyArray<Place>
  /** Records of the outcomes topic that are no outcomes. */
  readonly unreadable: number
  readonly unreadableRecords: ReadonlyArray<Place>
  /** Not done, as far as was committed when the audit began. */
  readonly unanswered: number
  readonly ages: Ages
  readonly oldest: Place & { readonly ageMillis: number } | undefined
  /** Outcomes of requests that are no longer there: retention or compaction has taken them. */
  readonly withoutRequest: number
  /** Outcomes of other groups or topics, of requests before the part that is looked at, and of those that have come since. */
  readonly beside: number
}

type ScannedRequest = Pick<ScannedRecord, "headers" | "offset" | "timestamp" | "value">

const LISTED = 100

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/**
 * Holds outcomes against requests: all outcomes first, then all requests, each in the order of its partition. Plain and synchronous; it keeps two bytes for
 * each request.
 */
export class CompletenessAudit {
  readonly #scope: AuditScope
  readonly #now: number
  readonly #answers: ReadonlyMap<number, AnswerMap>
  readonly #cursors: ReadonlyMap<number, RunCursor>
  readonly #missingRuns: Array<RequestRun> = []
  readonly #extraOutcomes: Array<ExtraOutcome> = []
  readonly #mismatchedRequests: Array<Place> = []
  readonly #unreadableRecords: Array<Place> = []
  readonly #ages = { underMinute: 0, underHour: 0, underDay: 0, older: 0 }
  readonly #counts = {
    requests: 0,
    outcomes: 0,
    answered: 0,
    missing: 0,
    extra: 0,
    repeated: 0,
    mismatched: 0,
    unreadable: 0,
    unanswered: 0,
    withoutRequest: 0,
    beside: 0
  }
  #oldest: Completeness["oldest"]

  /** `now` is the time of day, in milliseconds since 1970, for the ages of requests. */
  constructor(scope: AuditScope, now: number) {
    this.#scope = scope
    this.#now = now
    this.#answers = new Map([...scope.partitions.keys()].map((partition) => [partition, new AnswerMap()]))
    this.#cursors = new Map([...scope.partitions].map(([partition, each]) => [partition, new RunCursor(each)]))
  }

  /** Takes down a record of the outcomes topic. */
  outcome(partition: number, { offset, value }: Pick<ScannedRecord, "offset" | "value">): void {
    const reference = value === null ? undefined : outcomeReference(value)
    if (reference === undefined) {
      this.#counts.unreadable += 1
      if (this.#unreadableRecords.length < LISTED) this.#unreadableRecords.push({ partition, offset })
      return
    }
    const { id, request, source } = reference
    const of = this.#scope.partitions.get(request.partition)
    if (source !== this.#scope.source || request.topic !== this.#scope.topic || of === undefined) {
      this.#counts.beside += 1
      return
    }
    if (request.offset < of.from || request.offset >= of.to) {
      if (request.offset < of.beginning) this.#counts.withoutRequest += 1
      else this.#counts.beside += 1
      return
    }
    this.#counts.outcomes += 1
    const mark = markOf(id, request.source, request.id)
    const before = this.#answers.get(request.partition)?.add(request.offset, mark) ?? NO_ANSWER
    if (before === NO_ANSWER) return
    const isSame = before === mark
    if (isSame && this.#scope.delivery === "at-least-once") {
      this.#counts.repeated += 1
      return
    }
    this.#counts.extra += 1
    if (this.#extraOutcomes.length >= LISTED) return
    const answered = { partition: request.partition, offset: request.offset }
    this.#extraOutcomes.push({ request: answered, outcome: { partition, offset }, isSame })
  }

  /** Looks what has become of a request, once all outcomes have been taken down. */
  request(partition: number, record: ScannedRequest): void {
    const { offset } = record
    this.#counts.requests += 1
    const mark = this.#answers.get(partition)?.take(offset) ?? NO_ANSWER
    const cursor = this.#cursors.get(partition)
    const isDone = cursor?.isDone(offset) ?? false
    if (mark === NO_ANSWER) {
      if (isDone) return this.#missing(partition, offset, cursor)
      cursor?.answered()
      return this.#unanswered(partition, record)
    }
    cursor?.answered()
    this.#counts.answered += 1
    const { id, source } = readCloudEvent(record)
    if (mark === markOf(expectedId(this.#scope.topic, partition, offset, source, id), source, id)) return
    this.#counts.mismatched += 1
    if (this.#mismatchedRequests.length < LISTED) this.#mismatchedRequests.push({ partition, offset })
  }

  /** What it has come to, once all requests have been looked at. */
  result(): Completeness {
    let left = 0
    for (const answers of this.#answers.values()) left += answers.left
    return {
      ...this.#counts,
      withoutRequest: this.#counts.withoutRequest + left,
      missingRuns: this.#missingRuns,
      extraOutcomes: this.#extraOutcomes,
      mismatchedRequests: this.#mismatchedRequests,
      unreadableRecords: this.#unreadableRecords,
      ages: this.#ages,
      oldest: this.#oldest
    }
  }

  #missing(partition: number, offset: number, cursor: RunCursor | undefined): void {
    this.#counts.missing += 1
    const index = cursor?.missingRun
    const run = index === undefined ? undefined : this.#missingRuns[index]
    if (index !== undefined && run !== undefined) {
      this.#missingRuns[index] = { ...run, last: offset, requests: run.requests + 1 }
    } else if (this.#missingRuns.length < LISTED) {
      this.#missingRuns.push({ partition, first: offset, last: offset, requests: 1 })
      cursor?.missing(this.#missingRuns.length - 1)
    }
  }

  #unanswered(partition: number, { offset, timestamp }: ScannedRequest): void {
    this.#counts.unanswered += 1
    const ageMillis = Math.max(0, this.#now - timestamp)
    this
      .#ages[
        ageMillis < MINUTE
          ? "underMinute"
          : ageMillis < HOUR
          ? "underHour"
          : ageMillis < DAY
          ? "underDay"
          : "older"
      ] += 1
    if (ageMillis > (this.#oldest?.ageMillis ?? -1)) this.#oldest = { partition, offset, ageMillis }
  }
}

/** Goes along a partition, whose requests come in their order. */
class RunCursor {
  readonly #head: number
  readonly #done: ReadonlyArray<DoneRun>
  #nextDone = 0
  /** The index of the run of missing ones that the request before belongs to. */
  missingRun: number | undefined

  constructor({ done, head }: RequestPartition) {
    this.#head = head
    this.#done = done
  }

  isDone(offset: number): boolean {
    if (offset < this.#head) return true
    while ((this.#done[this.#nextDone]?.end ?? Number.POSITIVE_INFINITY) <= offset) this.#nextDone += 1
    return offset >= (this.#done[this.#nextDone]?.start ?? Number.POSITIVE_INFINITY)
  }

  missing(run: number): void {
    this.missingRun = run
  }

  answered(): void {
    this.missingRun = undefined
  }
}

const NAMESPACE = Buffer.from(OUTCOME_NAMESPACE.replaceAll("-", ""), "hex")
/** Longer than `[topic, partition, offset, source, id]` gets: texts of at most 1,024 characters, each of at most six bytes in JSON. */
const named = Buffer.alloc(32 * 1024)
NAMESPACE.copy(named)

/** As `outcomeId` of packages/domain, by the platform's SHA-1: a tenth of the time, and a second opinion. */
export const expectedId = (
  topic: string,
  partition: number,
  offset: number,
  source: string | null,
  id: string | null
): string => {
  const length = named.write(JSON.stringify([topic, partition, offset, source, id]), NAMESPACE.length)
  const hex = hash("sha1", named.subarray(0, NAMESPACE.length + length), "hex")
  const variant = "89ab"[Number.parseInt(hex.slice(16, 17), 16) & 3]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${
    hex.slice(20, 32)
  }`
}
