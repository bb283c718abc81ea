import { pushVarint, readVarints, unzigzag, zigzag } from "./Varints.ts"

/**
 * Which requests may have been sent to the API, and since when (in the API's clock, milliseconds since 1970): those in `attempted` since the time that
 * stands there, any other below a range's `through` since its `since`. Ranges ascend; requests beyond the last have not been sent by anybody.
 */
export interface Reservation {
  readonly ranges: ReadonlyArray<ReservedRange>
  readonly attempted: ReadonlyMap<number, number>
}

interface ReservedRange {
  readonly through: number
  readonly since: number
}

export const NOTHING_RESERVED: Reservation = { ranges: [], attempted: new Map() }

/** Ranges left behind by owners that died before they had read again what their predecessors had. */
const MAX_RANGES = 8

/** The earliest time at which a request may have been sent; `undefined` where it has not been. */
export const attemptedSince = ({ attempted, ranges }: Reservation, offset: number): number | undefined =>
  attempted.get(offset) ?? ranges.find(({ through }) => offset < through)?.since

/**
 * What is reserved now, where up to `position` the requests have been read (again): from there on, what an owner before may have sent stays as it was.
 */
export const reserve = (
  range: ReservedRange,
  attempted: Map<number, number>,
  before: Reservation,
  position: number
): Reservation => {
  const left = before.ranges.filter(({ through }) => through > position)
  for (const [offset, since] of before.attempted) if (offset >= position) attempted.set(offset, since)
  const ranges = [range, ...left.slice(0, MAX_RANGES - 1)]
  const last = left.at(-1)
  if (left.length < MAX_RANGES || last === undefined) return { ranges, attempted }
  const since = Math.min(...left.slice(MAX_RANGES - 2).map((each) => each.since))
  return { ranges: [...ranges.slice(0, -1), { through: last.through, since }], attempted }
}

/** Without places of their own, all requests up to the last that may have been sent may have been since the earliest time. */
export const coarser = ({ attempted, ranges }: Reservation): Reservation => {
  let through = 0
  let since = Math.min(...ranges.map((range) => range.since))
  for (const [offset, time] of attempted) {
    through = Math.max(through, offset + 1)
    since = Math.min(since, time)
  }
  return { ranges: [{ through, since }, ...ranges.filter((range) => range.through > through)], attempted: new Map() }
}

/*
 * As varints: the number of ranges, and for each its end, from the offset on or from the range before, and its time; the number of attempted requests, and
 * for each the distance from the one before, and the difference of their times in zigzag.
 */

export const encodeReservation = (head: number, { attempted, ranges }: Reservation): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  pushVarint(bytes, ranges.length)
  let from = head
  for (const { since, through } of ranges) {
    const end = Math.max(from, through)
    pushVarint(bytes, end - from)
    pushVarint(bytes, since)
    from = end
  }
  pushVarint(bytes, attempted.size)
  let offset = head
  let time = ranges[0]?.since ?? 0
  for (const [each, since] of attempted) {
    pushVarint(bytes, each - offset)
    pushVarint(bytes, zigzag(since - time))
    offset = each
    time = since
  }
  return bytes
}

/** What `encodeReservation` has encoded, and the bytes behind it; `undefined` where the bytes are none. */
export const decodeReservation = (
  head: number,
  bytes: Uint8Array
): { readonly reservation: Reservation; readonly rest: Uint8Array } | undefined => {
  const rangePairs = readPairs(bytes)
  const attemptedPairs = rangePairs === undefined ? undefined : readPairs(rangePairs.rest)
  if (rangePairs === undefined || attemptedPairs === undefined) return undefined
  const ranges: Array<ReservedRange> = []
  let from = head
  for (const [length, since] of rangePairs.pairs) {
    from += length
    ranges.push({ through: from, since })
  }
  const attempted = new Map<number, number>()
  let offset = head
  let time = ranges[0]?.since ?? 0
  for (const [distance, difference] of attemptedPairs.pairs) {
    offset += distance
    time += unzigzag(difference)
    attempted.set(offset, time)
  }
  return { reservation: { ranges, attempted }, rest: attemptedPairs.rest }
}

/** A number, and that many pairs of numbers. */
const readPairs = (
  bytes: Uint8Array
): { readonly pairs: ReadonlyArray<readonly [number, number]>; readonly rest: Uint8Array } | undefined => {
  const counted = readVarints(bytes, 1)
  const count = counted?.values[0]
  if (counted === undefined || count === undefined || count > bytes.length) return undefined
  const read = readVarints(counted.rest, count * 2)
  if (read === undefined || read.values.length !== count * 2) return undefined
  const pairs = Array.from(
    { length: count },
    (_, index) => [read.values[index * 2] ?? 0, read.values[index * 2 + 1] ?? 0] as const
  )
  return { pairs, rest: read.rest }
}
