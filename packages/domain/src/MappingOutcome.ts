import { Schema } from "effect"
import { type ApiErrorName, apiErrorName, apiErrors, type RejectionName, rejectionNames } from "./ApiError.ts"
import { type RequestIssue, STRUCTURED_CONTENT_TYPE } from "./CloudEvent.ts"
import { Mapping } from "./Mapping.ts"
import { mappingKey } from "./MappingKey.ts"
import { Operation } from "./Operation.ts"
import { outcomeId } from "./OutcomeId.ts"
import type { ReadRequest } from "./RequestReader.ts"
import type { SourceRecord, WritableRecord } from "./SourceRecord.ts"
import { formatRecordTimestamp, formatTimestamp, Timestamp } from "./Timestamp.ts"

/** The CloudEvents `type` of each kind of outcome. */
export const outcomeTypes = {
  succeeded: "dev.origin-regions.mapping.succeeded.v1",
  rejected: "dev.origin-regions.mapping.rejected.v1",
  failed: "dev.origin-regions.mapping.failed.v1"
} as const

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** Which record an outcome answers. `time` is the event's, `timestamp` the record's; what could not be read is `null`. */
const RequestReference = Schema.Struct({
  id: Schema.NullOr(Schema.String),
  source: Schema.NullOr(Schema.String),
  type: Schema.NullOr(Schema.String),
  time: Schema.NullOr(Timestamp),
  topic: Schema.String,
  partition: Count,
  offset: Count,
  timestamp: Schema.NullOr(Timestamp).annotate({ description: "The record's timestamp" })
}).annotate({ description: "The request record; null stands for what could not be read" })

const answered = {
  request: RequestReference,
  operation: Schema.NullOr(Operation),
  attempts: Count.annotate({ description: "Calls that may have changed something; 0 where none was made" })
}

const attributes = {
  specversion: Schema.Literal("1.0"),
  id: Schema.NonEmptyString.annotate({
    description:
      "A UUIDv5 of the request's topic, partition, offset, source and id: the same however often it is processed"
  }),
  source: Schema.NonEmptyString,
  subject: Schema.optionalKey(
    Schema.String.annotate({ description: "{zone_id}/{canonical ip}, where both are known" })
  ),
  time: Timestamp,
  datacontenttype: Schema.Literal("application/json"),
  causationid: Schema.optionalKey(Schema.String.annotate({ description: "The request's id, where it is known" })),
  correlationid: Schema.optionalKey(Schema.String),
  traceparent: Schema.optionalKey(Schema.String),
  tracestate: Schema.optionalKey(Schema.String),
  outcomecode: Schema.NonEmptyString.annotate({
    description: "The result, the API's error code as text, or the error's name where it has no code"
  })
}

const replayed = Schema.optionalKey(
  Schema.Literal(true).annotate({
    description:
      "The same request (source, id and data) had come before: this is what became of it then, and nothing was done now"
  })
)

const SuccessResult = Schema.Literals(["created", "upserted", "deleted", "unchanged"])

/** It was applied. */
export const SucceededOutcome = Schema.Struct({
  ...attributes,
  type: Schema.Literal(outcomeTypes.succeeded),
  data: Schema.Struct({
    ...answered,
    result: SuccessResult,
    mapping: Schema.NullOr(Mapping).annotate({ description: "After a delete: what was deleted" }),
    recovered: Schema.Boolean.annotate({
      description: "An earlier attempt had applied it, before a crash or a lost response"
    }),
    replayed
  })
}).annotate({ identifier: "SucceededOutcome" })

const Issue = Schema.Struct({ path: Schema.String, message: Schema.String })

const ExistingMapping = Schema.Struct({
  vendor: Schema.NonEmptyString,
  region: Schema.NonEmptyString,
  modified_on: Schema.NullOr(Schema.String)
})

/** The API, or the same rule applied before calling it, says no for good. */
export const RejectedOutcome = Schema.Struct({
  ...attributes,
  type: Schema.Literal(outcomeTypes.rejected),
  data: Schema.Struct({
    ...answered,
    error: Schema.Struct({
      code: Schema.NullOr(Schema.Int).annotate({
        description: "The API's error code; null where it has none for this"
      }),
      name: Schema.Literals([...rejectionNames, "malformed_request", "rejected_by_api"]),
      message: Schema.String,
      documentation_url: Schema.optionalKey(Schema.String),
      issues: Schema.optionalKey(Schema.Array(Issue)),
      existing: Schema.optionalKey(
        Schema.NullOr(ExistingMapping).annotate({ description: "With 1145: what is there; null if it has gone since" })
      ),
      matches: Schema.optionalKey(
        Schema.Boolean.annotate({ description: "With 1145: whether what is there is what was asked for" })
      )
    }),
    replayed
  })
}).annotate({ identifier: "RejectedOutcome" })

