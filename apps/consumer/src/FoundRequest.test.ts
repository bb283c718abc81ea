import { assert, describe, it } from "@effect/vitest"
import { BadCredential, Unavailable } from "@origin-regions/api-client/ApiError"
import { Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { batchOf, createRequest, sourceRecord, unreachable } from "./fixtures/ModelKafka.ts"
import { type Call, failing, makePipeline, quiet, settle } from "./fixtures/ModelPipeline.ts"
import type { FoundRequest } from "./FoundRequest.ts"
import type { Pipeline } from "./Pipeline.ts"

const noon = Date.UTC(2026, 10, 24, 12)

/** Requests with these addresses, ids `0`, `1`, …, in partition 0. */
const requests = (...ips: ReadonlyArray<string>) =>
  batchOf(0, ips.map((ip, offset) => sourceRecord(0, offset, createRequest(`${offset}`, ip))))

const brief = ({ ahead, state, task: { request } }: FoundRequest) => ({
  id: request.event.id,
  ahead,
  is: state._tag === "waiting" ? `waiting for ${state.of}` : state._tag
})

const all = ({ find }: Pipeline["Service"]) => find(() => true).map(brief)

const fail = (call: Call) =>
  call.finish(Exit.succeed(failing(new Unavailable({ status: 503, message: "away" }), "5 seconds")))

describe("Pipeline.find", () => {
  it.effect("finds what is under way, and what is behind it in its lane", () =>
    Effect.gen(function*() {
      const { assign, calls, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(requests("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"))
      yield* calls
      yield* calls
      assert.deepStrictEqual(all(pipeline), [
        { id: "0", ahead: 0, is: "in_call" },
        { id: "1", ahead: 1, is: "queued" },
        { id: "2", ahead: 0, is: "in_call" },
        { id: "3", ahead: 2, is: "queued" }
      ])
      assert.deepStrictEqual(pipeline.find(({ event }) => event.id === "3").map(brief), [
        { id: "3", ahead: 2, is: "queued" }
      ])
    }))

  it.effect("finds what is not let into its lane yet, in its place there", () =>
    Effect.gen(function*() {
      const { assign, kafka, pending, pipeline } = yield* makePipeline()
      kafka.hindrance = () => Effect.never
      assign(0)
      pipeline.handler.received(requests("192.0.2.1", "192.0.2.1"))
      assert.lengthOf(yield* pending, 0)
      assert.deepStrictEqual(all(pipeline), [
        { id: "0", ahead: 0, is: "queued" },
        { id: "1", ahead: 1, is: "queued" }
      ])
      assert.deepStrictEqual(pipeline.find(({ event }) => event.id === "1").map(brief), [
        { id: "1", ahead: 1, is: "queued" }
      ])
    }))

  it.effect("finds what waits for another attempt, until when, and what waits behind it", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(noon)
      const { assign, calls, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(requests("192.0.2.1", "192.0.2.1"))
      fail(yield* calls)
      yield* quiet
      assert.deepStrictEqual(all(pipeline), [
        { id: "0", ahead: 0, is: "waiting for request" },
        { id: "1", ahead: 1, is: "waiting for ahead" }
      ])
      const [{ state, task } = assert.fail("it is gone")] = pipeline.find(({ event }) => event.id === "0")
      assert.strictEqual(task.failures, 0)
      assert.deepInclude(state, {
        pause: { since: noon, until: noon + 5_000, failures: 0, reason: "away" }
      })
      yield* TestClock.adjust("5 seconds")
      yield* calls
      assert.deepStrictEqual(all(pipeline).map(({ is }) => is), ["in_call", "queued"])
    }))

  it.effect("says what holds up more than the request: its zone, or the API", () =>
    Effect.gen(function*() {
      const { assign, calls, pending, pipeline } = yield* makePipeline({ concurrency: 5 })
      assign(0)
      pipeline.handler.received(requests(...Array.from({ length: 6 }, (_, index) => `192.0.2.${index % 5}`)))
      for (let count = 0; count < 5; count++) fail(yield* calls)
      yield* pending
      assert.deepStrictEqual(all(pipeline).map(({ is }) => is), Array(6).fill("waiting for zone"))
      yield* TestClock.adjust("10 seconds")
      const probe = yield* calls
      probe.finish(Exit.succeed(failing(new BadCredential({ code: 10000, message: "no" }), "10 seconds")))
      yield* quiet
      assert.deepStrictEqual(all(pipeline).map(({ is }) => is), Array(6).fill("waiting for api"))
    }))

  it.effect("finds what is decided, and waits for its outcome to be published", () =>
    Effect.gen(function*() {
      const { assign, calls, history, kafka, pipeline } = yield* makePipeline()
      assign(0)
      pipeline.handler.received(requests("192.0.2.1", "192.0.2.1"))
      kafka.hindrance = (what) => what === "Transaction" ? Effect.fail(unreachable("publish")) : Effect.void
      settle(yield* calls)
      yield* quiet
      assert.deepStrictEqual(all(pipeline), [
        { id: "0", ahead: 0, is: "unpublished" },
        { id: "1", ahead: 1, is: "queued" }
      ])
      kafka.hindrance = () => Effect.void
      yield* TestClock.adjust("1 second")
      settle(yield* calls)
      yield* quiet
      assert.deepStrictEqual([all(pipeline), history.count()], [[], 2])
    }))
})
