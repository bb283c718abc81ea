import { type MappingOutcome, outcomeTypes } from "@origin-regions/domain/MappingOutcome"

type EventOf<Status extends keyof typeof outcomeTypes> = Extract<
  MappingOutcome,
  { readonly type: typeof outcomeTypes[Status] }
>

type OutcomeOf<Status extends keyof typeof outcomeTypes> =
  & { readonly status: Status; readonly event: EventOf<Status> }
  & Omit<EventOf<Status>["data"], "request">

/** What became of a request, with its whole event. */
export type RequestOutcome = OutcomeOf<"succeeded"> | OutcomeOf<"rejected"> | OutcomeOf<"failed">

export const requestOutcome = (event: MappingOutcome): RequestOutcome => {
  switch (event.type) {
    case outcomeTypes.succeeded: {
      const { request: _, ...data } = event.data
      return { status: "succeeded", event, ...data }
    }
    case outcomeTypes.rejected: {
      const { request: _, ...data } = event.data
      return { status: "rejected", event, ...data }
    }
    case outcomeTypes.failed: {
      const { request: _, ...data } = event.data
      return { status: "failed", event, ...data }
    }
  }
}
