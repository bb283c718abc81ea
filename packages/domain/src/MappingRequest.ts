import { Schema } from "effect"
import { AttributeText, STRUCTURED_CONTENT_TYPE } from "./CloudEvent.ts"
import { requestTypes } from "./Operation.ts"
import { canonicalize, IpText } from "./OriginIp.ts"
import { Region } from "./Region.ts"
import type { OutgoingRecord } from "./SourceRecord.ts"
import { Timestamp } from "./Timestamp.ts"
import { Vendor } from "./Vendor.ts"
import { ZoneId } from "./ZoneId.ts"

const PlacedData = Schema.Struct({ zone_id: ZoneId, ip: IpText, vendor: Vendor, region: Region })
const DeleteData = Schema.Struct({ zone_id: ZoneId, ip: IpText })

const attributes = {
  specversion: Schema.Literal("1.0"),
  id: AttributeText.annotate({ description: "Identifies the request together with its source" }),
  source: AttributeText,
  time: Schema.optionalKey(Timestamp),
  subject: Schema.optionalKey(Schema.String),
  datacontenttype: Schema.optionalKey(
    Schema.String.annotate({ description: "A JSON media type; application/json where left out" })
  ),
  expirytime: Schema.optionalKey(
    Timestamp.annotate({ description: "The moment after which the request must no longer be applied" })
  ),
  correlationid: Schema.optionalKey(AttributeText.annotate({ description: "Passed on to the outcome" })),
  traceparent: Schema.optionalKey(AttributeText),
  tracestate: Schema.optionalKey(AttributeText)
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

const encoder = new TextEncoder()
const structuredHeaders = [{ name: "content-type", value: encoder.encode(STRUCTURED_CONTENT_TYPE) }]

/** The Kafka record of a request: structured mode, keyed `{zone_id}/{canonical ip}` so that one address stays in one partition. */
export const requestRecord = (request: MappingRequest): OutgoingRecord => ({
  key: encoder.encode(`${request.data.zone_id}/${canonicalize(request.data.ip) ?? request.data.ip}`),
  value: encoder.encode(JSON.stringify(request)),
  headers: structuredHeaders
})
