import { mappingKey } from "@origin-regions/domain/MappingKey"
import { type MappingOutcome, readOutcome } from "@origin-regions/domain/MappingOutcome"
import type { Operation } from "@origin-regions/domain/Operation"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import type { CommittedOffset } from "@origin-regions/kafka/KafkaAdmin"
import type { ScannedRecord } from "@origin-regions/kafka/KafkaScan"
import { decodeMetadata, type ProgressMetadata } from "@origin-regions/kafka/ProgressMetadata"
import { attemptedSince } from "@origin-regions/kafka/Reservation"
import { Option } from "effect"
import { outcomeReference } from "./OutcomeReference.ts"

/** Which requests are looked for. */
export type Wanted =
  | { readonly _tag: "Address"; readonly zoneId: ZoneId; readonly originIp: OriginIp }
  | { readonly _tag: "Id"; readonly id: string }

/** A request that was found. Times are in milliseconds since 1970. */
export interface FoundRequest {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly id: string | null
  readonly source: string | null
  readonly operation: Operation | null
  /** `zone/address`, as far as they could be read. */
  readonly address: string | undefined
  readonly mapping: { readonly vendor: string; readonly region: string } | undefined
  /** Whether the group says that it is done. */
  readonly isDone: boolean
  /** How many requests of its partition are before it that are not done. */
  readonly before: number
  /** Where it is not done: since when it may have been sent to the API. */
  readonly sentSince: number | undefined
  /** Where it is not done: whose the partition is, as the group's last commit says. */
  readonly owner: string | undefined
  outcome: MappingOutcome | undefined
}

/** What is looked at of a record. Its bytes may change afterwards. */
export type LookedAt = Pick<ScannedRecord, "offset" | "timestamp" | "key" | "value" | "headers">

interface PartitionProgress {
  readonly head: number
  readonly metadata: ProgressMetadata | undefined
  /** Undone requests passed so far. */
  undone: number
  /** Where in the done runs the last record was. */
  run: number
  /** Addresses of which a request has been passed that may have been sent. */
  readonly sent: Set<string>
}

/**
 * Where requests are. It is shown the requests from the group's progress on, or from before, those of a partition in their order; and then the outcomes that
 * there are.
 */
export class Whereabouts {
  readonly #wanted: Wanted
  readonly #topic: string
  readonly #source: string
  readonly #partitions: ReadonlyMap<number, PartitionProgress>
  readonly #found = new Map<string, FoundRequest>()

  /** `committed` is the group's progress by partition; what it has not begun is read from `beginnings` on. */
  constructor(options: {
    readonly wanted: Wanted
    readonly topic: string
    readonly groupId: string
    readonly committed: ReadonlyMap<number, CommittedOffset>
    readonly partitions: Iterable<number>
  }) {
    this.#wanted = options.wanted
    this.#topic = options.topic
    this.#source = `/origin-regions/consumer/${encodeURIComponent(options.groupId)}`
    this.#partitions = new Map(
      [...options.partitions].map((partition) => {
        const committed = options.committed.get(partition)
        const metadata = committed === undefined ? undefined : decodeMetadata(committed)
        return [partition, { head: committed?.offset ?? 0, metadata, undone: 0, run: 0, sent: new Set<string>() }]
      })
    )
  }

  request(partition: number, record: LookedAt): void {
    const progress = this.#partitions.get(partition)
    if (progress === undefined) return
    const isDone = wasDone(progress, record.offset)
    if (!isDone) progress.undone += 1
    const request = readRequest(record)
    const { event, operation, originIp, verdict, zoneId } = request
    const address = zoneId === null ? undefined : originIp === null ? zoneId : mappingKey(zoneId, originIp)
    const sentSince = isDone ? undefined : sentSinceOf(progress, record.offset, address)
    const isWanted = this.#wanted._tag === "Id"
      ? event.id === this.#wanted.id
      : zoneId === this.#wanted.zoneId && originIp === this.#wanted.originIp
    if (!isWanted) return
    const { metadata, undone } = progress
    const change = verdict._tag === "Apply" && verdict.change.operation !== "delete" ? verdict.change : undefined
    this.#found.set(`${partition}/${record.offset}`, {
      partition,
      offset: record.offset,
      timestamp: record.timestamp,
      key: record.key === null ? null : Uint8Array.from(record.key),
      id: event.id,
      source: event.source,
      operation,
      address,
      mapping: change,
      isDone,
      before: isDone ? 0 : undone - 1,
      sentSince,
      owner: isDone ? undefined : metadata?.owner || undefined,
      outcome: undefined
    })
  }

  outcome({ value }: Pick<LookedAt, "value">): void {
    if (value === null) return
    const reference = outcomeReference(value)
    if (reference === undefined || reference.source !== this.#source || reference.request.topic !== this.#topic) return
    const { offset, partition } = reference.request
    const found = this.#found.get(`${partition}/${offset}`)
    if (found !== undefined) found.outcome = Option.getOrUndefined(readOutcome(Uint8Array.from(value)))
  }

  /** What was found, the newest first. */
  get found(): ReadonlyArray<FoundRequest> {
    return [...this.#found.values()].toSorted((one, other) =>
      other.timestamp - one.timestamp || other.partition - one.partition || other.offset - one.offset
    )
  }
}

/** Of an address only the first request that is not done can have been sent: the next one waits until that one's outcome is committed. */
const sentSinceOf = ({ metadata, sent }: PartitionProgress, offset: number, address: string | undefined) => {
  const since = metadata === undefined ? undefined : attemptedSince(metadata.reservation, offset)
  if (since === undefined || address === undefined) return since
  if (sent.has(address)) return undefined
  sent.add(address)
  return since
}

/** Offsets come in their order: so do the runs. */
const wasDone = (progress: PartitionProgress, offset: number): boolean => {
  if (offset < progress.head) return true
  const done = progress.metadata?.done ?? []
  let run = done[progress.run]
  while (run !== undefined && run.end <= offset) run = done[++progress.run]
  return run !== undefined && run.start <= offset
}
