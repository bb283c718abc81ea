import { type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { Effect } from "effect"
import type { HttpServerResponse } from "effect/http"
import { Caller } from "./Authentication.ts"
import { failure, type Payload, success } from "./Envelope.ts"
import type { Author } from "./MappingStore.ts"
import type { BatchResult, OriginRegionsError, Refusal } from "./OriginRegions.ts"
import { countRequest, timed } from "./RequestMetrics.ts"

/** What each refusal is called on the wire. */
export type ErrorNames = Readonly<Record<OriginRegionsError["reason"]["_tag"], ApiErrorName>>

/**
 * The operations of one generation, between its routes and the rules: each is told who asks, and what it gives is put into its envelope,
 * counted and timed.
 */
export const operationsOf =
  (generation: Author["generation"], generationNames: ErrorNames) =>
  <Envelope extends { readonly result: unknown }>(operation: string, names: Partial<ErrorNames> = {}) => {
    const errorNames = { ...generationNames, ...names }
    const timing = timed(generation, operation)
    return (
      run: (author: Author) => Effect.Effect<Payload<Envelope>, OriginRegionsError>
    ): Effect.Effect<HttpServerResponse.HttpServerResponse, never, Caller> =>
      timing(
        Effect.matchEffect(Effect.flatMap(Caller, (caller) => run({ ...caller, generation, operation })), {
          onSuccess: (payload) => Effect.as(countRequest(generation, operation, "ok"), success<Envelope>(payload)),
          onFailure: (error) => {
            const name = errorNames[error.reason._tag]
            const refused = Effect.as(countRequest(generation, operation, name), failure([name]))
            return error.reason._tag === "StoreFailed"
              ? Effect.andThen(Effect.logError(error.message, { generation, operation }), refused)
              : refused
          }
        })
      )
  }

/** An item of a batch that failed, on the wire: the address as it was given, and the text of what single operations answer. */
export const refused = (
  { ip, reason }: BatchResult["failed"][number],
  errorNames: Readonly<Record<Refusal["_tag"], ApiErrorName>>
) => ({
  ip: typeof ip === "string" ? ip : "",
  error: apiErrors[errorNames[reason._tag]].message
})
