import { type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { Schema } from "effect"
import { HttpServerResponse } from "effect/http"

/** The cause of an error in more detail, as `error_chain` carries it. */
export interface ErrorChainLink {
  readonly code: number
  readonly message: string
}

/** What wraps the result of an operation that was done. */
export const successEnvelope = <Result extends Schema.Top>(result: Result) =>
  Schema.Struct({
    success: Schema.Literal(true),
    errors: Schema.Tuple([]),
    messages: Schema.Tuple([]),
    result
  })

/** What an envelope wraps: its result, and what stands beside it. */
export type Payload<Envelope> = Omit<Envelope, "success" | "errors" | "messages">

/**
 * The answer of an operation that was done. It is written as it is, without the schema that describes it: encoding a full zone by a schema takes
 * a hundred milliseconds.
 */
export const success = <Envelope extends { readonly result: unknown }>(payload: Payload<Envelope>) =>
  HttpServerResponse.jsonUnsafe({ success: true, errors: [], messages: [], ...payload })

interface FailureOptions {
  /** Instead of the catalogue's. */
  readonly status?: number
  readonly chain?: ReadonlyArray<ErrorChainLink>
}

/** The answer to a request that was not done, with one or more rows of the catalogue; the first one gives the status. */
export const failure = (
  names: readonly [ApiErrorName, ...ReadonlyArray<ApiErrorName>],
  options: FailureOptions = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(failureEnvelope(names, options), {
    status: options.status ?? apiErrors[names[0]].status
  })

export const failureEnvelope = (
  names: ReadonlyArray<ApiErrorName>,
  options: Pick<FailureOptions, "chain"> = {}
) => ({
  success: false as const,
  errors: names.map((name) => {
    const { code, message } = apiErrors[name]
    return options.chain === undefined ? { code, message } : { code, message, error_chain: options.chain }
  }),
  messages: [] as const,
  result: null
})

/** The answer to a request, beside the published contract, that is at fault in a way that `problem` says. */
export const badRequest = (problem: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(
    { success: false, errors: [{ code: OWN_ERROR, message: problem }], messages: [], result: null },
    { status: 400 }
  )

/** The smallest code that the contract allows, which Cloudflare gives to nothing here. */
const OWN_ERROR = 1000

/** The answer to a path or method that leads nowhere, a zone id that can be none included. */
export const noRoute = failure(["unknown_zone", "no_route"])

/** The schema of the answers that `failure` gives for these rows of the catalogue with this status. */
const failureSchema = (status: number, names: ReadonlyArray<ApiErrorName>) =>
  Schema.Struct({
    success: Schema.Literal(false),
    errors: Schema.Array(
      Schema.Struct({
        code: Schema.Literals([...new Set(names.map((name) => apiErrors[name].code))]),
        message: Schema.Literals([...new Set(names.map((name) => apiErrors[name].message))]),
        error_chain: Schema.optionalKey(Schema.Array(Schema.Struct({ code: Schema.Int, message: Schema.String })))
      })
    ),
    messages: Schema.Tuple([]),
    result: Schema.Null
  }).annotate({
    httpApiStatus: status,
    description: names.map((name) => `- ${apiErrors[name].code}: ${apiErrors[name].message}`).join("\n")
  })

/** The same for each status that the catalogue gives these rows. */
const failureSchemas = (...names: ReadonlyArray<ApiErrorName>) =>
  [...Map.groupBy(names, (name) => apiErrors[name].status)].map(([status, ofStatus]) => failureSchema(status, ofStatus))

/** What any operation can answer. */
const everywhere = [
  "unknown_zone",
  "no_route",
  "missing_credential",
  "invalid_headers",
  "authentication_error",
  "rate_limited",
  "internal_error"
] as const

/** The schemas of every failure of an operation: those of the rows that it names, and those that any has. */
export const operationFailures = (...names: ReadonlyArray<ApiErrorName>) => failureSchemas(...names, ...everywhere)

/** A body beyond the limit is not read, so there is no address in it. */
export const bodyTooLarge = failureSchema(413, ["invalid_ip"])
