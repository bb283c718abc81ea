import { type ApiErrorCategory, apiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { type Clock, Duration, Exit, Result } from "effect"
import { parseRetryAfter } from "effect/http/Headers"
import {
  AlreadyExists,
  ApiError,
  type ApiErrorReason,
  BadCredential,
  InvalidResponse,
  NotFound,
  RateLimited,
  Rejected,
  Unavailable
} from "../ApiError.ts"
import type { HttpAnswer } from "./HttpTransport.ts"

/** What a failure's classification needs beside the answer: the time, and what hides credentials in a text. */
export interface AnswerContext {
  readonly clock: Clock.Clock
  readonly redact: (text: string) => string
}

/**
 * The outcome of a call: what `readResult` makes of the envelope's `result`, or the reason that the answer gives.
 * `parse` makes the envelope of the body. `promised` names what a success must hold, for the error where `readResult` finds none.
 */
export const readAnswer = <A>(
  answer: HttpAnswer,
  parse: (body: Buffer) => unknown,
  promised: string,
  readResult: (result: unknown, envelope: { readonly [field: string]: unknown }) => A | undefined,
  context: AnswerContext
): Exit.Exit<A, ApiError> => {
  const success = answer.status >= 200 && answer.status < 300
  if (success) {
    const envelope = parse(answer.body)
    if (!isRecord(envelope) || typeof envelope["success"] !== "boolean") {
      return fail(
        new InvalidResponse({ status: answer.status, problem: `${describeBody(answer)} that is no envelope` })
      )
    }
    if (envelope["success"]) {
      const result = readResult(envelope["result"], envelope)
      return result === undefined
        ? fail(new InvalidResponse({ status: answer.status, problem: `a result that is not ${promised}` }))
        : Exit.succeed(result)
    }
  }
  return fail(classify(answer, context))
}

const fail = (reason: ApiErrorReason) => Exit.fail(new ApiError({ reason }))

/** An error that the API itself named, as in the envelope's `errors`. */
interface NamedError {
  readonly code: number
  readonly message: string
  readonly documentationUrl: string | undefined
}

/**
 * Goes by the code before the status: a full zone is a 403, throttling has been seen in other statuses than 429, and a success
 * can be a failure. Only what has no code, or none that the catalogue knows, is judged by its status.
 */
const classify = (answer: HttpAnswer, context: AnswerContext): ApiErrorReason => {
  const { status } = answer
  const errors = readErrors(parseJson(context.redact(answer.body.toString())))
  const throttled = errors.find(({ code }) => categoryOf(code) === "wait")
  if (throttled !== undefined || status === 429) {
    const error = throttled ?? errors[0]
    return new RateLimited({
      code: error?.code,
      message: error?.message ?? describeStatus(answer),
      retryAfter: readRetryAfter(answer, context.clock)
    })
  }
  const error = errors.find(({ code }) => categoryOf(code) !== undefined) ?? errors[0]
  const unavailable = () =>
    new Unavailable({
      status,
      code: error?.code,
      message: error?.message ?? describeStatus(answer),
      retryAfter: readRetryAfter(answer, context.clock)
    })
  if (error === undefined) return unavailable()
  if (error.code === ambiguousCode) {
    if (error.message.toLowerCase().includes("internal error")) return unavailable()
    if (error.message.toLowerCase().includes("not allowed for token")) return new BadCredential(error)
  }
  switch (categoryOf(error.code)) {
    case "absent":
      return new NotFound(error)
    case "credential":
      return new BadCredential(error)
    case "reject":
      return error.code === apiErrors.already_exists.code ? new AlreadyExists(error) : rejected(error, status)
    case undefined:
      return status >= 400 && status < 500 && !passing4xx.has(status) ? rejected(error, status) : unavailable()
    default:
      return unavailable()
  }
}

const rejected = (error: NamedError, status: number) =>
  new Rejected({ ...error, status, name: apiErrorName(error.code) ?? "rejected_by_api" })

/** Used by the API for a passing fault of its own as well as for a token that lacks a permission: only the text tells. */
const ambiguousCode = 10_001

/** Request Timeout, Conflict, Too Early: the same request can succeed later. */
const passing4xx: ReadonlySet<number> = new Set([408, 409, 425])

const categoryOf = (code: number): ApiErrorCategory | undefined => {
  const name = apiErrorName(code)
  return name === undefined ? undefined : apiErrors[name].category
}

const readErrors = (envelope: unknown): ReadonlyArray<NamedError> => {
  if (!isRecord(envelope) || !Array.isArray(envelope["errors"])) return []
  const errors: ReadonlyArray<unknown> = envelope["errors"]
  return errors.flatMap((error) => {
    if (!isRecord(error)) return []
    const { code, message, documentation_url: documentationUrl } = error
    return typeof code === "number" && Number.isFinite(code)
      ? [{
        code,
        message: typeof message === "string" ? message : "",
        documentationUrl: typeof documentationUrl === "string" ? documentationUrl : undefined
      }]
      : []
  })
}

/** Retry-After in either of its forms (RFC 9110 section 10.2.3); a date is measured against the answer's own Date. */
const readRetryAfter = (answer: HttpAnswer, clock: Clock.Clock): Duration.Duration | undefined => {
  const header = headerOf(answer, "retry-after")
  if (header === undefined) return undefined
  const parsed = parseRetryAfter(header)
  if (Result.isFailure(parsed)) return undefined
  if (parsed.success._tag === "Duration") return parsed.success.duration
  const answeredAt = Date.parse(headerOf(answer, "date") ?? "")
  const now = Number.isNaN(answeredAt) ? clock.currentTimeMillisUnsafe() : answeredAt
  return Duration.millis(Math.max(0, parsed.success.dateTime.epochMilliseconds - now))
}

const headerOf = (answer: HttpAnswer, name: string): string | undefined => {
  const value = answer.headers[name]
  return Array.isArray(value) ? value[0] : value
}

const describeStatus = (answer: HttpAnswer): string =>
  answer.status >= 300 && answer.status < 400
    ? `status ${answer.status}: a redirect, which is not followed (is CLOUDFLARE_BASE_URL right?)`
    : `status ${answer.status} with ${describeBody(answer)} instead of the API's errors`

const describeBody = ({ body, headers }: HttpAnswer): string =>
  body.length === 0 ? "an empty body" : `a body of ${headers["content-type"] ?? "no content type"}`

export const parseBody = (body: Buffer): unknown => parseJson(body.toString())

/** The value of a JSON text, or `undefined` where it is none. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
