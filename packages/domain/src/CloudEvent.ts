import { Result, Schema } from "effect"
import { field, isJsonObject, type JsonObject } from "./internal/JsonObject.ts"
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

/**
 * Outcomes repeat the attributes of their request, most of them twice and as a header. With at most so many characters each, an outcome stays
 * below the 64 KiB up to which every CloudEvents intermediary passes an event on (CloudEvents 1.0, "Size Limits").
 */
const MAX_ATTRIBUTE_LENGTH = 1024

const CONTROL_CHARACTER = /\p{Cc}/u

/**
 * The text of a CloudEvents attribute. It has no control characters (CloudEvents 1.0, "Type System": String), which nobody expects in a header, a log or a
 * terminal.
 */
export const AttributeText = Schema.NonEmptyString.check(
  Schema.isMaxLength(MAX_ATTRIBUTE_LENGTH),
  Schema.makeFilter(
    (text: string): true | string => !CONTROL_CHARACTER.test(text) || "must not have control characters",
    {
      toJsonSchema: () => [{ pattern: "^[^\\u0000-\\u001F\\u007F-\\u009F]*$" }, true]
    }
  )
)

const isAttributeText = Schema.is(AttributeText)

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

/** An attribute that is `null` is unset (CloudEvents JSON format, section 2.2). */
const attribute = (attributes: JsonObject, name: string): unknown => field(attributes, name) ?? undefined

/** An attribute that is text, `null` where it is unset or cannot be used. */
const textAttribute = (attributes: JsonObject, name: string): string | null => {
  const value = attribute(attributes, name)
  return isAttributeText(value) ? value : null
}

export const STRUCTURED_CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"

const JSON_CONTENT_TYPE = "application/json"

const isJsonContentType = (contentType: unknown): boolean =>
  typeof contentType === "string" && /^(application|text)\/([^;\s]+\+)?json\s*(;|$)/i.test(contentType)

/** The attributes without which an event is malformed, in the order in which their problems are listed. */
const requirements: ReadonlyArray<{
  readonly name: string
  readonly isMet: (value: unknown) => boolean
  readonly expected: string
}> = [
  { name: "specversion", isMet: (value) => value === "1.0", expected: "\"1.0\"" },
  ...["id", "source", "type"].map((name) => ({
    name,
    isMet: isAttributeText,
    expected: `a non-empty string of at most ${MAX_ATTRIBUTE_LENGTH} characters, none of them a control character`
  }))
]

/** `data` is the payload, or the issue that kept it from being read. */
const readEnvelope = (attributes: JsonObject, data: Result.Result<unknown, RequestIssue>): CloudEvent => {
  const issues: Array<RequestIssue> = []
  for (const { expected, isMet, name } of requirements) {
    if (!isMet(attribute(attributes, name))) issues.push({ path: name, message: `${name} must be ${expected}` })
  }
  const time = textAttribute(attributes, "time")
  const expirytime = attribute(attributes, "expirytime")
  const expiresAt = typeof expirytime === "string" ? parseTimestamp(expirytime) : undefined
  if (expirytime !== undefined && expiresAt === undefined) {
    issues.push({ path: "expirytime", message: "expirytime must be an RFC 3339 timestamp" })
  }
  if (Result.isFailure(data)) issues.push(data.failure)
  return {
    id: textAttribute(attributes, "id"),
    source: textAttribute(attributes, "source"),
    type: textAttribute(attributes, "type"),
    time: time !== null && parseTimestamp(time) !== undefined ? time : null,
    correlationid: textAttribute(attributes, "correlationid"),
    traceparent: textAttribute(attributes, "traceparent"),
    tracestate: textAttribute(attributes, "tracestate"),
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

const readStructured = (value: Uint8Array | null): CloudEvent => {
  if (value === null) return unreadable("", "the record has no value")
  const json = decodeJson(value)
  if (Result.isFailure(json)) return unreadable("", `the record's value ${json.failure}`)
  const envelope = json.success
  if (!isJsonObject(envelope)) return unreadable("", "the record's value is not a CloudEvents envelope (a JSON object)")
  return readEnvelope(envelope, readStructuredData(envelope))
}

const problem = (path: string, message: string) => Result.fail<RequestIssue>({ path, message })

const readStructuredData = (envelope: JsonObject): Result.Result<unknown, RequestIssue> => {
  const contentType = attribute(envelope, "datacontenttype")
  if (contentType !== undefined && !isJsonContentType(contentType)) {
    return problem("datacontenttype", `datacontenttype must be ${JSON_CONTENT_TYPE}`)
  }
  const data = attribute(envelope, "data")
  const base64 = attribute(envelope, "data_base64")
  if (base64 === undefined) return Result.succeed(data)
  if (data !== undefined) return problem("data_base64", "data and data_base64 exclude each other")
  const bytes = typeof base64 === "string" ? decodeBase64(base64) : undefined
  if (bytes === undefined) return problem("data_base64", "data_base64 must be base64 text")
  return Result.mapError(decodeJson(bytes), (message) => ({ path: "data_base64", message: `data_base64 ${message}` }))
}

const decodeBase64 = (base64: string): Uint8Array | undefined => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0) return undefined
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}

