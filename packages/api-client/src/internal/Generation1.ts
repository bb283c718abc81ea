import type { Mapping } from "@origin-regions/domain/Mapping"
import { canonicalize, type OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { isRecord, parseJson } from "./ApiAnswer.ts"

/**
 * The wire of generation 1: requests name the address `ip`, answers name it `origin-ip` and wrap what they hold as a zone setting,
 * `{id, editable, modified_on, value}`.
 *
 * No segment needs percent-encoding: zone ids and canonical addresses consist of `A-Z a-z 0-9 _ - : .`, and a colon is allowed in a path.
 */
export const collectionPath = (basePath: string, zoneId: ZoneId): string =>
  `${basePath}/zones/${zoneId}/cache/origin_cloud_regions`

/** One mapping from a wrapped `value`. The address is the one asked for: the API may spell it in its own way. */
export const readMapping = (zoneId: ZoneId, originIp: OriginIp) => (result: unknown): Mapping | undefined =>
  isRecord(result) && isRecord(result["value"])
    ? mapping(result["value"], result["modified_on"], zoneId, originIp)
    : undefined

/** All mappings of a wrapped list; `undefined` if one of them is none. */
export const readMappings = (zoneId: ZoneId) => (result: unknown): ReadonlyArray<Mapping> | undefined => {
  if (!isRecord(result) || !Array.isArray(result["value"])) return undefined
  const entries: ReadonlyArray<unknown> = result["value"]
  const mappings: Array<Mapping> = []
  for (const entry of entries) {
    const originIp = originIpOf(entry)
    const read = originIp === undefined ? undefined : mapping(entry, result["modified_on"], zoneId, originIp)
    if (read === undefined) return undefined
    mappings.push(read)
  }
  return mappings
}

/** The mapping of one address from a wrapped list. */
export const pickMapping = (zoneId: ZoneId, originIp: OriginIp) => (result: unknown): Mapping | undefined => {
  if (!isRecord(result) || !Array.isArray(result["value"])) return undefined
  const entries: ReadonlyArray<unknown> = result["value"]
  const entry = entries.find((entry) => originIpOf(entry) === originIp)
  return mapping(entry, result["modified_on"], zoneId, originIp)
}

/**
 * A PATCH answers with the zone's complete list, up to half a mebibyte of which one entry matters. This is the answer with the
 * others cut out before parsing, or `undefined` where it isn't laid out as expected.
 *
 * Entries are flat, so that brackets and braces delimit them. Where one stood inside a text, the entry or the rest is no JSON.
 */
export const parseOnlyEntryOf = (body: Buffer, originIp: OriginIp): unknown => {
  const list = body.indexOf(listStart) + listStart.length
  if (list < listStart.length) return undefined
  const listEnd = body.indexOf("]", list)
  const address = body.indexOf(`"origin-ip":"${originIp}"`, list)
  if (address === -1 || listEnd < address) return undefined
  const entry = parseJson(body.toString("utf8", body.lastIndexOf("{", address), body.indexOf("}", address) + 1))
  const envelope = parseJson(body.toString("utf8", 0, list) + body.toString("utf8", listEnd))
  if (!isRecord(entry) || !isRecord(envelope) || !isRecord(envelope["result"])) return undefined
  const { value } = envelope["result"]
  if (!Array.isArray(value) || value.length > 0) return undefined
  value.push(entry)
  return envelope
}

const listStart = "\"value\":["

const originIpOf = (entry: unknown): OriginIp | undefined =>
  isRecord(entry) && typeof entry["origin-ip"] === "string" ? canonicalize(entry["origin-ip"]) : undefined

const mapping = (
  entry: unknown,
  settingModifiedOn: unknown,
  zoneId: ZoneId,
  originIp: OriginIp
): Mapping | undefined => {
  if (!isRecord(entry)) return undefined
  const { vendor, region, modified_on: own } = entry
  if (typeof vendor !== "string" || vendor === "" || typeof region !== "string" || region === "") return undefined
  const modifiedOn = typeof own === "string" ? own : settingModifiedOn
  return {
    zone_id: zoneId,
    origin_ip: originIp,
    vendor,
    region,
    modified_on: typeof modifiedOn === "string" ? modifiedOn : null
  }
}
