import { mappingOutcome, outcomeRecord, type Settlement } from "@origin-regions/domain/MappingOutcome"
import type { MappingRequest } from "@origin-regions/domain/MappingRequest"
import { type ReadRequest, readRequest } from "@origin-regions/domain/RequestReader"
import { parseTimestamp } from "@origin-regions/domain/Timestamp"
import type { KafkaPort, Subscriber } from "./EmitterKafka.ts"

/** How a request is settled; `undefined` leaves it without an outcome. */
type Answer = (request: MappingRequest) => Settlement | undefined

/** Kafka and a consumer within the process, for tests of what emits requests. */
export interface MemoryKafka extends KafkaPort {
  /** All that was sent, in its order. */
  readonly requests: ReadonlyArray<MappingRequest>
}

const encoder = new TextEncoder()

/** Answers as the consumer does that could apply everything at once; give it another `answer` for rejections and the like. */
export const memoryKafka = (answer: Answer = applied): MemoryKafka => {
  const requests: Array<MappingRequest> = []
  const subscribers = new Set<Subscriber>()

  const settle = (request: MappingRequest, read: ReadRequest, topic: string): void => {
    const settlement = answer(request)
    if (settlement === undefined) return
    const settledAt = parseTimestamp(request.time ?? "") ?? 0
    const record = { topic, partition: 0, offset: requests.length - 1, timestamp: settledAt }
    const outcome = mappingOutcome({ groupId: "memory", record, request: read, settlement, attempts: 1, settledAt })
    const { headers, value } = outcomeRecord(outcome, null)
    for (const { received } of subscribers) {
      received({
        value: typeof value === "string" ? encoder.encode(value) : value,
        headers: Object.fromEntries(headers.map(({ name, value }) => [name, value]))
      })
    }
  }

  return {
    requests,
    send: async (records) => {
      for (const { topic, value } of records) {
        const request: MappingRequest = JSON.parse(value)
        requests.push(request)
        settle(request, readRequest({ value: encoder.encode(value), headers: [] }), topic)
      }
      return { partitions: [0], of: 1 }
    },
    subscribe: async (_, subscriber) => {
      subscribers.add(subscriber)
      return async () => {
        subscribers.delete(subscriber)
      }
    }
  }
}

const results = { create: "created", upsert: "upserted", delete: "deleted" } as const

const applied: Answer = (request) => {
  const { operation, originIp, verdict, zoneId } = readRequest({
    value: encoder.encode(JSON.stringify(request)),
    headers: []
  })
  if (verdict._tag !== "Apply" || operation === null || zoneId === null || originIp === null) return undefined
  const mapping = verdict.change.operation === "delete"
    ? null
    : {
      zone_id: zoneId,
      origin_ip: originIp,
      vendor: verdict.change.vendor,
      region: verdict.change.region,
      modified_on: request.time ?? null
    }
  return { _tag: "Succeeded", result: results[operation], mapping, recovered: false }
}
