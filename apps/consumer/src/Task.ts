import { mappingKey } from "@origin-regions/domain/MappingKey"
import type { Operation } from "@origin-regions/domain/Operation"
import type { ReadRequest } from "@origin-regions/domain/RequestReader"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import type { Span } from "@origin-regions/telemetry/Span"
import type { Pause } from "./Circuit.ts"
import type { PartitionProgress, Undone } from "./Progress.ts"
import { identityOf, type RememberedRequest, type RequestMemory } from "./RequestMemory.ts"

/** A partition that this process owns. `lost` from the moment it does not any more: nothing of it may be published or committed then. */
export interface OwnedPartition {
  readonly partition: number
  readonly progress: PartitionProgress
  /** What has been settled of it lately. */
  readonly memory: RequestMemory
  /** Whether the records before the committed offset have been read again, for the memory's sake. */
  lookedBack: "not yet" | "under way" | "done"
  /** Received, in their order, and not yet reserved: they must not be sent before a commit says that they may have been. */
  readonly unreserved: Array<Task>
  /** Bytes of its records that are being kept. */
  keptBytes: number
  /** Whether its progress should be committed even if nothing else happens. */
  isDue: boolean
  paused: boolean
  lost: boolean
}

/** A request record on its way from being read to being settled: the one place where its state is kept. */
export interface Task {
  readonly owner: OwnedPartition
  readonly record: SourceRecord
  readonly request: ReadRequest
  readonly undone: Undone
  /** What makes it the same as another one; `undefined` where nothing is to be done for it at the API. */
  readonly identity: string | undefined
  /** Where it is recorded: from its receipt until it is settled. */
  readonly span: Span | undefined
  /** Calls made so far that may have changed something. */
  attempts: number
  /** Calls made so far that failed in a way that another one may mend; for the back-off. */
  failures: number
  /** When it was first tried, in steady milliseconds. */
  firstTriedAt: number | undefined
  /** Why its lane waits for another attempt at it, while it does. */
  wait: Pause | undefined
  /** Whether it was refused in a batch: the API tells why only where it goes alone. */
  goesAlone: boolean
  /** Whether an earlier attempt, here or by an owner before us, may have been applied without our knowing. */
  inDoubt: boolean
}

/** A partition that has just been given to this process. What was settled of it before is looked for only behind a commit of ours. */
export const newOwner = (partition: number, progress: PartitionProgress, memory: RequestMemory): OwnedPartition => ({
  partition,
  progress,
  memory,
  lookedBack: progress.intact && progress.committed.metadata !== "" ? "not yet" : "done",
  unreserved: [],
  keptBytes: 0,
  isDue: true,
  paused: false,
  lost: false
})

/** A request that has just been received. */
export const newTask = (
  { owner, record, request, span, undone }: Pick<Task, "owner" | "record" | "request" | "span" | "undone">
): Task => ({
  owner,
  record,
  request,
  undone,
  identity: identityOf(request),
  span,
  attempts: 0,
  failures: 0,
  firstTriedAt: undefined,
  wait: undefined,
  goesAlone: false,
  inDoubt: undone.attemptedSince !== undefined
})

/** The lane that a request waits in: its address, or a lane of its own where that could not be read. */
export const laneOf = ({ record, request: { originIp, zoneId } }: Pick<Task, "record" | "request">): string =>
  zoneId !== null && originIp !== null ? mappingKey(zoneId, originIp) : `${record.partition}@${record.offset}`

/** The group of requests without an address: no call is made for them, and nothing holds them up. */
export const LOCAL = ""

/** The group of lanes that a request's lane belongs to: its zone. */
export const groupOf = ({ request: { originIp, zoneId } }: Task): string =>
  zoneId !== null && originIp !== null ? zoneId : LOCAL

/** The same request, where it has come before and is settled. Of a commit that says that this one may have been sent, too: who had it before knew it as well. */
export const sameBefore = ({ identity, owner, record }: Task): RememberedRequest | undefined =>
  identity === undefined ? undefined : owner.memory.before(identity, record.offset)

/** What a request asks for that can be asked for in a batch; `undefined` where it goes alone. */
export const batchedOperation = (task: Task, batchesCreates: boolean): Operation | undefined => {
  const { goesAlone, request: { verdict } } = task
  if (goesAlone || verdict._tag !== "Apply" || sameBefore(task) !== undefined) return undefined
  const { operation } = verdict.change
  return operation === "create" && !batchesCreates ? undefined : operation
}

export const sizeOf = ({ headers, key, value }: SourceRecord): number =>
  headers.reduce((size, header) => size + (header.value?.length ?? 0), 0) + (key?.length ?? 0) + (value?.length ?? 0)
