import { apiErrors } from "@origin-regions/domain/ApiError"
import type { Mapping } from "@origin-regions/domain/Mapping"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect } from "effect"
import { AlreadyExists, ApiError, NotFound, RateLimited, Unreachable } from "../ApiError.ts"
import type { CreateItem, DesiredMapping, MappingAddress } from "../OriginRegionsApi.ts"
import { readSupportedRegions } from "../SupportedRegions.ts"
import { isRecord } from "./ApiAnswer.ts"
import type { Caller, Operations } from "./Call.ts"
import { readBatch, readEntries, readEntry } from "./MappingEntry.ts"
import { type Page, PAGE_SIZE, pagesAfter, pictureOf, type ZoneWindow } from "./ZoneWindows.ts"

/** What a look at many addresses has found is not gone by once this is over: others may have created some of them. */
const LONGEST_LOOK_MILLIS = 2_000

/** Reads of one look that are under way at a time. */
const READS_AT_A_TIME = 16

/**
 * Generation 2 on the wire: the address is `origin_ip` everywhere, lists come in pages, and there is no create. A create is a look and then an upsert, and
 * a delete looks too, as its answer doesn't tell what was deleted. Who comes in between isn't seen: the API has no conditional write.
 */
export const makeGeneration2 = ({ call, spare, standstills, steadyMillis }: Caller, basePath: string): Operations => {
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
        onFailure: (error) => error.reason._tag === "NotFound" ? next(null) : Effect.fail(failedBeforeWrite(error))
      })
    })

  const window = (zoneId: ZoneId, { page, perPage }: Page) =>
    call({
      method: "GET",
      path: `${zone(zoneId)}?page=${page}&per_page=${perPage}`,
      promised: "the page of mappings that was asked for",
      readResult: (result, { result_info: info }): ZoneWindow | undefined => {
        const mappings = readEntries(result, "origin_ip", null, zoneId)
        if (mappings === undefined || !isRecord(info) || typeof info["total_count"] !== "number") return undefined
        if (mappings.length > 0 && (info["page"] !== page || info["per_page"] !== perPage)) return undefined
        return { page, perPage, total: info["total_count"], mappings }
      }
    })

  /** So many of these calls may be made, if the write that comes after them is to be. */
  const affordable = (calls: number) => Math.min(calls, spare() - 1)

  /** What there is at each of the addresses; none is told of those that it takes more calls, or more time, to look at than there is. */
  const lookAtMany = Effect.fnUntraced(function*(
    zoneId: ZoneId,
    addresses: ReadonlyArray<OriginIp>,
    isLate: () => boolean
  ) {
    const first = yield* window(zoneId, { page: 1, perPage: PAGE_SIZE })
    let picture = pictureOf([first])
    const unknown = () => addresses.filter((address) => picture(address) === undefined)
    const pages = isLate() ? undefined : pagesAfter(first, affordable(unknown().length))
    if (pages !== undefined) {
      const more = yield* Effect.forEach(pages, (page) => window(zoneId, page), { concurrency: READS_AT_A_TIME })
      picture = pictureOf([first, ...more])
    }
    const found = new Map(addresses.flatMap((address) => {
      const there = picture(address)
      return there === undefined ? [] : [[address, there] as const]
    }))
    const alone = unknown()
    if (isLate() || affordable(alone.length) < alone.length) return found
    const read = (origin_ip: OriginIp) =>
      get({ zone_id: zoneId, origin_ip }).pipe(
        Effect.catchReason("ApiError", "NotFound", () => Effect.succeed(null)),
        Effect.map((there) => found.set(origin_ip, there))
      )
    yield* Effect.forEach(alone, read, { concurrency: READS_AT_A_TIME, discard: true })
    return found
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

  const upsertMany: Operations["upsertMany"] = (zoneId, mappings) =>
    call({
      method: "PUT",
      path: `${zone(zoneId)}/batch`,
      body: mappings.map(bodyOf),
      ...batchOf(zoneId, mappings.map(({ origin_ip }) => origin_ip))
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
    getMany: (zoneId, addresses) => lookAtMany(zoneId, addresses, () => false),
    list: Effect.fnUntraced(function*(zoneId) {
      // By address: what is written meanwhile can move a mapping to a page that is still to come.
      const found = new Map<OriginIp, Mapping>()
      for (let number = 1;; number++) {
        const { mappings, pages } = yield* page(zoneId, number)
        for (const mapping of mappings) found.set(mapping.origin_ip, mapping)
        if (number >= pages || mappings.length === 0) return [...found.values()]
      }
    }),
    upsertMany,
    deleteMany: (zoneId, addresses) =>
      call({ method: "DELETE", path: `${zone(zoneId)}/batch`, body: addresses, ...batchOf(zoneId, addresses) }),
    batchesCreates: () => true,
    createMany: Effect.fnUntraced(function*(zoneId, mappings) {
      const before = standstills()
      const startedAt = steadyMillis()
      const isLate = () => steadyMillis() - startedAt > LONGEST_LOOK_MILLIS
      const addresses = mappings.map(({ origin_ip }) => origin_ip)
      const found = yield* Effect.mapError(lookAtMany(zoneId, addresses, isLate), failedBeforeWrite)
      if (standstills() !== before) return yield* Effect.fail(stoodStill())
      const items = new Map<OriginIp, CreateItem>()
      const absent: Array<Omit<DesiredMapping, "zone_id">> = []
      const late = isLate()
      for (const mapping of mappings) {
        const there = found.get(mapping.origin_ip)
        if (there === null && !late) absent.push(mapping)
        else items.set(mapping.origin_ip, there ? existing(there) : late ? TOO_LATE : NO_CALLS_LEFT)
      }
      if (absent.length === 0) return items
      const written = yield* upsertMany(zoneId, absent).pipe(
        Effect.catch((error) =>
          Effect.succeed(
            new Map(absent.map(({ origin_ip }): [OriginIp, CreateItem] => [origin_ip, { _tag: "Unwritten", error }]))
          )
        )
      )
      return new Map([...items, ...written])
    }),
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
const alreadyExists = (found: Mapping): ApiError => new ApiError({ reason: existing(found) })

const existing = (found: Mapping): AlreadyExists => {
  const { code, message } = apiErrors.already_exists
  return new AlreadyExists({ code, message, existing: found })
}

const TOO_LATE: CreateItem = { _tag: "Failed", message: "it took too long to look at all of them" }

/** Alone they would take even more calls. */
const NO_CALLS_LEFT: CreateItem = {
  _tag: "Unwritten",
  error: new ApiError({
    reason: new RateLimited({ message: "the quota has too few calls left to look at all that is to be created" }),
    beforeWrite: true
  })
}

const failedBeforeWrite = ({ reason }: ApiError): ApiError => new ApiError({ reason, beforeWrite: true })

const notFound = (): ApiError => {
  const { code, message } = apiErrors.not_found
  return new ApiError({ reason: new NotFound({ code, message }) })
}

const stoodStill = (): ApiError =>
  new ApiError({
    reason: new Unreachable({ cause: "this process stood still after it had looked, and must look again", sent: false })
  })
