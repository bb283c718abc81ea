import type { OriginIp } from "@origin-regions/domain/OriginIp"
import { type Change, readRequest } from "@origin-regions/domain/RequestReader"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import type { RequestRow } from "./RequestRows.ts"
import { checkRequest, requestTextRecord } from "./RequestText.ts"

/** A mapping that a zone should have. */
export type DesiredMapping = Extract<Change, { readonly region: unknown }>

/**
 * What a zone should have, gathered from the rows of a file. Rows that name no zone are of this one; those of others count only as such. What can't be
 * meant is a problem: a row that is no mapping, a delete, and two rows that want one address to be in two clouds.
 */
export class DesiredZone {
  readonly #zone: ZoneId
  readonly #places = new Map<OriginIp, string>()
  readonly mappings = new Map<OriginIp, DesiredMapping>()
  readonly problems: Array<string> = []
  /** Rows of other zones. */
  others = 0

  constructor(zone: ZoneId) {
    this.#zone = zone
  }

  add(row: RequestRow): void {
    const text = inZone(row.text, this.#zone)
    const { verdict, zoneId } = readRequest(requestTextRecord(text))
    if (zoneId !== null && zoneId !== this.#zone) {
      this.others += 1
      return
    }
    if (verdict._tag !== "Apply") {
      const said = checkRequest(text).map(({ message }) => message)
      this.problems.push(...(said.length > 0 ? said : row.problems()).map((problem) => `${row.place}: ${problem}`))
      return
    }
    const { change } = verdict
    if (change.operation === "delete") {
      this.problems.push(`${row.place}: a delete: leave out what should not be there, and use --prune`)
      return
    }
    const before = this.mappings.get(change.originIp)
    if (before !== undefined && (before.vendor !== change.vendor || before.region !== change.region)) {
      this.problems.push(
        `${row.place}: ${change.originIp} is ${before.vendor} ${before.region} at ${this.#places.get(change.originIp)}`
      )
      return
    }
    this.mappings.set(change.originIp, change)
    this.#places.set(change.originIp, row.place)
  }
}

/** The text of a row's event with the zone, where it names none. */
const inZone = (text: string, zone: ZoneId): string => {
  try {
    const event: unknown = JSON.parse(text)
    if (typeof event !== "object" || event === null || !("data" in event)) return text
    const { data } = event
    if (typeof data !== "object" || data === null || "zone_id" in data) return text
    return JSON.stringify({ ...event, data: { ...data, zone_id: zone } })
  } catch {
    return text
  }
}
