import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaScan, type Range } from "@origin-regions/kafka/KafkaScan"
import { decodeMetadata } from "@origin-regions/kafka/ProgressMetadata"
import { Clock, Duration, Effect } from "effect"
import {
  type AuditScope,
  type Completeness,
  CompletenessAudit,
  type Place,
  type RequestPartition
} from "./CompletenessAudit.ts"

/** Where everything is, and how much of it is looked at. */
export interface AuditPlan {
  readonly requestsTopic: string
  readonly outcomesTopic: string
  readonly groupId: string
  readonly delivery: AuditScope["delivery"]
  /** Requests from this moment on, in milliseconds since 1970; all where it is `undefined`. */
  readonly since: number | undefined
}

/** A partition that could not be read to its end: a transaction is open on it from an offset on. */
export interface HeldPartition extends Place {
  readonly topic: string
}

export interface AuditFindings {
  readonly at: number
  readonly partitions: number
  /** Whether the group has committed anything for the topic. */
  readonly hasProgress: boolean
  readonly completeness: Completeness
  readonly held: ReadonlyArray<HeldPartition>
  /** Partitions of the outcomes topic whose first outcomes have been deleted, with the first offset that is left. */
  readonly shortened: ReadonlyArray<Place>
}

/**
 * An outcome is written after its request, but by another clock: Kafka takes no record from more than an hour ahead, and a consumer's clock may be behind by as
 * much.
 */
const CLOCK_MARGIN = Duration.toMillis("2 hours")

/** Longer than a transaction of Kafka's clients may last, and than the broker takes to end it. */
const PATIENCE = Duration.seconds(75)

/**
 * Reads what there is, in the one order in which nothing can be missed: what is committed; then all outcomes that there are by then, so that those of
 * all that is committed are among them; then the requests that there were in the beginning.
 */
export const readAudit = Effect.fn("readAudit")(function*(plan: AuditPlan) {
  const admin = yield* KafkaAdmin
  const { scan } = yield* KafkaScan
  const at = yield* Clock.currentTimeMillis

  const beginnings = yield* admin.beginningOffsets(plan.requestsTopic)
  const starts = plan.since === undefined ? beginnings : yield* admin.offsetsSince(plan.requestsTopic, plan.since)
  const ends = yield* admin.endOffsets(plan.requestsTopic)
  const committed = yield* admin.committedOffsets(plan.groupId, plan.requestsTopic)
  const partitions = new Map([...ends].map(([partition, to]): [number, RequestPartition] => {
    const beginning = beginnings.get(partition) ?? 0
    const head = committed.get(partition)
    return [partition, {
      beginning,
      from: Math.max(beginning, starts.get(partition) ?? 0),
      to,
      head: head?.offset ?? 0,
      done: head === undefined ? [] : decodeMetadata(head)?.done ?? []
    }]
  }))

  const outcomesBegin = yield* admin.beginningOffsets(plan.outcomesTopic)
  const outcomesFrom = plan.since === undefined
    ? outcomesBegin
    : yield* admin.offsetsSince(plan.outcomesTopic, plan.since - CLOCK_MARGIN)
  const audit = new CompletenessAudit({
    topic: plan.requestsTopic,
    source: `/origin-regions/consumer/${encodeURIComponent(plan.groupId)}`,
    delivery: plan.delivery,
    partitions
  }, at)
  const read = (range: Omit<Range, "patience">, look: Parameters<typeof scan>[1]) =>
    Effect.map(
      scan({ ...range, patience: PATIENCE }, look),
      (held) => [...held].map(([partition, offset]): HeldPartition => ({ topic: range.topic, partition, offset }))
    )
  const outcomesHeld = yield* read(
    { topic: plan.outcomesTopic, from: outcomesFrom },
    (partition, record) => audit.outcome(partition, record)
  )
  const requestsHeld = yield* read(
    {
      topic: plan.requestsTopic,
      from: new Map([...partitions].map(([partition, { from }]) => [partition, from])),
      to: ends
    },
    (partition, record) => audit.request(partition, record)
  )
  const findings: AuditFindings = {
    at,
    partitions: partitions.size,
    hasProgress: committed.size > 0,
    completeness: audit.result(),
    held: [...outcomesHeld, ...requestsHeld],
    shortened: [...outcomesBegin].filter(([, offset]) => offset > 0).map(([partition, offset]) => ({
      partition,
      offset
    }))
  }
  return findings
})
