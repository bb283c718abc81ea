import type { Span } from "@origin-regions/telemetry/Span"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { randomUUID } from "node:crypto"

/** A request under way to its answer. */
export interface Exchange {
  readonly request: HttpServerRequest.HttpServerRequest
  /** What names it in its answer and in the audit log. */
  readonly id: string
  /** What its answer will carry, whatever that turns out to be. */
  readonly headers: Record<string, string>
  /** Where it is recorded. */
  span: Span | undefined
}

const REQUEST_ID = "x-request-id"

const ACCEPTABLE = /^[\w.:-]{1,64}$/u

/** Its id is the request's own where that can be taken, or else a new one. */
export const beginExchange = (request: HttpServerRequest.HttpServerRequest): Exchange => {
  const own = request.headers[REQUEST_ID] ?? ""
  // Node's UUIDs draw on a pool of random bytes: a tenth of the cost of asking the system each time.
  const id = ACCEPTABLE.test(own) ? own : randomUUID()
  return { request, id, headers: { [REQUEST_ID]: id }, span: undefined }
}

/** What a line about a request says of it. */
export const exchangeFields = ({ id, span }: Exchange) => ({
  request_id: id,
  ...(span === undefined ? undefined : { trace_id: span.traceId, span_id: span.spanId })
})

/** The answer with all that it is to carry. `now` is in milliseconds since 1970. */
export const endExchange = (
  { headers }: Exchange,
  response: HttpServerResponse.HttpServerResponse,
  now: number
): HttpServerResponse.HttpServerResponse => HttpServerResponse.setHeaders(response, { ...headers, date: httpDate(now) })

let dateSecond = Number.NaN
let dateText = ""

/** As the `Date` header has it (RFC 9110, 5.6.7); written once a second. */
const httpDate = (now: number): string => {
  const second = Math.floor(now / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(now).toUTCString()
  }
  return dateText
}
