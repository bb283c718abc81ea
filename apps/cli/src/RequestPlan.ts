import type { SupportedRegions } from "@origin-regions/api-client/SupportedRegions"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { mappingKey } from "@origin-regions/domain/MappingKey"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect } from "effect"
import type { RefusedZone, ZonePicture } from "./ZonePicture.ts"

/** What would come of a request. */
export const effects = ["create", "update", "delete", "unchanged", "conflict", "invalid", "refused"] as const
export type PlannedEffect = typeof effects[number]

interface Cloud {
  readonly vendor: string
  readonly region: string
}

/** A request, and what would come of it. */
export interface PlannedRequest {
  readonly id: string | null
  readonly operation: string | null
  /** `zone/address`, where both are known. */
  readonly address: string | null
  readonly effect: PlannedEffect
  /** The outcomecode of what would be refused. */
  readonly code: string | null
  readonly before: Cloud | null
  readonly after: Cloud | null
  /** Why it would be refused; empty otherwise. */
  readonly reason: string
}

/** https://developers.cloudflare.com/cache/how-to/tiered-cache/ and the API's own error 1164. */
const MOST_MAPPINGS = 3_500

interface ZoneState {
  readonly clouds: Map<OriginIp, Cloud>
  readonly regions: SupportedRegions | undefined
}

/**
 * Says of requests, one after the other, what would come of them if they were applied now, in this order and without anybody else. A zone is read when its first request comes, by
 * `readZone`.
 */
export class RequestPlan<E, R> {
  readonly #readZone: (zoneId: ZoneId) => Effect.Effect<ZonePicture | RefusedZone, E, R>
  readonly #zones = new Map<ZoneId, RefusedZone | ZoneState>()

  constructor(readZone: (zoneId: ZoneId) => Effect.Effect<ZonePicture | RefusedZone, E, R>) {
    this.#readZone = readZone
  }

  /** `now` is in milliseconds since 1970. */
  plan(record: Pick<OutgoingRecord, "headers" | "value">, now: number): Effect.Effect<PlannedRequest, E, R> {
    const { event, operation, originIp, verdict, zoneId } = readRequest(record)
    const known = {
      id: event.id,
      operation,
      address: zoneId === null || originIp === null ? null : mappingKey(zoneId, originIp)
    }
    const refused = (effect: "conflict" | "invalid" | "refused", code: string, reason: string): PlannedRequest => ({
      ...known,
      effect,
      code,
      before: null,
      after: null,
      reason
    })
    if (verdict._tag === "Malformed") {
      const reason = verdict.issues.map(({ message }) => message).join("; ")
      return Effect.succeed(refused("invalid", "malformed_request", reason))
    }
    if (event.expiresAt !== null && event.expiresAt <= now) {
      return Effect.succeed(refused("refused", "expired", "its expirytime has passed"))
    }
    if (verdict._tag === "InvalidIp") return Effect.succeed(refused("invalid", "1146", apiErrors.invalid_ip.message))
    if (verdict._tag === "UnsupportedRegion") {
      return Effect.succeed(refused("invalid", "1157", apiErrors.unsupported_region.message))
    }
    const { change } = verdict
    return Effect.map(this.#zone(change.zoneId), (zone): PlannedRequest => {
      if ("code" in zone) return refused("refused", String(zone.code), zone.message)
      const before = zone.clouds.get(change.originIp) ?? null
      if (change.operation === "delete") {
        zone.clouds.delete(change.originIp)
        return {
          ...known,
          effect: before === null ? "unchanged" : "delete",
          code: null,
          before,
          after: null,
          reason: ""
        }
      }
      const after = { vendor: change.vendor, region: change.region }
      if (change.operation === "create" && before !== null) {
        const reason = isSame(before, after) ? "it has this very mapping" : `it is ${before.vendor} ${before.region}`
        return { ...refused("conflict", "1145", reason), before }
      }
      if (!isSupported(zone.regions, after)) return refused("invalid", "1157", apiErrors.unsupported_region.message)
      if (before === null && zone.clouds.size >= MOST_MAPPINGS) {
        return refused("refused", "1164", apiErrors.limit_reached.message)
      }
      zone.clouds.set(change.originIp, after)
      const effect = before === null ? "create" : isSame(before, after) ? "unchanged" : "update"
      return { ...known, effect, code: null, before, after, reason: "" }
    })
  }

  #zone(zoneId: ZoneId): Effect.Effect<RefusedZone | ZoneState, E, R> {
    const known = this.#zones.get(zoneId)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.map(this.#readZone(zoneId), (picture) => {
      const zone = "code" in picture ? picture : {
        regions: picture.regions,
        clouds: new Map(
          [...picture.mappings].map(([ip, { region, vendor }]): [OriginIp, Cloud] => [ip, { vendor, region }])
        )
      }
      this.#zones.set(zoneId, zone)
      return zone
    })
  }
}

const isSame = (one: Cloud, other: Cloud): boolean => one.vendor === other.vendor && one.region === other.region

/** What the API does not tell of is left to it. */
const isSupported = (regions: SupportedRegions | undefined, { region, vendor }: Cloud): boolean =>
  regions === undefined || (regions.vendors[vendor] ?? []).some(({ name }) => name === region)
