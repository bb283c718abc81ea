import { outcomeCodeOf } from "@origin-regions/domain/MappingOutcome"
import type { ReadRequest } from "@origin-regions/domain/RequestReader"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { legible } from "@origin-regions/settings/LogFormat"
import { CurrentCauses } from "@origin-regions/telemetry/Causes"
import type { Span, SpanOptions } from "@origin-regions/telemetry/Span"
import { readTraceContext } from "@origin-regions/telemetry/TraceContext"
import { Tracing } from "@origin-regions/telemetry/Tracing"
import { Effect } from "effect"
import type { SettledTask } from "./Delivery.ts"
import { identityFields } from "./RequestFields.ts"
import type { Task } from "./Task.ts"

/** Begins the spans of requests, where they are recorded. */
export interface RequestTraces {
  readonly received: (record: SourceRecord, request: ReadRequest) => Span | undefined
}

/** `undefined` where there are no traces. By OpenTelemetry's conventions for consumers of messages. */
export const requestTraces = Effect.fnUntraced(function*(
  { groupId, requestsTopic }: { readonly groupId: string; readonly requestsTopic: string }
) {
  const tracing = yield* Tracing
  if (tracing === undefined) return undefined
  const common: SpanOptions = {
    kind: "consumer",
    name: `process ${requestsTopic}`,
    attributes: {
      "messaging.system": "kafka",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.consumer.group.name": groupId
    }
  }
  const traces: RequestTraces = {
    received: (record, request) => {
      const { id, traceparent, tracestate, type } = request.event
      const span = tracing.enter(common, readTraceContext(traceparent, tracestate))
      span?.set({
        ...identityFields({ record, request }),
        ...(id === null ? undefined : { "messaging.message.id": legible(id) }),
        ...(type === null ? undefined : { "cloudevents.event_type": legible(type) })
      })
      return span
    }
  }
  return traces
})

const isRecorded = ({ span }: Task): boolean => span !== undefined

/** The same effect, with the calls in it below the spans of those that it is done for; as it is where none of them is recorded. */
export const onBehalfOf = <A, E>(tasks: ReadonlyArray<Task>, effect: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  if (!tasks.some(isRecorded)) return effect
  return Effect.suspend(() => {
    const [first, ...others] = tasks.flatMap(({ span }) => span ?? [])
    if (first === undefined) return effect
    return Effect.provideService(effect, CurrentCauses, {
      spans: [first, ...others],
      resends: Math.max(...tasks.map(({ failures }) => failures))
    })
  })
}

/** The outcome of a request is certain. That the API or a rule says no is no error of what was done with it. */
export const endSettled = ({ settlement, task: { attempts, span } }: SettledTask): void => {
  if (span === undefined) return
  span.set({ outcomecode: outcomeCodeOf(settlement), attempts })
  if (settlement._tag !== "Failed") return span.end()
  span.set({ "error.type": settlement.name })
  span.end(settlement.message)
}

/** Others go on with the request. */
export const endAbandoned = ({ span }: Task): void => {
  if (span === undefined) return
  span.set({ abandoned: true })
  span.end()
}