const FailureName = Schema.Literals(["expired", "gave_up"])

/** Given up, and dead-lettered so that it can be replayed. */
export const FailedOutcome = Schema.Struct({
  ...attributes,
  type: Schema.Literal(outcomeTypes.failed),
  data: Schema.Struct({
    ...answered,
    error: Schema.Struct({
      name: FailureName,
      message: Schema.String,
      attempts: Count,
      last_status: Schema.optionalKey(Schema.Int),
      last_code: Schema.optionalKey(Schema.Int)
    })
  })
}).annotate({ identifier: "FailedOutcome" })

/** What became of one request record: a CloudEvent 1.0, exactly one for each. */
export const MappingOutcome = Schema.Union([SucceededOutcome, RejectedOutcome, FailedOutcome])

export type MappingOutcome = typeof MappingOutcome.Type
type ExistingMapping = typeof ExistingMapping.Type
type SuccessResult = typeof SuccessResult.Type
type FailureName = typeof FailureName.Type

/** How a request was settled, before it is put into words for the outside. */
export type Settlement =
  | {
    readonly _tag: "Succeeded"
    readonly result: SuccessResult
    readonly mapping: Mapping | null
    readonly recovered: boolean
    /** It is what became of the same request when it came before. */
    readonly replayed?: true
  }
  | { readonly _tag: "Malformed"; readonly issues: ReadonlyArray<RequestIssue> }
  | {
    readonly _tag: "Rejected"
    readonly code: number
    /** The API's own text. */
    readonly message: string
    readonly documentationUrl?: string
    /** With 1145: what is there, and whether it is what was asked for. */
    readonly conflict?: { readonly existing: ExistingMapping | null; readonly matches: boolean }
    readonly replayed?: true
  }
  | {
    readonly _tag: "Failed"
    readonly name: FailureName
    readonly message: string
    readonly lastStatus?: number
    readonly lastCode?: number
  }

/** What the API has decided for good: it would be the same again, if nothing else had happened. */
export type FinalSettlement = Extract<Settlement, { readonly _tag: "Succeeded" | "Rejected" }>

/** How the request of an outcome was settled; none where the API had not decided it for good. */
export const finalSettlement = ({ data }: MappingOutcome): FinalSettlement | undefined => {
  if ("result" in data) {
    const { mapping, recovered, result } = data
    return { _tag: "Succeeded", result, mapping, recovered }
  }
  const { error } = data
  if ("attempts" in error || error.code === null) return undefined
  const { code, documentation_url, existing, matches, message } = error
  return {
    _tag: "Rejected",
    code,
    message,
    ...(documentation_url === undefined ? undefined : { documentationUrl: documentation_url }),
    ...(existing === undefined ? undefined : { conflict: { existing, matches: matches === true } })
  }
}

/** A rejection by a rule of the API that is applied before calling it. */
export const rejectedByRule = (name: ApiErrorName): Settlement => ({
  _tag: "Rejected",
  code: apiErrors[name].code,
  message: apiErrors[name].message
})

/** The `outcomecode` of a settlement. */
export const outcomeCodeOf = (settlement: Settlement): string => {
  switch (settlement._tag) {
    case "Succeeded":
      return settlement.result
    case "Malformed":
      return "malformed_request"
    case "Rejected":
      return String(settlement.code)
    case "Failed":
      return settlement.name
  }
}

/** Everything about a settled request that its outcome tells. `settledAt` is in milliseconds since 1970. */
export interface SettledRequest {
  readonly groupId: string
  readonly record: Pick<SourceRecord, "topic" | "partition" | "offset" | "timestamp">
  readonly request: ReadRequest
  readonly settlement: Settlement
  readonly attempts: number
  readonly settledAt: number
}

const isRejectionName = (name: string | undefined): name is RejectionName =>
  rejectionNames.some((rejection) => rejection === name)

const replayedOf = ({ replayed }: FinalSettlement) => replayed === undefined ? undefined : { replayed }

