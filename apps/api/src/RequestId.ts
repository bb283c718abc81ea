import { Headers, type HttpServerRequest } from "effect/http"
import { randomUUID } from "node:crypto"

/** What names a request in its answer and in the audit log. */
export const REQUEST_ID = "x-request-id"

const ACCEPTABLE = /^[\w.:-]{1,64}$/u

// Node's UUIDs draw on a pool of random bytes: a tenth of the cost of asking the system each time.

/** The request with an id in its headers: its own where that is one, or else a new one. */
export const withRequestId = (request: HttpServerRequest.HttpServerRequest): HttpServerRequest.HttpServerRequest =>
  ACCEPTABLE.test(request.headers[REQUEST_ID] ?? "")
    ? request
    : request.modify({ headers: Headers.set(request.headers, REQUEST_ID, randomUUID()) })

/** The id that `withRequestId` has given or left. */
export const requestIdOf = (request: HttpServerRequest.HttpServerRequest): string => request.headers[REQUEST_ID] ?? ""
