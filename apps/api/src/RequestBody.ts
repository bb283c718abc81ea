import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"

/** The fields of a body that is a JSON object. One that is none, or no JSON at all, has no fields. */
export const readFields = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<ReadonlyMap<string, unknown>> => Effect.map(readJson(request), fieldsOf)

/** The items of a body that is a JSON array. One that is none, or no JSON at all, has no items. */
export const readItems = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<ReadonlyArray<unknown>> =>
  Effect.map(readJson(request), (value) => Array.isArray(value) ? value : [])

export const fieldsOf = (value: unknown): ReadonlyMap<string, unknown> =>
  new Map(typeof value === "object" && value !== null ? Object.entries(value) : [])

const readJson = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<unknown> =>
  // A body that is too large or cut off is answered where HTTP's own failures are.
  Effect.map(Effect.orDie(request.text), parse)

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
