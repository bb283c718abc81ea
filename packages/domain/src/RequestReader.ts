import { Schema } from "effect"
import { type CloudEvent, readCloudEvent, type RequestIssue } from "./CloudEvent.ts"
import { field, isJsonObject } from "./internal/JsonObject.ts"
import { type Operation, operationOf, requestTypes } from "./Operation.ts"
import { canonicalize, type OriginIp } from "./OriginIp.ts"
import { Region } from "./Region.ts"
import type { SourceRecord } from "./SourceRecord.ts"
import { isVendor, type Vendor } from "./Vendor.ts"
import { ZoneId } from "./ZoneId.ts"

/** A readable request: what to do at the API. */
export type Change =
  | {
    readonly operation: "create" | "upsert"
    readonly zoneId: ZoneId
    readonly originIp: OriginIp
    readonly vendor: Vendor
    readonly region: Region
  }
  | { readonly operation: "delete"; readonly zoneId: ZoneId; readonly originIp: OriginIp }

/** What reading alone decides about a request. Only `Apply` goes to the API. */
export type Verdict =
  | { readonly _tag: "Apply"; readonly change: Change }
  | { readonly _tag: "Malformed"; readonly issues: ReadonlyArray<RequestIssue> }
  | { readonly _tag: "InvalidIp" }
  | { readonly _tag: "UnsupportedRegion" }

/** A request as far as it could be read, with the verdict on it. */
export interface ReadRequest {
  readonly event: CloudEvent
  readonly operation: Operation | null
  readonly zoneId: ZoneId | null
  readonly originIp: OriginIp | null
  readonly verdict: Verdict
}

/** Whether events of a source may change a zone: for whoever runs the consumer to say. */
export type MayChange = (source: string, zoneId: ZoneId) => boolean

const isRegion = Schema.is(Region)
const isZoneId = Schema.is(ZoneId)

const unknownType: RequestIssue = {
  path: "type",
  message: `type must be one of ${Object.values(requestTypes).join(", ")}`
}

const notAnObject: RequestIssue = { path: "data", message: "data must be a JSON object" }

const unusableZone: RequestIssue = {
  path: "data.zone_id",
  message: "zone_id must be 1 to 32 characters of A-Z a-z 0-9 _ -"
}

const forbiddenZone = (source: string, zoneId: ZoneId): RequestIssue => ({
  path: "data.zone_id",
  message: `zone ${zoneId} may not be changed by source ${source}: no allow rule of the consumer says that it may`
})

/**
 * Reads a mapping request from a record. Problems are looked for in this order: envelope, type, data and zone (malformed, all listed), then the
 * address (1146), then the vendor and the region (1157). Whether the request has expired is for the caller, who has a clock: it comes after
 * malformed and before 1146. A zone that the source may not change is no usable zone to it; without `mayChange` every source may change every zone.
 */
export const readRequest = (
  record: Pick<SourceRecord, "value" | "headers">,
  mayChange?: MayChange
): ReadRequest => {
  const event = readCloudEvent(record)
  const operation = event.type === null ? undefined : operationOf(event.type)
  const issues = [...event.issues]
  if (event.type !== null && operation === undefined) issues.push(unknownType)
  const { data } = event
  const zone = field(data, "zone_id")
  const zoneId = isZoneId(zone) ? zone : null
  if (event.dataWasRead && zoneId === null) issues.push(isJsonObject(data) ? unusableZone : notAnObject)
  if (mayChange !== undefined && zoneId !== null && event.source !== null && !mayChange(event.source, zoneId)) {
    issues.push(forbiddenZone(event.source, zoneId))
  }
  const ip = field(data, "ip")
  const originIp = typeof ip === "string" ? canonicalize(ip) ?? null : null
  const read = (verdict: Verdict): ReadRequest => ({ event, operation: operation ?? null, zoneId, originIp, verdict })
  if (issues.length > 0 || operation === undefined || zoneId === null) return read({ _tag: "Malformed", issues })
  if (originIp === null) return read({ _tag: "InvalidIp" })
  if (operation === "delete") return read({ _tag: "Apply", change: { operation, zoneId, originIp } })
  const vendor = field(data, "vendor")
  const region = field(data, "region")
  if (!isVendor(vendor) || !isRegion(region)) return read({ _tag: "UnsupportedRegion" })
  return read({ _tag: "Apply", change: { operation, zoneId, originIp, vendor, region } })
}
