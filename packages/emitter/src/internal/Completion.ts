import { CreateRequest, DeleteRequest, type MappingRequest, UpsertRequest } from "@origin-regions/domain/MappingRequest"
import { Operation, requestTypes } from "@origin-regions/domain/Operation"
import { Vendor } from "@origin-regions/domain/Vendor"
import { Result, Schema, SchemaIssue } from "effect"
import type { RequestProblem } from "../EmitterError.ts"
import type { RequestDraft } from "../RequestDraft.ts"

/** What an emitter adds to a draft, where that does not say otherwise. */
export interface Defaults {
  readonly id: string
  readonly source: string
  readonly time: string
  readonly traceparent: string | undefined
}

type Decoder = (input: unknown) => Result.Result<MappingRequest, Schema.SchemaError>

const decoders: Readonly<Record<Operation, Decoder>> = {
  create: Schema.decodeUnknownResult(CreateRequest, { errors: "all" }),
  upsert: Schema.decodeUnknownResult(UpsertRequest, { errors: "all" }),
  delete: Schema.decodeUnknownResult(DeleteRequest, { errors: "all" })
}

const isOperation = Schema.is(Operation)
const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

const attributes = ["id", "time", "expirytime", "correlationid", "traceparent", "tracestate"]
const placed = ["zone_id", "ip", "vendor", "region"]
const addressed = ["zone_id", "ip"]

const TEXT = "a text of 1 to 1,024 characters, none of them a control character"
const TIME = "an RFC 3339 timestamp, such as 2030-01-31T12:00:00Z"

/** What each field must be. */
const expectations: ReadonlyMap<string, string> = new Map([
  ["id", TEXT],
  ["source", TEXT],
  ["time", TIME],
  ["expirytime", TIME],
  ["correlationid", TEXT],
  ["traceparent", TEXT],
  ["tracestate", TEXT],
  ["zone_id", "1 to 32 characters of A-Z a-z 0-9 _ -"],
  ["ip", "an IPv4 or IPv6 address"],
  ["vendor", `one of ${Vendor.schema.literals.join(", ")}`],
  ["region", "a cloud's name for a region, such as us-east-1"]
])

const SHOWN = 60

/** Anything as text: JavaScript gives numbers without end and objects in circles, too. */
const textOf = (given: unknown): string => {
  try {
    return JSON.stringify(given) ?? String(given)
  } catch {
    return typeof given
  }
}

/** `, not` what was given instead, cut short; nothing where nothing was. */
const insteadOf = (given: unknown): string => {
  if (given === undefined) return ""
  const text = textOf(given)
  return `, not ${text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text}`
}

type Problem = Omit<RequestProblem, "request">

const problem = (field: string, expected: string, given: unknown): Problem => ({
  field,
  message: `${field} must be ${expected}${insteadOf(given)}`
})

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** The request that a draft makes, or every problem that it has: drafts come from JavaScript too, and can be anything. */
export const complete = (
  draft: RequestDraft,
  defaults: Defaults
): Result.Result<MappingRequest, ReadonlyArray<Problem>> => {
  const given: unknown = draft
  if (!isObject(given)) return Result.fail([problem("request", "an object", given)])
  const { operation } = given
  if (!isOperation(operation)) {
    return Result.fail([problem("operation", `one of ${Operation.literals.join(", ")}`, operation)])
  }
  const dataFields = operation === "delete" ? addressed : placed
  const known = new Set(["operation", ...attributes, ...dataFields])
  // A misspelt expirytime must not become a request that never expires.
  const problems = Object.keys(given).filter((field) => !known.has(field)).map((field): Problem => ({
    field,
    message: `${field} is no field of a ${operation}: leave it out`
  }))
  const present = (fields: ReadonlyArray<string>) =>
    Object.fromEntries(fields.flatMap((field) => given[field] === undefined ? [] : [[field, given[field]]]))
  const event = {
    specversion: "1.0",
    id: defaults.id,
    source: defaults.source,
    type: requestTypes[operation],
    time: defaults.time,
    ...(defaults.traceparent === undefined ? undefined : { traceparent: defaults.traceparent }),
    ...present(attributes),
    data: present(dataFields)
  }
  const decoded = decoders[operation](event)
  if (Result.isSuccess(decoded)) {
    return problems.length === 0 ? Result.succeed(decoded.success) : Result.fail(problems)
  }
  const fields = formatIssues(decoded.failure.issue).issues.map(({ path }) => String(path?.at(-1)))
  for (const field of new Set(fields)) {
    const value = field === "source" ? defaults.source : given[field]
    problems.push(problem(field, expectations.get(field) ?? "as the contract has it", value))
  }
  return Result.fail(problems)
}
