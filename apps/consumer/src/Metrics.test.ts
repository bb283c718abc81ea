import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { valueOf } from "./fixtures/ExposedMetrics.ts"
import { idlePipeline } from "./fixtures/IdlePipeline.ts"
import { renderMetrics } from "./Metrics.ts"
import type { PipelineStatus } from "./PipelineStatus.ts"

const pause = { since: 0, until: 1, failures: 1, reason: "status 429" }

const render = (pipeline: Partial<PipelineStatus>, endOffsets: ReadonlyMap<number, number> = new Map()) =>
  renderMetrics({
    pipeline: { ...idlePipeline, ...pipeline },
    member: { joined: true, ready: true, phase: "at work", lastContact: 0 },
    endOffsets,
    now: 0
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))

/** How many requests are told to be queued, and how many to wait for this. */
const told = (reason: string, pipeline: Partial<PipelineStatus>) =>
  Effect.map(render(pipeline), (text) => [
    valueOf(text, "origin_regions_consumer_requests_queued"),
    valueOf(text, `origin_regions_consumer_requests_waiting{reason="${reason}"}`)
  ])

describe("The metrics", () => {
  it.effect("count what has no outcome yet, and not what is done behind it", () =>
    Effect.gen(function*() {
      const partition = { partition: 3, head: 7, position: 900, undone: 15, paused: false, waiting: 0, wait: undefined }
      const lag = "origin_regions_consumer_lag_records{messaging_destination_partition_id=\"3\"}"
      const text = (end: number) => render({ partitions: [partition] }, new Map([[3, end]]))
      assert.strictEqual(valueOf(yield* text(1_000), lag), 115)
      assert.strictEqual(valueOf(yield* text(800), lag), 15)
    }))

  it.effect("count each request that waits for quota once, whether its turn comes or the API has answered 429", () =>
    Effect.gen(function*() {
      const waits = { ...idlePipeline.waits, quota: 48 }
      assert.deepStrictEqual(yield* told("quota", { queued: 50, waits }), [2, 48])
      assert.deepStrictEqual(yield* told("quota", { waiting: 48, waits, apiPause: pause, apiPauseReason: "quota" }), [
        0,
        48
      ])
    }))

  it.effect("count what waits for Kafka: outcomes that can't be published, and what is being looked up", () =>
    Effect.gen(function*() {
      const waits = { ...idlePipeline.waits, kafka: 3 }
      assert.deepStrictEqual(yield* told("kafka", { unpublished: 5, waits }), [0, 3])
      assert.deepStrictEqual(
        yield* told("kafka", { unpublished: 5, publishingProblem: "no broker answers", waits }),
        [0, 8]
      )
    }))
})
