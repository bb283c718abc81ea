import { outcomeCodeOf } from "@origin-regions/domain/MappingOutcome"
import type { ReadRequest } from "@origin-regions/domain/RequestReader"
import type { Pause } from "./Circuit.ts"
import type { Circuits } from "./Circuits.ts"
import type { SettledTask } from "./Delivery.ts"
import type { Lanes } from "./Lanes.ts"
import { groupOf, laneOf, type OwnedPartition, type Task } from "./Task.ts"

/**
 * Where a request is that has no outcome yet:
 *
 * - `in_call`: an attempt at it is under way;
 * - `queued`: it waits for its turn, or for quota;
 * - `waiting`: it waits for something to get better;
 * - `unpublished`: it is decided, and its outcome waits to be published.
 */
export type RequestState =
  | { readonly _tag: "in_call" }
  | { readonly _tag: "queued" }
  | {
    readonly _tag: "waiting"
    readonly pause: Pause
    /** What it waits for: itself, the request ahead of it at its address, its zone, or the API. */
    readonly of: "request" | "ahead" | "zone" | "api"
  }
  | { readonly _tag: "unpublished"; readonly code: string }

/** A request in hand. */
export interface FoundRequest {
  readonly task: Task
  readonly state: RequestState
  /** How many requests of its address go before it. */
  readonly ahead: number
}

export interface SearchedState {
  readonly lanes: Lanes<Task>
  readonly circuits: Circuits
  readonly owned: Iterable<OwnedPartition>
  readonly unpublished: ReadonlyArray<SettledTask>
  /** When the steady milliseconds of pauses began, in milliseconds since 1970. */
  readonly epoch: number
}

/** Goes through all that is in hand. */
export const findRequests = (
  { circuits, epoch, lanes, owned, unpublished }: SearchedState,
  fits: (request: ReadRequest) => boolean
): ReadonlyArray<FoundRequest> => {
  const found: Array<FoundRequest> = []
  const codes = new Map(unpublished.map(({ settlement, task }) => [task, outcomeCodeOf(settlement)]))
  const dated = (pause: Pause): Pause => ({ ...pause, since: epoch + pause.since, until: epoch + pause.until })
  const stateOf = (task: Task, head: Task, isHeadTaken: boolean): RequestState => {
    if (circuits.apiPause !== undefined) return { _tag: "waiting", pause: dated(circuits.apiPause), of: "api" }
    const zone = circuits.pauseOf(groupOf(task))
    if (zone !== undefined) return { _tag: "waiting", pause: dated(zone), of: "zone" }
    if (head.wait === undefined || isHeadTaken) return { _tag: "queued" }
    return { _tag: "waiting", pause: dated(head.wait), of: head === task ? "request" : "ahead" }
  }
  const unreserved = [...owned].flatMap((owner) => owner.unreserved)
  /** The lanes that something waits to be let into, with what is in them. */
  const behind = new Map(
    unreserved.filter(({ request }) => fits(request)).map((task) => [
      laneOf(task),
      { length: 0, head: task, isHeadTaken: false }
    ])
  )
  for (const { ahead, head, isHeadTaken, task } of lanes.all()) {
    const lane = behind.get(laneOf(task))
    if (lane !== undefined) behind.set(laneOf(task), { length: ahead + 1, head, isHeadTaken })
    if (!fits(task.request)) continue
    const code = codes.get(task)
    if (code !== undefined) found.push({ task, ahead, state: { _tag: "unpublished", code } })
    else if (isHeadTaken && head === task) found.push({ task, ahead, state: { _tag: "in_call" } })
    else found.push({ task, ahead, state: stateOf(task, head, isHeadTaken) })
  }
  for (const task of unreserved) {
    const lane = behind.get(laneOf(task))
    if (lane === undefined) continue
    if (fits(task.request)) {
      found.push({ task, ahead: lane.length, state: stateOf(task, lane.head, lane.isHeadTaken) })
    }
    lane.length += 1
  }
  return found.toSorted(({ task: { record: one } }, { task: { record: other } }) =>
    one.partition - other.partition || one.offset - other.offset
  )
}
