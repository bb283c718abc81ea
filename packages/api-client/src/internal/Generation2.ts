import { apiErrors } from "@origin-regions/domain/ApiError"
import type { Mapping } from "@origin-regions/domain/Mapping"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect } from "effect"
import { AlreadyExists, ApiError, NotFound, Unreachable } from "../ApiError.ts"
import type { DesiredMapping, MappingAddress } from "../OriginRegionsApi.ts"
import { readSupportedRegions } from "../SupportedRegions.ts"
import { isRecord } from "./ApiAnswer.ts"
import type { Caller, Operations } from "./Call.ts"
import { readBatch, readEntries, readEntry } from "./MappingEntry.ts"

/** The longest page that the API gives. */
const PAGE_SIZE = 100

/**
 * Generation 2 on the wire: the address is `origin_ip` everywhere, lists come in pages, and there is no create. A create is a look and then an upsert, and
 * a delete looks too, as its answer doesn't tell what was deleted. Who comes in between isn't seen: the API has no conditional write.
 */
export const makeGeneration2 = ({ call, standstills }: Caller, basePath: string): Operations => {
  const zone = (zoneId: ZoneId) => `${basePath}/zones/${zoneId}/origin/cloud_regions`
  const pathOf = ({ origin_ip, zone_id }: MappingAddress) => `${zone(zone_id)}/${origin_ip}`

  const get: Operations["get"] = (address) => call({ method: "GET", path: pathOf(address), ...oneOf(address) })

  const upsert: Operations["upsert"] = (mapping) =>
    call({ method: "PUT", path: pathOf(mapping), body: bodyOf(mapping), ...oneOf(mapping) })

  /** Looks at an address, and goes on from what is there. Who has been stopped meanwhile goes no further: others may have gone on without it. */
  const look = <A>(address: MappingAddress, proceed: (found: Mapping | null) => Effect.Effect<A, ApiError>) =>
    Effect.suspend(() => {
      const before = standstills()
      const next = (found: Mapping | null) => standstills() === before ? proceed(found) : Effect.fail(stoodStill())
      return Effect.matchEffect(get(address), {
        onSuccess: next,
        onFailure: (error) =>
          error.reason._tag === "NotFound"
            ? next(null)
            : Effect.fail(new ApiError({ reason: error.reason, beforeWrite: true }))
      })
    })

  const page = (zoneId: ZoneId, number: number) =>
    call({
      method: "GET",
      path: `${zone(zoneId)}?page=${number}&per_page=${PAGE_SIZE}`,
      promised: "a page of mappings",
      readResult: (result, { result_info: info }) => {
        const mappings = readEntries(result, "origin_ip", null, zoneId)
        if (mappings === undefined || !isRecord(info) || typeof info["total_pages"] !== "number") return undefined
        return { mappings, pages: info["total_pages"] }
      }
    })

  return {
    create: (mapping) => look(mapping, (found) => found === null ? upsert(mapping) : Effect.fail(alreadyExists(found))),
    upsert,
    delete: (address) =>
      look(address, (found) =>
        found === null
          ? Effect.fail(notFound())
          : call({
            method: "DELETE",
            path: pathOf(address),
            promised: "an answer",
            readResult: (result) => isRecord(result) ? found : undefined
          })),
    get,
    list: Effect.fnUntraced(function*(zoneId) {
      // By address: what is written meanwhile can move a mapping to a page that is still to come.
      const found = new Map<OriginIp, Mapping>()
      for (let number = 1;; number++) {
        const { mappings, pages } = yield* page(zoneId, number)
        for (const mapping of mappings) found.set(mapping.origin_ip, mapping)
        if (number >= pages || mappings.length === 0) return [...found.values()]
      }
    }),
    upsertMany: (zoneId, mappings) =>
      call({
        method: "PUT",
        path: `${zone(zoneId)}/batch`,
        body: mappings.map(bodyOf),
        ...batchOf(zoneId, mappings.map(({ origin_ip }) => origin_ip))
      }),
    deleteMany: (zoneId, addresses) =>
      call({ method: "DELETE", path: `${zone(zoneId)}/batch`, body: addresses, ...batchOf(zoneId, addresses) }),
    supportedRegions: (zoneId) =>
      call({
        method: "GET",
        path: `${zone(zoneId)}/supported_regions`,
        promised: "the supported regions",
        readResult: readSupportedRegions
      })
  }
}

const oneOf = ({ origin_ip, zone_id }: MappingAddress) => ({
  promised: "a mapping",
  readResult: (result: unknown) => readEntry(result, null, zone_id, origin_ip)
})

const bodyOf = ({ origin_ip, region, vendor }: Omit<DesiredMapping, "zone_id">) => ({ origin_ip, vendor, region })

const batchOf = (zoneId: ZoneId, asked: ReadonlyArray<OriginIp>) => ({
  promised: "an answer to each item",
  readResult: (result: unknown) => readBatch(result, "origin_ip", zoneId, asked)
})

/** What generation 1 says to a create of what is there. */
const alreadyExists = (existing: Mapping): ApiError => {
  const { code, message } = apiErrors.already_exists
  return new ApiError({ reason: new AlreadyExists({ code, message, existing }) })
}

const notFound = (): ApiError => {
  const { code, message } = apiErrors.not_found
  return new ApiError({ reason: new NotFound({ code, message }) })
}

const stoodStill = (): ApiError =>
  new ApiError({
    reason: new Unreachable({ cause: "this process stood still after it had looked, and must look again", sent: false })
  })
