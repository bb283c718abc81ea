import type { Mapping } from "@origin-regions/domain/Mapping"
import { canonicalize, type OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import type { BatchItem } from "../OriginRegionsApi.ts"
import { isRecord } from "./ApiAnswer.ts"
import type { BatchItems } from "./Call.ts"

/** What an answer calls the address: generation 1 and generation 2. */
export type AddressField = "origin-ip" | "origin_ip"

/** The address of an entry, whatever its spelling. */
export const originIpOf = (entry: unknown, field: AddressField): OriginIp | undefined => {
  const address = isRecord(entry) ? entry[field] : undefined
  return typeof address === "string" ? canonicalize(address) : undefined
}

/** The mapping that an entry tells of. `modifiedOn` stands in where the entry has no time of its own. */
export const readEntry = (
  entry: unknown,
  modifiedOn: unknown,
  zoneId: ZoneId,
  originIp: OriginIp
): Mapping | undefined => {
  if (!isRecord(entry)) return undefined
  const { vendor, region, modified_on: own } = entry
  if (typeof vendor !== "string" || vendor === "" || typeof region !== "string" || region === "") return undefined
  const time = typeof own === "string" ? own : modifiedOn
  return {
    zone_id: zoneId,
    origin_ip: originIp,
    vendor,
    region,
    modified_on: typeof time === "string" ? time : null
  }
}

/** All mappings of a list; `undefined` if one of them is none. */
export const readEntries = (
  entries: unknown,
  field: AddressField,
  modifiedOn: unknown,
  zoneId: ZoneId
): ReadonlyArray<Mapping> | undefined => {
  if (!Array.isArray(entries)) return undefined
  const mappings: Array<Mapping> = []
  for (const entry of entries as ReadonlyArray<unknown>) {
    const originIp = originIpOf(entry, field)
    const mapping = originIp === undefined ? undefined : readEntry(entry, modifiedOn, zoneId, originIp)
    if (mapping === undefined) return undefined
    mappings.push(mapping)
  }
  return mappings
}

/** What came of each address of a batch; `undefined` where the answer leaves one out. */
export const readBatch = (
  outcome: unknown,
  field: AddressField,
  zoneId: ZoneId,
  asked: ReadonlyArray<OriginIp>
): BatchItems | undefined => {
  if (!isRecord(outcome) || !Array.isArray(outcome["succeeded"]) || !Array.isArray(outcome["failed"])) return undefined
  const items = new Map<OriginIp, BatchItem>()
  for (const entry of outcome["succeeded"] as ReadonlyArray<unknown>) {
    const originIp = originIpOf(entry, field)
    if (originIp === undefined) return undefined
    items.set(originIp, { _tag: "Applied", mapping: readEntry(entry, null, zoneId, originIp) ?? null })
  }
  for (const entry of outcome["failed"] as ReadonlyArray<unknown>) {
    const originIp = originIpOf(entry, field)
    if (originIp === undefined || !isRecord(entry)) return undefined
    items.set(originIp, { _tag: "Failed", message: typeof entry["error"] === "string" ? entry["error"] : "" })
  }
  return items.size === asked.length && asked.every((address) => items.has(address)) ? items : undefined
}