const ATTRIBUTE_PREFIX = "ce_"

const readBinary = (headers: Headers, value: Uint8Array | null): CloudEvent => {
  const attributes: Record<string, unknown> = Object.create(null)
  for (const [name, headerValue] of headers) {
    if (name.startsWith(ATTRIBUTE_PREFIX)) attributes[name.slice(ATTRIBUTE_PREFIX.length)] = headerValue
  }
  return readEnvelope(attributes, readBinaryData(headers.get("content-type"), value))
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

type Headers = ReadonlyMap<string, string>

/**
 * Headers by their names in lower case: names compare without case, and of a repeated one the last counts. One without a value is as good as none.
 * One that is not text counts as empty, which neither an attribute nor a content type may be.
 */
const readHeaders = (headers: ReadonlyArray<RecordHeader>): Headers => {
  const read = new Map<string, string>()
  for (const { name, value } of headers) {
    if (value === null) read.delete(name.toLowerCase())
    else read.set(name.toLowerCase(), decodeText(value) ?? "")
  }
  return read
}

const isStructured = (contentType: string | undefined): boolean =>
  contentType !== undefined && /^application\/cloudevents\+json\s*(;|$)/i.test(contentType)

/**
 * Reads a record's CloudEvents envelope in any of three modes: structured (`content-type: application/cloudevents+json`), binary (`ce_*`
 * headers), or a bare envelope as the value with no content type at all. The content type decides first.
 * Source: CloudEvents 1.0, Kafka protocol binding 1.0.2, sections 3.2 and 3.3.
 */
export const readCloudEvent = (record: Pick<SourceRecord, "value" | "headers">): CloudEvent => {
  const headers = readHeaders(record.headers)
  switch (modeIn(headers)) {
    case "structured":
      return readStructured(record.value)
    case "binary":
      return readBinary(headers, record.value)
    case undefined:
      return unreadable(
        "content-type",
        "expected content-type application/cloudevents+json, ce_* headers, or a CloudEvents envelope without a content-type"
      )
  }
}

/** Where a record has its CloudEvents attributes: in its value, or in headers. */
export type ContentMode = "binary" | "structured"

const modeIn = (headers: Headers): ContentMode | undefined => {
  const contentType = headers.get("content-type")
  if (isStructured(contentType)) return "structured"
  if ([...headers.keys()].some((name) => name.startsWith(ATTRIBUTE_PREFIX))) return "binary"
  return contentType === undefined ? "structured" : undefined
}

/** `undefined` where a record's headers say that it is no CloudEvent. Whether its value is one is not looked at. */
export const contentMode = (headers: ReadonlyArray<RecordHeader>): ContentMode | undefined =>
  modeIn(readHeaders(headers))
