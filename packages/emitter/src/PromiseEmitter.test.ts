import { assert, describe, it } from "@effect/vitest"
import { EmitterError } from "./EmitterError.ts"
import { memoryKafka } from "./MemoryKafka.ts"
import { makeEmitter } from "./PromiseEmitter.ts"

const placed = { zone_id: "z", ip: "192.0.2.1", vendor: "aws", region: "us-east-1" } as const

/** The error of a promise that must fail, in few words. */
const failureOf = async (promise: Promise<unknown>) => {
  const error = await promise.then(() => assert.fail("it resolved"), (error: unknown) => error)
  assert.instanceOf(error, EmitterError)
  const { reason, sent } = error
  return { reason: reason._tag === "NoOutcome" ? reason.why : reason._tag, sent }
}

describe("makeEmitter", () => {
  it("emits, and ends with the block", async () => {
    const kafka = memoryKafka()
    let closed = 0
    const close = async () => {
      closed += 1
    }
    {
      await using emitter = makeEmitter({ source: "/test", kafka: { ...kafka, close } })
      const request = await emitter.emit({ operation: "create", ...placed })
      const others = await emitter.emitAll([
        { operation: "upsert", ...placed },
        { operation: "delete", zone_id: "z", ip: "::1" }
      ])
      assert.deepStrictEqual(kafka.requests, [request, ...others])
    }
    assert.strictEqual(closed, 1)
  })

  it("resolves with outcomes, of other topics too", async () => {
    const kafka = memoryKafka()
    const topics: Array<string> = []
    await using emitter = makeEmitter({
      source: "/test",
      requestsTopic: "edge.requests",
      outcomesTopic: "edge.outcomes",
      kafka: {
        send: (records) => {
          topics.push(...records.map(({ topic }) => topic))
          return kafka.send(records)
        },
        subscribe: async (topic, subscriber) => {
          topics.push(topic)
          return await kafka.subscribe?.(topic, subscriber) ?? assert.fail()
        }
      }
    })
    const outcome = await emitter.request({ operation: "create", ...placed }, { timeoutMs: 60_000 })
    assert.isTrue(outcome.status === "succeeded" && outcome.result === "created")
    assert.deepStrictEqual(topics, ["edge.outcomes", "edge.requests"])
  })

  it("rejects with what went wrong, and whether the request was sent", async () => {
    const emitter = makeEmitter({ source: "/test", kafka: memoryKafka(() => undefined) })
    const draft = { operation: "create", ...placed } as const
    assert.deepStrictEqual(await failureOf(emitter.emit({ ...draft, ip: "x" })), {
      reason: "InvalidRequests",
      sent: "no"
    })
    assert.deepStrictEqual(await failureOf(emitter.request(draft, { timeoutMs: 20 })), {
      reason: "deadline",
      sent: "yes"
    })
    const controller = new AbortController()
    const aborted = failureOf(emitter.request(draft, { signal: controller.signal }))
    // It is sent, and then waits.
    await emitter.emit(draft)
    controller.abort()
    assert.deepStrictEqual(await aborted, { reason: "aborted", sent: "yes" })
    assert.deepStrictEqual(await failureOf(emitter.request(draft, { signal: controller.signal })), {
      reason: "aborted",
      sent: "no"
    })
    const waiting = failureOf(emitter.request(draft))
    await emitter.emit(draft)
    await emitter.close()
    assert.deepStrictEqual(await waiting, { reason: "EmitterClosed", sent: "yes" })
    assert.deepStrictEqual(await failureOf(emitter.emit(draft)), { reason: "EmitterClosed", sent: "no" })
    await emitter.close()
  })
})
