import type { QuotaStatus } from "@origin-regions/api-client/ApiQuota"
import type { Pause } from "./Circuit.ts"
import type { Circuits } from "./Circuits.ts"
import type { Lanes } from "./Lanes.ts"
import { groupOf, LOCAL, type OwnedPartition, sameBefore, type Task } from "./Task.ts"

/**
 * What a request waits for:
 *
 * - `request`: another attempt at it, as the last one failed;
 * - `doubt`: the same, where an attempt may have been applied;
 * - `address`: its address has just been changed by a batch;
 * - `zone`: calls to its zone fail;
 * - `api`: the API can't be reached;
 * - `credential`: the API refuses the credential;
 * - `quota`: no call may be made now;
 * - `kafka`: it has come before, and what became of it then is being looked up.
 */
export const waitReasons = ["request", "doubt", "address", "zone", "api", "credential", "quota", "kafka"] as const

export type WaitReason = typeof waitReasons[number]

/** What the pipeline is doing right now. */
export interface PipelineStatus {
  /** Whether it starts what comes in: not before partitions are assigned, in a rebalance, or in a stop. */
  readonly working: boolean
  /** Calls to the API under way. */
  readonly calls: number
  /** Requests that are in these calls. */
  readonly inFlight: number
  /** Requests that wait for their turn. */
  readonly queued: number
  /** Requests that wait for something to get better. */
  readonly waiting: number
  /** The same, by what for; and those of `queued` that wait for quota. */
  readonly waits: Readonly<Record<WaitReason, number>>
  /** Requests whose outcomes wait to be published. */
  readonly unpublished: number
  /** Why outcomes can't be published, where they can't. */
  readonly publishingProblem: string | undefined
  /** Why nothing at all is sent to the API. */
  readonly apiPause: Pause | undefined
  readonly apiPauseReason: "api" | "credential" | "quota" | undefined
  /** The quota of calls to the API, where one is known. */
  readonly quota: QuotaPause | undefined
  /** The zones that nothing is sent to, with how many requests wait for that. */
  readonly zones: ReadonlyMap<string, Pause & { readonly waiting: number }>
  readonly partitions: ReadonlyArray<PartitionStatus>
}

export interface QuotaPause extends Omit<QuotaStatus, "waitMillis"> {
  /** When the next call may be made, in milliseconds since 1970, where none may now. */
  readonly nextCallAt: number | undefined
}

export interface PartitionStatus {
  readonly partition: number
  /** The first offset without an outcome. */
  readonly head: number
  /** The next offset to be read. */
  readonly position: number
  readonly undone: number
  /** Whether no more is read, as enough is here that has no outcome. */
  readonly paused: boolean
  readonly waiting: number
  /** What the one waits for that has waited longest. */
  readonly wait: Pause | undefined
}

/** Records of a partition that have no outcome yet, those not read included; `end` is the offset after its last record, as Kafka told it a while ago: more may have been read since. */
export const lagOf = ({ position, undone }: PartitionStatus, end: number): number =>
  undone + Math.max(0, end - position)

export interface PipelineState {
  readonly working: boolean
  readonly calls: number
  readonly inFlight: number
  readonly unpublished: number
  readonly publishingProblem: string | undefined
  readonly lanes: Lanes<Task>
  readonly circuits: Circuits
  readonly owned: Iterable<OwnedPartition>
  readonly quota: QuotaStatus | undefined
  /** The time, in milliseconds since 1970. */
  readonly time: number
  /** When the steady milliseconds of its pauses began, in milliseconds since 1970. */
  readonly epoch: number
}

/** By what the API's failures are that hold up everything. */
const pauseReasons = {
  credential: "credential",
  wait: "quota",
  retry: "api",
  reject: "api",
  absent: "api"
} as const satisfies Record<Circuits["apiFailure"], WaitReason>

/** What a request of its own waits for. */
const waitReasonOf = (task: Task, { failures }: Pause): WaitReason =>
  sameBefore(task) !== undefined ? "kafka" : task.inDoubt ? "doubt" : failures === 0 ? "address" : "request"

/** Goes through everything that is queued. */
export const pipelineStatus = (state: PipelineState): PipelineStatus => {
  const { calls, circuits, epoch, inFlight, lanes, publishingProblem, unpublished, working } = state
  const dated = <P extends Pause>(pause: P): P => ({
    ...pause,
    since: epoch + pause.since,
    until: epoch + pause.until
  })
  const { apiPause, zonePauses } = circuits
  const zones = new Map([...zonePauses].map(([zoneId, pause]) => [zoneId, { ...pause, waiting: 0 }]))
  const partitions = new Map(
    [...state.owned].map((owner) => [owner, { waiting: 0, wait: undefined as Pause | undefined }])
  )
  let queued = 0
  let waiting = 0
  const waits = { request: 0, doubt: 0, address: 0, zone: 0, api: 0, credential: 0, quota: 0, kafka: 0 }
  const lacksQuota = (state.quota?.waitMillis ?? 0) > 0
  const add = (task: Task, own: Pause | undefined) => {
    const zone = zones.get(groupOf(task))
    if (zone !== undefined) zone.waiting += 1
    const wait = apiPause ?? zone ?? own
    if (wait === undefined) {
      queued += 1
      if (lacksQuota && groupOf(task) !== LOCAL) waits.quota += 1
      return
    }
    waiting += 1
    if (apiPause !== undefined) waits[pauseReasons[circuits.apiFailure]] += 1
    else if (zone !== undefined) waits.zone += 1
    else waits[waitReasonOf(task, wait)] += 1
    const partition = partitions.get(task.owner)
    if (partition === undefined) return
    partition.waiting += 1
    if (partition.wait === undefined || wait.since < partition.wait.since) partition.wait = wait
  }
  for (const { head, task } of lanes.queued()) add(task, head.wait)
  for (const { unreserved } of state.owned) for (const task of unreserved) add(task, undefined)
  return {
    working,
    calls,
    inFlight,
    queued,
    waiting,
    waits,
    unpublished,
    publishingProblem,
    apiPause: apiPause === undefined ? undefined : dated(apiPause),
    apiPauseReason: apiPause === undefined ? undefined : pauseReasons[circuits.apiFailure],
    quota: state.quota === undefined ? undefined : quotaPause(state.quota, state.time),
    zones: new Map([...zones].map(([zoneId, zone]) => [zoneId, dated(zone)])),
    partitions: [...partitions].map(([{ partition, paused, progress }, { wait, waiting }]) => ({
      partition,
      head: progress.head,
      position: progress.position,
      undone: progress.undone,
      paused,
      waiting,
      wait: wait === undefined ? undefined : dated(wait)
    }))
  }
}

const quotaPause = ({ waitMillis, ...quota }: QuotaStatus, time: number): QuotaPause => ({
  ...quota,
  nextCallAt: waitMillis > 0 && Number.isFinite(waitMillis) ? time + waitMillis : undefined
})
