import { addRun, decodeRuns, type DoneRun, encodeRuns } from "./DoneRuns.ts"
import { pushVarint, readVarints, unzigzag, zigzag } from "./internal/Varints.ts"

/**
 * Which requests may have been sent to the API, and since when (in the API's clock, milliseconds since 1970): those in `attempted`, in the order of their
 * offsets, since the time that stands there, all others below `through` since `since`. Requests from `through` on have not been sent by anybody.
 */
export interface Reservation {
  readonly through: number
  readonly since: number
  readonly attempted: ReadonlyMap<number, number>
}

export const NOTHING_RESERVED: Reservation = { through: 0, since: 0, attempted: new Map() }

/** The earliest time at which a request may have been sent; `undefined` where it has not been. */
export const attemptedSince = ({ attempted, since, through }: Reservation, offset: number): number | undefined =>
  attempted.get(offset) ?? (offset < through ? since : undefined)

/** What it says of requests from an offset on. */
export const reservationFrom = (offset: number, { attempted, ...rest }: Reservation): Reservation => ({
  ...rest,
  attempted: new Map([...attempted].filter(([each]) => each >= offset))
})

/** Without times of their own, all attempted requests may have been sent since the earliest time. */
export const coarser = ({ attempted, ...rest }: Reservation): Reservation => {
  let earliest = Number.POSITIVE_INFINITY
  for (const since of attempted.values()) earliest = Math.min(earliest, since)
  return { ...rest, attempted: new Map([...attempted.keys()].map((offset) => [offset, earliest])) }
}

/*
 * As varints: how far beyond the head requests are reserved, and since when; then the number of bytes that follow of this, and the attempted requests
 * in one of two forms. `0`: for each run of them that have the same time, the distance from the end of the run before, its length, and the difference of
 * their times in zigzag. `1`, where all have the same time: the time's difference, and their runs as done ones are encoded.
 */

export const encodeReservation = (head: number, { attempted, since, through }: Reservation): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  pushVarint(bytes, Math.max(0, through - head))
  pushVarint(bytes, since)
  const runs = attemptedRuns(attempted)
  const each = encodeRunsWithTimes(head, since, runs)
  const [first] = runs
  const shared = first !== undefined && runs.every((run) => run.since === first.since)
    ? encodeRunsAt(head, since, first.since, runs)
    : undefined
  const shorter = shared !== undefined && shared.length < each.length ? shared : each
  pushVarint(bytes, shorter.length)
  return [...bytes, ...shorter]
}

interface AttemptedRun extends DoneRun {
  readonly since: number
}

const attemptedRuns = (attempted: ReadonlyMap<number, number>): ReadonlyArray<AttemptedRun> => {
  const runs: Array<AttemptedRun> = []
  for (const [offset, since] of attempted) {
    const last = runs.at(-1)
    if (last?.end === offset && last.since === since) runs[runs.length - 1] = { ...last, end: offset + 1 }
    else runs.push({ start: offset, end: offset + 1, since })
  }
  return runs
}

const encodeRunsWithTimes = (
  head: number,
  since: number,
  runs: ReadonlyArray<AttemptedRun>
): ReadonlyArray<number> => {
  const bytes: Array<number> = [0]
  let at = head
  let time = since
  for (const run of runs) {
    pushVarint(bytes, run.start - at)
    pushVarint(bytes, run.end - run.start)
    pushVarint(bytes, zigzag(run.since - time))
    at = run.end
    time = run.since
  }
  return bytes
}

const encodeRunsAt = (
  head: number,
  since: number,
  time: number,
  runs: ReadonlyArray<AttemptedRun>
): ReadonlyArray<number> => {
  const bytes: Array<number> = [1]
  pushVarint(bytes, zigzag(time - since))
  const joined: Array<DoneRun> = []
  for (const { end, start } of runs) addRun(joined, start, end)
  return [...bytes, ...encodeRuns(head, joined)]
}

/** What `encodeReservation` has encoded, and the bytes behind it; `undefined` where the bytes are none. */
export const decodeReservation = (
  head: number,
  bytes: Uint8Array
): { readonly reservation: Reservation; readonly rest: Uint8Array } | undefined => {
  const read = readVarints(bytes, 3)
  const [ahead, since, length] = read?.values ?? []
  if (read === undefined || ahead === undefined || since === undefined || length === undefined) return undefined
  if (length > read.rest.length) return undefined
  const [form, ...payload] = read.rest.subarray(0, length)
  const runs = form === 0
    ? readRunsWithTimes(head, since, Uint8Array.from(payload))
    : form === 1
    ? readRunsAt(head, since, Uint8Array.from(payload))
    : undefined
  if (runs === undefined) return undefined
  const attempted = new Map<number, number>()
  for (const run of runs) for (let offset = run.start; offset < run.end; offset++) attempted.set(offset, run.since)
  return { reservation: { through: head + ahead, since, attempted }, rest: read.rest.subarray(length) }
}

/** No more than a partition can have undone, whoever wrote it. */
const MAX_ATTEMPTED = 100_000

const readRunsWithTimes = (
  head: number,
  since: number,
  payload: Uint8Array
): ReadonlyArray<AttemptedRun> | undefined => {
  const { values } = readVarints(payload, payload.length) ?? {}
  if (values === undefined || values.length % 3 !== 0) return undefined
  const runs: Array<AttemptedRun> = []
  let at = head
  let time = since
  let count = 0
  for (let index = 0; index < values.length; index += 3) {
    const start = at + (values[index] ?? 0)
    at = start + (values[index + 1] ?? 0)
    time += unzigzag(values[index + 2] ?? 0)
    count += at - start
    runs.push({ start, end: at, since: time })
  }
  return count > MAX_ATTEMPTED ? undefined : runs
}

const readRunsAt = (head: number, since: number, payload: Uint8Array): ReadonlyArray<AttemptedRun> | undefined => {
  const read = readVarints(payload, 1)
  const [difference] = read?.values ?? []
  if (read === undefined || difference === undefined) return undefined
  const time = since + unzigzag(difference)
  const runs = decodeRuns(head, [...read.rest])
  if (runs === undefined || runs.reduce((count, { end, start }) => count + end - start, 0) > MAX_ATTEMPTED) {
    return undefined
  }
  return runs.map((run) => ({ ...run, since: time }))
}
