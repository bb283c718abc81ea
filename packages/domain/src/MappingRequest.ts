import { Schema } from "effect"
import { requestTypes } from "./Operation.ts"
import { canonicalize } from "./OriginIp.ts"
import { Region } from "./Region.ts"
import type { OutgoingRecord } from "./SourceRecord.ts"
import { parseTimestamp } from "./Timestamp.ts"
import { Vendor } from "./Vendor.ts"
import { ZoneId } from "./ZoneId.ts"

/** An address in any spelling; it is applied in its canonical one. */
const IpText = Schema.String.check(
  Schema.makeFilter((text: string): true | string =>
    canonicalize(text) !== undefined || "must be an IPv4 or IPv6 address"
  )
).annotate({ description: "An IPv4 or IPv6 address in any spelling of RFC 4291" })

const Timestamp = Schema.String.check(
  Schema.makeFilter((text: string): true | string =>
    parseTimestamp(text) !== undefined || "must be an RFC 3339 timestamp"
  )
).annotate({ format: "date-time" })

const PlacedData = Schema.Struct({ zone_id: ZoneId, ip: IpText, vendor: Vendor, region: Region })
const DeleteData = Schema.Struct({ zone_id: ZoneId, ip: IpText })

const attributes = {
  specversion: Schema.Literal("1.0"),
  id: Schema.NonEmptyString,
  source: Schema.NonEmptyString,
  time: Schema.optionalKey(Timestamp),
  subject: Schema.optionalKey(Schema.String),
  datacontenttype: Schema.optionalKey(Schema.String),
  expirytime: Schema.optionalKey(Timestamp),
  correlationid: Schema.optionalKey(Schema.String),
  traceparent: Schema.optionalKey(Schema.String),
  tracestate: Schema.optionalKey(Schema.String)
}

/** Asks for a mapping where the address has none; with one there, the outcome is 1145. */
export const CreateRequest = Schema.Struct({
  ...attributes,
  type: Schema.Literal(requestTypes.create),
  data: PlacedData
}).annotate({ identifier: "CreateRequest" })

/** Asks for a mapping, whether the address has one or not. */
export const UpsertRequest = Schema.Struct({
  ...attributes,
  type: Schema.Literal(requestTypes.upsert),
  data: PlacedData
}).annotate({ identifier: "UpsertRequest" })

/** Asks for the address to have no mapping. */
export const DeleteRequest = Schema.Struct({
  ...attributes,
  type: Schema.Literal(requestTypes.delete),
  data: DeleteData
}).annotate({ identifier: "DeleteRequest" })

/** A mapping request as an emitter writes it: a CloudEvent 1.0. Attributes and data fields that are not named here are allowed and ignored. */
export const MappingRequest = Schema.Union([CreateRequest, UpsertRequest, DeleteRequest])

export type MappingRequest = typeof MappingRequest.Type

export const STRUCTURED_CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"

const encoder = new TextEncoder()
const structuredHeaders = [{ name: "content-type", value: encoder.encode(STRUCTURED_CONTENT_TYPE) }]

/** The Kafka record of a request: structured mode, keyed `{zone_id}/{canonical ip}` so that one address stays in one partition. */
export const requestRecord = (request: MappingRequest): OutgoingRecord => ({
  key: encoder.encode(`${request.data.zone_id}/${canonicalize(request.data.ip) ?? request.data.ip}`),
  value: encoder.encode(JSON.stringify(request)),
  headers: structuredHeaders
})
