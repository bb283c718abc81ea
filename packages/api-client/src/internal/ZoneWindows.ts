import type { Mapping } from "@origin-regions/domain/Mapping"
import type { OriginIp } from "@origin-regions/domain/OriginIp"

/** The longest page that the API gives. */
export const PAGE_SIZE = 100

/** Which part of a zone's list is asked for. */
export interface Page {
  readonly page: number
  readonly perPage: number
}

/** A page of a zone's list as the API had it at one moment, and how many mappings the zone had then. */
export interface ZoneWindow extends Page {
  readonly total: number
  readonly mappings: ReadonlyArray<Mapping>
}

/** The list is in the order of the addresses as text. Another API's order may be none of theirs: then a page tells only what is in it. */
const isInOrder = ({ mappings }: ZoneWindow): boolean =>
  mappings.every(({ origin_ip }, index) => {
    const before = mappings[index - 1]
    return before === undefined || before.origin_ip < origin_ip
  })

const reachesEnd = ({ mappings, page, perPage, total }: ZoneWindow): boolean =>
  (page - 1) * perPage + mappings.length >= total

/** From which address on and up to which one a window has all; `undefined` where there is no end. */
interface Range {
  readonly from: OriginIp | undefined
  readonly to: OriginIp | undefined
}

const rangeOf = (window: ZoneWindow): ReadonlyArray<Range> => {
  const { mappings, page } = window
  const [first, last] = [mappings[0], mappings.at(-1)]
  if (first === undefined || last === undefined) return []
  return [{
    from: page === 1 ? undefined : first.origin_ip,
    to: reachesEnd(window) ? undefined : last.origin_ip
  }]
}

/**
 * What windows tell of an address: its mapping, `null` where there was none when one of them was read, or `undefined` where they don't tell.
 *
 * A window has all that there was at its moment between its first address and its last, and what lies between two windows is not known. So nothing is missed, whatever others
 * add and delete from one window to the next, and whichever is read first.
 */
export const pictureOf = (windows: ReadonlyArray<ZoneWindow>): (address: OriginIp) => Mapping | null | undefined => {
  const found = new Map(windows.flatMap(({ mappings }) => mappings.map((mapping) => [mapping.origin_ip, mapping])))
  const isWhole = windows.some((window) => window.page === 1 && reachesEnd(window))
  const ranges = windows.every(isInOrder) ? windows.flatMap(rangeOf) : []
  const isCovered = (address: OriginIp) =>
    isWhole ||
    ranges.some(({ from, to }) => (from === undefined || from <= address) && (to === undefined || address <= to))
  return (address) => found.get(address) ?? (isCovered(address) ? null : undefined)
}

/**
 * The pages to read after the first one of `PAGE_SIZE`, each of which has the last address of the one before it if nothing changes meanwhile; `undefined` where it
 * takes more than `most`, or where that page shows that they would tell nothing.
 */
export const pagesAfter = (first: ZoneWindow, most: number): ReadonlyArray<Page> | undefined => {
  if (!isInOrder(first) || first.mappings.length < PAGE_SIZE) return undefined
  const pages: Array<Page> = []
  let last = PAGE_SIZE - 1
  while (last < first.total - 1) {
    if (pages.length >= most) return undefined
    const page = longestPageWith(last)
    pages.push(page)
    last = page.page * page.perPage - 1
  }
  return pages
}

/** The page that has the entry of this index, and reaches farthest. */
const longestPageWith = (index: number): Page => {
  let best = { page: 0, perPage: 0 }
  for (let perPage = PAGE_SIZE; perPage > 1; perPage--) {
    const page = Math.floor(index / perPage) + 1
    if (page * perPage > best.page * best.perPage) best = { page, perPage }
  }
  return best
}
