import { type MappingRequest, requestRecord } from "@origin-regions/domain/MappingRequest"
import { type Operation, requestTypes } from "@origin-regions/domain/Operation"
import { Region } from "@origin-regions/domain/Region"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import type { Choices } from "@origin-regions/testkit/SeededChoices"

const places = [["aws", "us-east-1"], ["aws", "eu-west-1"], ["gcp", "us-central1"], ["azure", "westeurope"], [
  "gcp",
  "moon-east1"
]] as const
const operations: ReadonlyArray<Operation> = ["create", "create", "create", "upsert", "upsert", "delete", "delete"]

const ADDRESSES = 60
const ZONES = 4
/** How many of all requests can't be read. */
const UNREADABLE = 0.02
/** How many are one of the last again: of an emitter that has not heard whether it was taken. */
const REPEATED = 0.1
const LAST = 200

/** An address in one of several spellings, so that order must not depend on how it is written. */
const spell = (index: number, spelling: number): string => {
  const last = (index + 1).toString(16)
  return [`2001:db8::${last}`, `2001:DB8:0:0:0:0:0:${last}`, `2001:db8:0::${last.padStart(4, "0")}`][spelling] ??
    `2001:db8::${last}`
}

/** The zones of a round's requests. */
export const zonesOf = (round: string): ReadonlyArray<ZoneId> =>
  Array.from({ length: ZONES }, (_, zone) => ZoneId.make(`${round}-${zone}`))

const encoder = new TextEncoder()

/**
 * A round's next request, after these: a random operation on one of few addresses, so that many meet at the same one; now and then none that can be read, or one
 * that was there before.
 */
export const nextRequest = (
  round: string,
  before: ReadonlyArray<OutgoingRecord>,
  choices: Choices
): OutgoingRecord => {
  const repeated = choices.chance(REPEATED) ? choices.pick(before.slice(-LAST)) : undefined
  if (repeated !== undefined) return repeated
  const number = before.length
  const operation = choices.pick(operations) ?? "create"
  const address = choices.below(ADDRESSES)
  const ip = spell(address, choices.below(3))
  const [vendor, region] = choices.pick(places) ?? places[0]
  const zone_id = ZoneId.make(`${round}-${address % ZONES}`)
  const envelope = { specversion: "1.0", id: `${round}-${number}`, source: "/crashlab" } as const
  const request: MappingRequest = operation === "delete"
    ? { ...envelope, type: requestTypes.delete, data: { zone_id, ip } }
    : {
      ...envelope,
      type: requestTypes[operation],
      data: { zone_id, ip, vendor: Vendor.make(vendor), region: Region.make(region) }
    }
  const record = requestRecord(request)
  return choices.chance(UNREADABLE) ? { ...record, value: encoder.encode(`unreadable ${round}-${number}`) } : record
}
