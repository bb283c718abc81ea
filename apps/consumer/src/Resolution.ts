import type { Mapping } from "@origin-regions/domain/Mapping"
import type { Settlement } from "@origin-regions/domain/MappingOutcome"
import type { Change } from "@origin-regions/domain/RequestReader"
import { parseTimestamp } from "@origin-regions/domain/Timestamp"

/** What is at the address now: a mapping, or `null`. */
export type Found = Mapping | null

const WHOLE_SECOND = /^[^.]*$/

/**
 * Whether a mapping can be the work of an attempt made at `since` or later, both in the API's clock. A time in whole seconds stands for all of its second. Without
 * a time only what the mapping says can tell.
 */
const canBeOurs = (change: Change, mapping: Mapping, since: number): boolean => {
  const modified = mapping.modified_on === null ? undefined : parseTimestamp(mapping.modified_on)
  if (modified === undefined) return isAsAsked(change, mapping)
  return modified + (WHOLE_SECOND.test(mapping.modified_on ?? "") ? 999 : 0) >= since
}

/** Whether the mapping is the one that was asked for. */
export const isAsAsked = (change: Change, mapping: Mapping): boolean =>
  change.operation !== "delete" && mapping.vendor === change.vendor && mapping.region === change.region

/**
 * What the address shows of a request that may have been applied, by an attempt at `since` or later whose answer never arrived: its outcome, or `undefined`
 * where it has not been applied.
 *
 * Who made a mapping the API doesn't say, only when it was last changed. So if somebody else changes the address between such an attempt and its
 * resolution, their work counts as ours.
 */
export const resolve = (change: Change, found: Found, since: number): Settlement | undefined => {
  switch (change.operation) {
    case "create":
      return found !== null && canBeOurs(change, found, since) ? recovered("created", found) : undefined
    case "upsert":
      return found !== null && isAsAsked(change, found) && canBeOurs(change, found, since)
        ? recovered("upserted", found)
        : undefined
    case "delete":
      return found === null ? recovered("deleted", null) : undefined
  }
}

const recovered = (result: "created" | "upserted" | "deleted", mapping: Found): Settlement => ({
  _tag: "Succeeded",
  result,
  mapping,
  recovered: true
})
