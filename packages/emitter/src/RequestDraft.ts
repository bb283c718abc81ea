import { type CreateRequest, type DeleteRequest } from "@origin-regions/domain/MappingRequest"

/** What is made where it is left out: `id` and `time` anew, `traceparent` of the current span; the others stay out of the event. */
export interface RequestAttributes {
  /** Together with the emitter's `source` it says which request this is: one that is sent again with the same is done once. A UUID where left out. */
  readonly id?: string | undefined
  /** RFC 3339. Now, where left out. */
  readonly time?: string | undefined
  /** RFC 3339: the moment after which the request must no longer be applied. */
  readonly expirytime?: string | undefined
  /** Comes back with the outcome. */
  readonly correlationid?: string | undefined
  /** W3C Trace Context; comes back with the outcome. */
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
}

/** A request as a service gives it: what is to be done, and the fields of the event's data and attributes beside each other. */
export type RequestDraft =
  | RequestAttributes & typeof CreateRequest.Encoded["data"] & { readonly operation: "create" | "upsert" }
  | RequestAttributes & typeof DeleteRequest.Encoded["data"] & { readonly operation: "delete" }
