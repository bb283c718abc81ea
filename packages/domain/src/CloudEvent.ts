import { Result, Schema, SchemaIssue } from "effect"
import type { RecordHeader, SourceRecord } from "./SourceRecord.ts"
import { parseTimestamp } from "./Timestamp.ts"

/** One problem of a request, by the path of the field that has it. An empty path is the record's value as a whole. */
export interface RequestIssue {
  readonly path: string
  readonly message: string
}

/** A CloudEvents 1.0 envelope as far as it could be read. What is missing or unusable is `null`; `issues` says why where that makes the event malformed. */
export interface CloudEvent {
  readonly id: string | null
  readonly source: string | null
  readonly type: string | null
  readonly time: string | null
  readonly correlationid: string | null
  readonly traceparent: string | null
  readonly tracestate: string | null
  /** Milliseconds since 1970 of `expirytime`. */
  readonly expiresAt: number | null
  readonly data: unknown
  /** False where `data` could not be read at all; one of the issues says why. */
  readonly dataWasRead: boolean
  readonly issues: ReadonlyArray<RequestIssue>
}

/** Attributes are repeated in outcomes, in the event and as headers: longer ones could make an outcome too large for its topic. */
const MAX_ATTRIBUTE_LENGTH = 2048

const required = (name: string) => {
  const message = `${name} must be a non-empty string of at most ${MAX_ATTRIBUTE_LENGTH} characters`
  return Schema.NonEmptyString.annotate({ message }).check(Schema.isMaxLength(MAX_ATTRIBUTE_LENGTH, { message }))
}

/** The attributes that a request can be malformed by, in the order in which their problems are listed. */
const RequiredAttributes = Schema.Struct({
  specversion: Schema.Literal("1.0").annotate({ message: "specversion must be \"1.0\"" }),
  id: required("id"),
  source: required("source"),
  type: required("type")
})

const decodeRequired = Schema.decodeUnknownResult(RequiredAttributes, { errors: "all" })
const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

/** Problems of a failed decoding, as paths and sentences. */
export const issuesOf = (error: Schema.SchemaError, prefix = ""): ReadonlyArray<RequestIssue> =>
  formatIssue(error.issue).issues.map(({ path, message }) => ({
    path: [...(prefix === "" ? [] : [prefix]), ...(path ?? []).map(String)].join("."),
    message
  }))

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Text of bytes that must be UTF-8 without a byte order mark; `undefined` where they are not. */
const decodeText = (bytes: Uint8Array): string | undefined => {
  try {
    const text = utf8.decode(bytes)
    return text.charCodeAt(0) === 0xfeff ? undefined : text
  } catch {
    return undefined
  }
}

const decodeJson = (bytes: Uint8Array): Result.Result<unknown, string> => {
  const text = decodeText(bytes)
  if (text === undefined) return Result.fail("is not UTF-8 text without a byte order mark")
  try {
    return Result.succeed(JSON.parse(text))
  } catch {
    return Result.fail("is not JSON")
  }
}

type Attributes = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Attributes =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const own = (attributes: Attributes, name: string): unknown =>
  Object.hasOwn(attributes, name) ? attributes[name] : undefined

const text = (attributes: Attributes, name: string): string | null => {
  const value = own(attributes, name)
  return typeof value === "string" && value !== "" && value.length <= MAX_ATTRIBUTE_LENGTH ? value : null
}

const JSON_CONTENT_TYPE = "application/json"

const isJsonContentType = (contentType: string): boolean =>
  /^(application|text)\/([^;\s]+\+)?json\s*(;|$)/i.test(contentType)

/** `data` is the payload, or the issue that kept it from being read. */
const readEnvelope = (attributes: Attributes, data: Result.Result<unknown, RequestIssue>): CloudEvent => {
  const decoded = decodeRequired(attributes)
  const time = text(attributes, "time")
  const expirytime = own(attributes, "expirytime")
  const expiresAt = typeof expirytime === "string" ? parseTimestamp(expirytime) : undefined
  const issues = Result.isFailure(decoded) ? [...issuesOf(decoded.failure)] : []
  if (expirytime !== undefined && expiresAt === undefined) {
    issues.push({ path: "expirytime", message: "expirytime must be an RFC 3339 timestamp" })
  }
  if (Result.isFailure(data)) issues.push(data.failure)
  return {
    id: text(attributes, "id"),
    source: text(attributes, "source"),
    type: text(attributes, "type"),
    time: time !== null && parseTimestamp(time) !== undefined ? time : null,
    correlationid: text(attributes, "correlationid"),
    traceparent: text(attributes, "traceparent"),
    tracestate: text(attributes, "tracestate"),
    expiresAt: expiresAt ?? null,
    data: Result.isSuccess(data) ? data.success : undefined,
    dataWasRead: Result.isSuccess(data),
    issues
  }
}

