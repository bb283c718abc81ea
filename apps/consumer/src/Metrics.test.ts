import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { valueOf } from "./fixtures/ExposedMetrics.ts"
import { idlePipeline } from "./fixtures/IdlePipeline.ts"
import { renderMetrics } from "./Metrics.ts"
import type { PipelineStatus } from "./PipelineStatus.ts"

const pause = { since: 0, until: 1, failures: 1, reason: "status 429" }

/** How many requests are told to be queued, and how many to wait for quota. */
const told = (pipeline: Partial<PipelineStatus>) =>
  renderMetrics({
    pipeline: { ...idlePipeline, ...pipeline },
    member: { joined: true, ready: true, phase: "at work", lastContact: 0 },
    endOffsets: new Map(),
    now: 0
  }).pipe(
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.map((text) => [
      valueOf(text, "origin_regions_consumer_requests_queued"),
      valueOf(text, "origin_regions_consumer_requests_waiting{reason=\"quota\"}")
    ])
  )

describe("The metrics", () => {
  it.effect("count each request that waits for quota once, whether its turn comes or the API has answered 429", () =>
    Effect.gen(function*() {
      const waits = { ...idlePipeline.waits, quota: 48 }
      assert.deepStrictEqual(yield* told({ queued: 50, waits }), [2, 48])
      assert.deepStrictEqual(yield* told({ waiting: 48, waits, apiPause: pause, apiPauseReason: "quota" }), [0, 48])
    }))
})
