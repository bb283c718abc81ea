import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect } from "effect"
import type { CreateItem, DesiredMapping, MappingAddress } from "../OriginRegionsApi.ts"
import { readSupportedRegions } from "../SupportedRegions.ts"
import { isRecord, parseBody, parseJson } from "./ApiAnswer.ts"
import type { Caller, Operations } from "./Call.ts"
import { originIpOf, readBatch, readEntries, readEntry } from "./MappingEntry.ts"

/**
 * Generation 1 on the wire: requests name the address `ip`, answers name it `origin-ip` and wrap what they hold as a zone setting,
 * `{id, editable, modified_on, value}`.
 *
 * No segment needs percent-encoding: zone ids and canonical addresses consist of `A-Z a-z 0-9 _ - : .`, and a colon is allowed in a path.
 */
export const makeGeneration1 = ({ call }: Caller, basePath: string): Operations => {
  const zone = (zoneId: ZoneId) => `${basePath}/zones/${zoneId}/cache/origin_cloud_regions`
  const pathOf = ({ origin_ip, zone_id }: MappingAddress) => `${zone(zone_id)}/${origin_ip}`
  const list: Operations["list"] = (zoneId) =>
    call({
      method: "GET",
      path: zone(zoneId),
      promised: "a list of mappings",
      readResult: (result) =>
        readWrapped(result, (value, modifiedOn) => readEntries(value, "origin-ip", modifiedOn, zoneId))
    })
  return {
    create: (mapping) =>
      call({ method: "POST", path: zone(mapping.zone_id), body: bodyOf(mapping), ...oneOf(mapping) }),
    upsert: (mapping) =>
      call({
        method: "PATCH",
        path: zone(mapping.zone_id),
        body: bodyOf(mapping),
        promised: "a list that holds the mapping",
        readResult: pickMapping(mapping),
        parse: (body) => parseOnlyEntryOf(body, mapping.origin_ip) ?? parseBody(body)
      }),
    delete: (address) => call({ method: "DELETE", path: pathOf(address), ...oneOf(address) }),
    get: (address) => call({ method: "GET", path: pathOf(address), ...oneOf(address) }),
    getMany: (zoneId, addresses) =>
      Effect.map(list(zoneId), (mappings) => {
        const there = new Map(mappings.map((mapping) => [mapping.origin_ip, { ...mapping, modified_on: null }]))
        return new Map(addresses.map((address) => [address, there.get(address) ?? null]))
      }),
    list,
    upsertMany: (zoneId, mappings) =>
      call({
        method: "PATCH",
        path: `${zone(zoneId)}/batch`,
        body: mappings.map(bodyOf),
        ...batchOf(zoneId, mappings.map(({ origin_ip }) => origin_ip))
      }),
    deleteMany: (zoneId, addresses) =>
      call({ method: "DELETE", path: `${zone(zoneId)}/batch`, body: addresses, ...batchOf(zoneId, addresses) }),
    batchesCreates: () => false,
    createMany: (_, mappings) => Effect.succeed(new Map(mappings.map(({ origin_ip }) => [origin_ip, NO_BATCH]))),
    supportedRegions: (zoneId) =>
      call({
        method: "GET",
        path: `${zone(zoneId)}/supported_regions`,
        promised: "the supported regions",
        readResult: readSupportedRegions
      })
  }
}

/** Its batch is an upsert, and its create is for one. */
const NO_BATCH: CreateItem = { _tag: "Failed", message: "generation 1 has no batch for creates" }

const oneOf = ({ origin_ip, zone_id }: MappingAddress) => ({
  promised: "a mapping",
  readResult: (result: unknown) =>
    readWrapped(result, (value, modifiedOn) => readEntry(value, modifiedOn, zone_id, origin_ip))
})

const bodyOf = ({ origin_ip, region, vendor }: Omit<DesiredMapping, "zone_id">) => ({ ip: origin_ip, vendor, region })

const readWrapped = <A>(
  result: unknown,
  read: (value: unknown, modifiedOn: unknown) => A | undefined
): A | undefined => isRecord(result) ? read(result["value"], result["modified_on"]) : undefined

const batchOf = (zoneId: ZoneId, asked: ReadonlyArray<OriginIp>) => ({
  promised: "an answer to each item",
  readResult: (result: unknown) => readWrapped(result, (value) => readBatch(value, "origin-ip", zoneId, asked))
})

/** The mapping of one address from a wrapped list. */
export const pickMapping = ({ origin_ip, zone_id }: MappingAddress) => (result: unknown) =>
  readWrapped(result, (value, modifiedOn) => {
    if (!Array.isArray(value)) return undefined
    const entries: ReadonlyArray<unknown> = value
    const entry = entries.find((entry) => originIpOf(entry, "origin-ip") === origin_ip)
    return readEntry(entry, modifiedOn, zone_id, origin_ip)
  })

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
