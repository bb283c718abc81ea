import { legible } from "@origin-regions/settings/LogFormat"
import { readTraceContext } from "@origin-regions/telemetry/TraceContext"
import type { Task } from "./Task.ts"

const decoder = new TextDecoder()

/** What a line about a partition says of it, by OpenTelemetry's names. */
export const partitionFields = ({ partition, topic }: { readonly partition: number; readonly topic: string }) => ({
  "messaging.destination.name": topic,
  "messaging.destination.partition.id": String(partition)
})

/** What a request is about, and what its emitter calls it; texts of the emitter are made legible. Nothing stands for what could not be read. */
export const identityFields = (
  { record, request: { event, operation, originIp, zoneId } }: Pick<Task, "record" | "request">
) => ({
  ...(zoneId === null ? undefined : { zone_id: zoneId }),
  ...(originIp === null ? undefined : { origin_ip: originIp }),
  ...(originIp === null && record.key !== null
    ? { "messaging.kafka.message.key": legible(decoder.decode(record.key.subarray(0, 1024))) }
    : undefined),
  ...(operation === null ? undefined : { operation }),
  ...(event.id === null ? undefined : { "cloudevents.event_id": legible(event.id) }),
  ...(event.source === null ? undefined : { "cloudevents.event_source": legible(event.source) }),
  ...partitionFields(record),
  "messaging.kafka.offset": record.offset
})

/** What a line about a request says of it: also its trace, which is the emitter's where we record none. */
export const requestFields = (task: Pick<Task, "record" | "request" | "span">) => {
  const { event } = task.request
  const trace = task.span ?? readTraceContext(event.traceparent)
  return {
    ...identityFields(task),
    ...(trace === undefined ? undefined : { trace_id: trace.traceId, span_id: trace.spanId })
  }
}
