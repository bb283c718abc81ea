import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { batchOf, createRequest, sourceRecord } from "./fixtures/ModelKafka.ts"
import { makePipeline, quiet, waiting } from "./fixtures/ModelPipeline.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"
const traceparent = `00-${traceId}-${spanId}-01`

describe("A line about a request", () => {
  it.effect("says of one that waits which it is", () =>
    Effect.gen(function*() {
      const { assign, fields, lines, pipeline } = yield* makePipeline({
        attempt: () => Effect.succeed(waiting("1 second"))
      })
      assign(2)
      pipeline.handler.received(
        batchOf(2, [sourceRecord(2, 7, createRequest("req-1", "2001:DB8::1", { traceparent }))], { fetchedOffset: 0 })
      )
      yield* quiet
      assert.deepStrictEqual(lines, ["Warn zone/2001:db8::1 waits 1s: the API is down"])
      assert.deepStrictEqual(fields, [{
        zone_id: "zone",
        origin_ip: "2001:db8::1",
        operation: "create",
        "cloudevents.event_id": "req-1",
        "cloudevents.event_source": "/test",
        "messaging.destination.name": "requests",
        "messaging.destination.partition.id": "2",
        "messaging.kafka.offset": 7,
        trace_id: traceId,
        span_id: spanId
      }])
    }))

  it.effect("says of one in the dead letters which it is, and why, in texts that forge no line", () =>
    Effect.gen(function*() {
      const { assign, fields, lines, pipeline } = yield* makePipeline({
        attempt: () =>
          Effect.succeed({
            _tag: "Settled",
            settlement: { _tag: "Malformed", issues: [{ path: "type", message: "type must be known" }] }
          })
      })
      assign(0)
      const id = "x".repeat(1_000)
      const key = new TextEncoder().encode("its\r\nkey")
      const value = JSON.stringify({ specversion: "1.0", id, source: "/test", type: "of another kind", data: {} })
      pipeline.handler.received(batchOf(0, [sourceRecord(0, 0, value, { key })]))
      yield* quiet
      assert.deepStrictEqual(lines, ["Warn A request is in the dead letters, malformed_request: type must be known"])
      assert.deepStrictEqual(fields, [{
        "messaging.kafka.message.key": "its\\u000d\\u000akey",
        "cloudevents.event_id": `${"x".repeat(256)}…`,
        "cloudevents.event_source": "/test",
        "messaging.destination.name": "requests",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        outcomecode: "malformed_request"
      }])
    }))

  it.effect("speaks for all others within five seconds", () =>
    Effect.gen(function*() {
      const { assign, fields, lines, pipeline } = yield* makePipeline({
        attempt: () =>
          Effect.succeed({ _tag: "Settled", settlement: { _tag: "Failed", name: "expired", message: "Too late." } })
      })
      assign(0)
      const receive = (from: number, count: number) => {
        const records = Array.from({ length: count }, (_, index) => sourceRecord(0, from + index, "{}"))
        pipeline.handler.received(batchOf(0, records))
        return quiet
      }
      yield* receive(0, 100)
      yield* TestClock.adjust("4 seconds")
      yield* receive(100, 1)
      assert.lengthOf(lines, 1)
      yield* TestClock.adjust("1 second")
      yield* receive(101, 1)
      assert.deepStrictEqual(lines, [
        "Warn A request is in the dead letters, expired: Too late.",
        "Warn 101 requests are in the dead letters, the last: expired: Too late."
      ])
      assert.strictEqual(fields[1]?.["messaging.kafka.offset"], 101)
    }))
})

describe("A line about a zone, or a partition", () => {
  it.effect("says which", () =>
    Effect.gen(function*() {
      const { assign, fields, lines, pipeline } = yield* makePipeline({
        attempt: () => Effect.succeed(waiting("1 milli"))
      })
      assign(3)
      pipeline.handler.received(
        batchOf(3, Array.from({ length: 5 }, (_, at) => sourceRecord(3, at, createRequest(`${at}`, `10.0.0.${at}`))))
      )
      yield* quiet
      pipeline.handler.skipped(3, 100)
      yield* quiet
      const about = lines.map((line, index) => [line.split(":")[0], fields[index]])
      assert.deepInclude(about, ["Warn All requests of zone zone wait, as 5 in a row have failed", { zone_id: "zone" }])
      assert.deepInclude(about, [
        "Error Kafka has deleted requests before they were read",
        { "messaging.destination.name": "requests", "messaging.destination.partition.id": "3" }
      ])
    }))
})
