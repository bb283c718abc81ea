import { type RequestIssue, STRUCTURED_CONTENT_TYPE } from "@origin-regions/domain/CloudEvent"
import { mappingKey } from "@origin-regions/domain/MappingKey"
import { Operation, requestTypes } from "@origin-regions/domain/Operation"
import { Region } from "@origin-regions/domain/Region"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { isVendor, Vendor } from "@origin-regions/domain/Vendor"
import { Schema } from "effect"

const encoder = new TextEncoder()
const isRegion = Schema.is(Region)
const isOperation = Schema.is(Operation)

/** Of a line that is none of a file of JSON lines. */
export const NOT_JSON = "the line is not JSON"

/**
 * Everything that is wrong with a request, given as the JSON text of its CloudEvent: all that the consumer would reject without asking the API.
 * Empty for a good one.
 */
export const checkRequest = (text: string): ReadonlyArray<RequestIssue> => {
  const { event, operation, originIp, verdict } = readRequest({ value: encoder.encode(text), headers: [] })
  if (verdict._tag === "Apply") return []
  const issues = verdict._tag === "Malformed"
    ? verdict.issues.map(({ message, path }) => ({ path, message: message.replace("the record's value", "the line") }))
    : []
  const { data } = event
  if (typeof data !== "object" || data === null) return issues
  const unless = (good: boolean, name: "ip" | "region" | "vendor", expected: string) => {
    if (good) return
    const given = name in data ? data[name as keyof typeof data] : undefined
    const message = given === undefined
      ? `${name} is missing: it must be ${expected}`
      : `${name} must be ${expected}, not ${JSON.stringify(given)}`
    issues.push({ path: `data.${name}`, message })
  }
  unless(originIp !== null, "ip", "an IPv4 or IPv6 address")
  if (operation === "create" || operation === "upsert") {
    unless("vendor" in data && isVendor(data.vendor), "vendor", `one of ${Vendor.schema.literals.join(", ")}`)
    unless("region" in data && isRegion(data.region), "region", "a cloud's name for a region, such as us-east-1")
  }
  return issues
}

/** The Kafka record of a request's text, good or not: the text as it is, keyed by zone and address where both can be read. */
export const requestTextRecord = (text: string): OutgoingRecord => {
  const value = encoder.encode(text)
  const { originIp, zoneId } = readRequest({ value, headers: [] })
  return {
    key: zoneId !== null && originIp !== null ? encoder.encode(mappingKey(zoneId, originIp)) : null,
    value,
    headers: [{ name: "content-type", value: encoder.encode(STRUCTURED_CONTENT_TYPE) }]
  }
}

/** What a single request is made of, as it was given. What is left out is left out of the event too. */
export interface RequestParts {
  /** One that there is not becomes a type that there is not. */
  readonly operation: unknown
  readonly id: unknown
  readonly source: string
  /** RFC 3339. */
  readonly time: string
  readonly zone: unknown
  readonly ip: unknown
  readonly vendor: unknown
  readonly region: unknown
  /** RFC 3339. */
  readonly expires: unknown
}

/** The JSON text of a request. Nothing is checked. */
export const requestText = ({ expires, id, ip, operation, region, source, time, vendor, zone }: RequestParts): string =>
  JSON.stringify({
    specversion: "1.0",
    id,
    source,
    type: isOperation(operation) ? requestTypes[operation] : operation,
    time,
    expirytime: expires,
    data: { zone_id: zone, ip, vendor, region }
  })
