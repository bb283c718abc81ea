import { assert, describe, it } from "@effect/vitest"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { readTraceSettings, traceSettings } from "@origin-regions/telemetry/TraceSettings"
import * as Traces from "@origin-regions/telemetry/Tracing"
import { collectedBy, makeOtlpCollector } from "@origin-regions/testkit/OtlpCollector"
import { Effect, Exit, Layer, Scope } from "effect"
import { batchFrom } from "./fixtures/ModelKafka.ts"
import { makePipeline, quiet, settle } from "./fixtures/ModelPipeline.ts"

const declared = traceSettings("consumer")

/** A pipeline whose requests are recorded, and what it came to once the traces are ended. */
const traced = Effect.fnUntraced(function*(options: Parameters<typeof makePipeline>[0] = {}) {
  const collector = yield* makeOtlpCollector
  const reader = new SettingReader(collectedBy(collector))
  const scope = yield* Scope.make()
  const traces = Traces.layer(readTraceSettings(reader, declared, reader.readAll(declared)))
  const context = yield* Layer.buildWithScope(traces, scope)
  const pipeline = yield* Effect.provideContext(makePipeline(options), context)
  return { ...pipeline, spans: Effect.as(Scope.close(scope, Exit.void), collector.spans) }
})

describe("The span of a request", () => {
  it.effect("says that others go on with it, wherever it was when its partition went", () =>
    Effect.gen(function*() {
      const { assign, calls, pipeline, spans } = yield* traced({ concurrency: 1 })
      assign(0, 1)
      pipeline.handler.received(batchFrom(0, 0, 3))
      const inFlight = yield* calls
      // Not yet reserved.
      pipeline.handler.received(batchFrom(0, 3, 300))
      assign(1)
      settle(inFlight)
      yield* quiet
      const ended = yield* spans
      assert.lengthOf(ended, 303)
      for (const { attributes, status } of ended) {
        assert.deepInclude(attributes, { abandoned: true })
        assert.notProperty(attributes, "outcomecode")
        assert.deepStrictEqual(status, { code: 0 })
      }
    }))

  it.effect("is an error where the request is given up, and only there", () =>
    Effect.gen(function*() {
      const { assign, pipeline, spans } = yield* traced({
        attempt: ({ record }) =>
          Effect.succeed({
            _tag: "Settled",
            settlement: record.offset === 0
              ? { _tag: "Failed", name: "gave_up", message: "Given up after 24h." }
              : { _tag: "Rejected", code: 1145, message: "It has one already." }
          })
      })
      assign(0)
      pipeline.handler.received(batchFrom(0, 0, 2))
      yield* quiet
      const results = (yield* spans).map(({ attributes, status }) => ({
        status,
        outcomecode: attributes["outcomecode"],
        type: attributes["error.type"]
      }))
      assert.deepStrictEqual(results.toSorted((one, other) => other.status.code - one.status.code), [
        { status: { code: 2, message: "Given up after 24h." }, outcomecode: "gave_up", type: "gave_up" },
        { status: { code: 0 }, outcomecode: "1145", type: undefined }
      ])
    }))
})