/** Puts a settled request into its outcome event. */
export const mappingOutcome = (settled: SettledRequest): MappingOutcome => {
  const { attempts, record, request, settlement } = settled
  const { event } = request
  const answeredRequest = {
    request: {
      id: event.id,
      source: event.source,
      type: event.type,
      time: event.time,
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      timestamp: formatRecordTimestamp(record.timestamp)
    },
    operation: request.operation,
    attempts
  }
  const envelope = {
    specversion: "1.0",
    id: outcomeId(record, event.source, event.id),
    source: `/origin-regions/consumer/${encodeURIComponent(settled.groupId)}`,
    ...(request.zoneId !== null && request.originIp !== null
      ? { subject: mappingKey(request.zoneId, request.originIp) }
      : undefined),
    time: formatTimestamp(settled.settledAt),
    datacontenttype: "application/json",
    ...(event.id === null ? undefined : { causationid: event.id }),
    ...(event.correlationid === null ? undefined : { correlationid: event.correlationid }),
    ...(event.traceparent === null ? undefined : { traceparent: event.traceparent }),
    ...(event.tracestate === null ? undefined : { tracestate: event.tracestate })
  } as const
  const outcomecode = outcomeCodeOf(settlement)
  switch (settlement._tag) {
    case "Succeeded": {
      const { mapping, recovered, result } = settlement
      return {
        ...envelope,
        type: outcomeTypes.succeeded,
        outcomecode,
        data: { ...answeredRequest, result, mapping, recovered, ...replayedOf(settlement) }
      }
    }
    case "Malformed":
      return {
        ...envelope,
        type: outcomeTypes.rejected,
        outcomecode,
        data: {
          ...answeredRequest,
          error: {
            code: null,
            name: "malformed_request",
            message: "The record is not a mapping request.",
            issues: settlement.issues
          }
        }
      }
    case "Rejected": {
      const name = apiErrorName(settlement.code)
      return {
        ...envelope,
        type: outcomeTypes.rejected,
        outcomecode,
        data: {
          ...answeredRequest,
          error: {
            code: settlement.code,
            name: isRejectionName(name) ? name : "rejected_by_api",
            message: settlement.message,
            ...(settlement.documentationUrl === undefined
              ? undefined
              : { documentation_url: settlement.documentationUrl }),
            ...settlement.conflict
          },
          ...replayedOf(settlement)
        }
      }
    }
    case "Failed":
      return {
        ...envelope,
        type: outcomeTypes.failed,
        outcomecode,
        data: {
          ...answeredRequest,
          error: {
            name: settlement.name,
            message: settlement.message,
            attempts,
            ...(settlement.lastStatus === undefined ? undefined : { last_status: settlement.lastStatus }),
            ...(settlement.lastCode === undefined ? undefined : { last_code: settlement.lastCode })
          }
        }
      }
  }
}

const contentType = { name: "content-type", value: STRUCTURED_CONTENT_TYPE }

/** The header that repeats an attribute of an outcome, so that a subscriber can filter without parsing; `undefined` where none does. */
export const mirroredHeader = (attribute: string): string | undefined =>
  attribute === "data" || attribute === "datacontenttype" ? undefined : `ce_${attribute}`

const headerNames = new Map<string, string | undefined>()

/** As `mirroredHeader`, made once for each attribute that there is. */
const headerOf = (attribute: string): string | undefined => {
  if (!headerNames.has(attribute)) headerNames.set(attribute, mirroredHeader(attribute))
  return headerNames.get(attribute)
}

/** A request's own key is passed on up to this many bytes: a longer one could make the outcome too large for its topic. */
const MAX_KEY_LENGTH = 8192

/** The Kafka record of an outcome: structured mode, attributes mirrored as `ce_*` headers, keyed by its subject or else by the request's own key. */
export const outcomeRecord = (outcome: MappingOutcome, requestKey: Uint8Array | null): WritableRecord => {
  const headers: Array<WritableRecord["headers"][number]> = [contentType]
  for (const attribute in outcome) {
    const name = headerOf(attribute)
    if (name !== undefined) headers.push({ name, value: String(outcome[attribute as keyof MappingOutcome]) })
  }
  return {
    key: outcome.subject ?? (requestKey !== null && requestKey.length <= MAX_KEY_LENGTH ? requestKey : null),
    value: JSON.stringify(outcome),
    headers
  }
}

const decodeJsonOutcome = Schema.decodeUnknownOption(Schema.fromJsonString(MappingOutcome))
const decoder = new TextDecoder()

/** Reads an outcome event from a record of the outcomes topic; none where it is not one of ours. */
export const readOutcome = (value: Uint8Array | string) =>
  decodeJsonOutcome(typeof value === "string" ? value : decoder.decode(value))