const unreadable = (path: string, message: string): CloudEvent => ({
  id: null,
  source: null,
  type: null,
  time: null,
  correlationid: null,
  traceparent: null,
  tracestate: null,
  expiresAt: null,
  data: undefined,
  dataWasRead: false,
  issues: [{ path, message }]
})

const readStructured = (value: Uint8Array): CloudEvent => {
  const json = decodeJson(value)
  if (Result.isFailure(json)) return unreadable("", `the record's value ${json.failure}`)
  const envelope = json.success
  if (!isObject(envelope)) return unreadable("", "the record's value is not a CloudEvents envelope (a JSON object)")
  return readEnvelope(envelope, readStructuredData(envelope))
}

const problem = (path: string, message: string) => Result.fail<RequestIssue>({ path, message })

const readStructuredData = (envelope: Attributes): Result.Result<unknown, RequestIssue> => {
  const contentType = own(envelope, "datacontenttype") ?? JSON_CONTENT_TYPE
  if (typeof contentType !== "string" || !isJsonContentType(contentType)) {
    return problem("datacontenttype", `datacontenttype must be ${JSON_CONTENT_TYPE}`)
  }
  const base64 = own(envelope, "data_base64")
  if (base64 === undefined) return Result.succeed(own(envelope, "data"))
  if (own(envelope, "data") !== undefined) return problem("data_base64", "data and data_base64 exclude each other")
  const bytes = typeof base64 === "string" ? decodeBase64(base64) : undefined
  if (bytes === undefined) return problem("data_base64", "data_base64 must be base64 text")
  return Result.mapError(decodeJson(bytes), (message) => ({ path: "data_base64", message: `data_base64 ${message}` }))
}

const decodeBase64 = (base64: string): Uint8Array | undefined => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0) return undefined
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}

const readBinary = (
  headers: ReadonlyMap<string, string>,
  contentType: string | undefined,
  value: Uint8Array | null
): CloudEvent => {
  const attributes: Record<string, unknown> = Object.create(null)
  for (const [name, headerValue] of headers) {
    if (name.startsWith("ce_")) attributes[name.slice(3)] = headerValue
  }
  return readEnvelope(attributes, readBinaryData(contentType, value))
}

const readBinaryData = (
  contentType: string | undefined,
  value: Uint8Array | null
): Result.Result<unknown, RequestIssue> => {
  if (contentType !== undefined && !isJsonContentType(contentType)) {
    return problem("content-type", `content-type must be ${JSON_CONTENT_TYPE}`)
  }
  if (value === null) return problem("data", "the record has no value")
  return Result.mapError(decodeJson(value), (message) => ({ path: "data", message: `the record's value ${message}` }))
}

/** Header names compare without case; of a repeated one the last counts. Headers that are not text are passed over. */
const textHeaders = (headers: ReadonlyArray<RecordHeader>): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>()
  for (const { name, value } of headers) {
    const headerText = value === null ? undefined : decodeText(value)
    if (headerText !== undefined) texts.set(name.toLowerCase(), headerText)
  }
  return texts
}

/**
 * Reads a record's CloudEvents envelope in any of three modes: structured (`content-type: application/cloudevents+json`), binary (`ce_*`
 * headers), or a bare envelope as the value with no content type at all. The content type decides first.
 * Source: CloudEvents 1.0, Kafka protocol binding 1.0.2, sections 3.2 and 3.3.
 */
export const readCloudEvent = (record: Pick<SourceRecord, "value" | "headers">): CloudEvent => {
  const headers = textHeaders(record.headers)
  const contentType = headers.get("content-type")
  const structured = contentType !== undefined && /^application\/cloudevents\+json\s*(;|$)/i.test(contentType)
  if (!structured && headers.has("ce_specversion")) return readBinary(headers, contentType, record.value)
  if (!structured && contentType !== undefined) {
    return unreadable(
      "content-type",
      "expected content-type application/cloudevents+json, ce_* headers, or a CloudEvents envelope without a content-type"
    )
  }
  return record.value === null ? unreadable("", "the record has no value") : readStructured(record.value)
}
