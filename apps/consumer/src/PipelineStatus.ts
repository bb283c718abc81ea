import type { QuotaStatus } from "@origin-regions/api-client/ApiQuota"
import type { Pause } from "./Circuit.ts"
import type { Circuits } from "./Circuits.ts"
import type { Lanes } from "./Lanes.ts"
import { groupOf, type OwnedPartition, type Task } from "./Task.ts"

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
  /** Requests whose outcomes wait to be published. */
  readonly unpublished: number
  /** Why nothing at all is sent to the API. */
  readonly apiPause: Pause | undefined
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

export interface PipelineState {
  readonly working: boolean
  readonly calls: number
  readonly inFlight: number
  readonly unpublished: number
  readonly lanes: Lanes<Task>
  readonly circuits: Circuits
  readonly owned: Iterable<OwnedPartition>
  readonly quota: QuotaStatus | undefined
  /** The time, in milliseconds since 1970. */
  readonly time: number
  /** When the steady milliseconds of its pauses began, in milliseconds since 1970. */
  readonly epoch: number
}

/** Goes through everything that is queued. */
export const pipelineStatus = (state: PipelineState): PipelineStatus => {
  const { calls, circuits, epoch, inFlight, lanes, unpublished, working } = state
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
  const add = (task: Task, own: Pause | undefined) => {
    const zone = zones.get(groupOf(task))
    if (zone !== undefined) zone.waiting += 1
    const wait = apiPause ?? zone ?? own
    if (wait === undefined) {
      queued += 1
      return
    }
    waiting += 1
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
    unpublished,
    apiPause: apiPause === undefined ? undefined : dated(apiPause),
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
