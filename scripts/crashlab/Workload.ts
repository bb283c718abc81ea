import { type MappingRequest, requestRecord } from "@origin-regions/domain/MappingRequest"
import { type Operation, requestTypes } from "@origin-regions/domain/Operation"
import { Region } from "@origin-regions/domain/Region"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Random } from "effect"

const places = [["aws", "us-east-1"], ["aws", "eu-west-1"], ["gcp", "us-central1"], ["azure", "westeurope"], [
  "gcp",
  "moon-east1"
]] as const
const operations: ReadonlyArray<Operation> = ["create", "create", "create", "upsert", "delete", "delete"]

const ADDRESSES = 60
const ZONES = 4

/** An address in one of several spellings, so that order must not depend on how it is written. */
const spell = (index: number, spelling: number): string => {
  const last = (index + 1).toString(16)
  return [`2001:db8::${last}`, `2001:DB8:0:0:0:0:0:${last}`, `2001:db8:0::${last.padStart(4, "0")}`][spelling] ??
    `2001:db8::${last}`
}

/** The zones of a round's requests. */
export const zonesOf = (round: string): ReadonlyArray<ZoneId> =>
  Array.from({ length: ZONES }, (_, zone) => ZoneId.make(`${round}-${zone}`))

/** A round's requests: random operations on few addresses, so that many meet at the same one. The random numbers decide, and so the seed. */
export const makeRequests = Effect.fnUntraced(function*(round: string, count: number) {
  const records: Array<OutgoingRecord> = []
  for (let index = 0; index < count; index++) {
    const operation = operations[yield* Random.nextIntBetween(0, operations.length, { halfOpen: true })] ?? "create"
    const address = yield* Random.nextIntBetween(0, ADDRESSES, { halfOpen: true })
    const spelling = yield* Random.nextIntBetween(0, 3, { halfOpen: true })
    const [vendor, region] = places[yield* Random.nextIntBetween(0, places.length, { halfOpen: true })] ?? places[0]
    const place = { zone_id: ZoneId.make(`${round}-${address % ZONES}`), ip: spell(address, spelling) }
    const envelope = { specversion: "1.0", id: `${round}-${index}`, source: "/crashlab" } as const
    const request: MappingRequest = operation === "delete"
      ? { ...envelope, type: requestTypes.delete, data: place }
      : {
        ...envelope,
        type: requestTypes[operation],
        data: { ...place, vendor: Vendor.make(vendor), region: Region.make(region) }
      }
    records.push(requestRecord(request))
  }
  return records
})
