import { apiErrors } from "../ApiError.ts"
import type { Mapping } from "../Mapping.ts"
import { type MappingOutcome, mappingOutcome, type Settlement } from "../MappingOutcome.ts"
import { CreateRequest, DeleteRequest, requestRecord, UpsertRequest } from "../MappingRequest.ts"
import { requestTypes } from "../Operation.ts"
import { OriginIp } from "../OriginIp.ts"
import { Region } from "../Region.ts"
import { readRequest } from "../RequestReader.ts"
import type { OutgoingRecord, SourceRecord } from "../SourceRecord.ts"
import { formatTimestamp } from "../Timestamp.ts"
import { topicNames } from "../TopicNames.ts"
import { Vendor } from "../Vendor.ts"
import { ZoneId } from "../ZoneId.ts"

const zone_id = ZoneId.make("023e105f4ecef8ad9ca31a8372d0c353")
const aws = { vendor: Vendor.make("aws"), region: Region.make("us-east-1") }
const gcp = { vendor: Vendor.make("gcp"), region: Region.make("europe-west1") }
const requestedAt = Date.UTC(2026, 10, 24, 9, 30)

const attributes = {
  specversion: "1.0",
  source: "/deployments/eu-central",
  time: formatTimestamp(requestedAt),
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
} as const

/** One request of each type. */
export const requestExamples = {
  create: CreateRequest.make({
    ...attributes,
    id: "3f1c9a52-1",
    type: requestTypes.create,
    data: { zone_id, ip: "192.0.2.1", ...aws }
  }),
  upsert: UpsertRequest.make({
    ...attributes,
    id: "3f1c9a52-2",
    type: requestTypes.upsert,
    data: { zone_id, ip: "2001:DB8:0:0::1", ...gcp }
  }),
  delete: DeleteRequest.make({
    ...attributes,
    id: "3f1c9a52-3",
    type: requestTypes.delete,
    expirytime: formatTimestamp(requestedAt + 3_600_000),
    data: { zone_id, ip: "192.0.2.1" }
  })
}

/** A request record and what became of it. */
export interface OutcomeExample {
  readonly record: SourceRecord
  readonly outcome: MappingOutcome
}

const outcomeExample = (
  request: OutgoingRecord,
  offset: number,
  attempts: number,
  settlement: Settlement
): OutcomeExample => {
  const record = { ...request, topic: topicNames.requests, partition: 2, offset, timestamp: requestedAt }
  const settledAt = requestedAt + 240
  return {
    record,
    outcome: mappingOutcome({
      groupId: "origin-regions",
      record,
      request: readRequest(record),
      settlement,
      attempts,
      settledAt
    })
  }
}

const succeeded = (result: "created" | "upserted" | "deleted", mapping: Mapping): Settlement => ({
  _tag: "Succeeded",
  result,
  mapping,
  recovered: false
})

const modified_on = formatTimestamp(requestedAt)
const mapping4 = { zone_id, origin_ip: OriginIp.make("192.0.2.1"), ...aws, modified_on }
const mapping6 = { zone_id, origin_ip: OriginIp.make("2001:db8::1"), ...gcp, modified_on }

const encoder = new TextEncoder()
const malformedRecord = {
  key: null,
  value: encoder.encode(
    JSON.stringify({ ...attributes, id: "3f1c9a52-5", type: "dev.origin-regions.mapping.move.v1" })
  ),
  headers: []
}
const { verdict } = readRequest(malformedRecord)

/** The outcomes that a subscriber should know. */
export const outcomeExamples = {
  created: outcomeExample(requestRecord(requestExamples.create), 41, 1, succeeded("created", mapping4)),
  upserted: outcomeExample(requestRecord(requestExamples.upsert), 42, 1, succeeded("upserted", mapping6)),
  deleted: outcomeExample(requestRecord(requestExamples.delete), 43, 1, succeeded("deleted", mapping4)),
  alreadyExists: outcomeExample(requestRecord({ ...requestExamples.create, id: "3f1c9a52-4" }), 44, 1, {
    _tag: "Rejected",
    code: apiErrors.already_exists.code,
    message: apiErrors.already_exists.message,
    conflict: { existing: { ...aws, modified_on }, matches: true }
  }),
  malformed: outcomeExample(malformedRecord, 45, 0, {
    _tag: "Malformed",
    issues: verdict._tag === "Malformed" ? verdict.issues : []
  }),
  gaveUp: outcomeExample(requestRecord({ ...requestExamples.upsert, id: "3f1c9a52-6" }), 46, 9, {
    _tag: "Failed",
    name: "gave_up",
    message: "The API kept answering with status 503.",
    lastStatus: 503
  })
}
