import { assert, describe, it } from "@effect/vitest"
import { readTraceContext, traceparentOf } from "./TraceContext.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"

describe("A traceparent", () => {
  it.each([
    ["recorded", `00-${traceId}-${spanId}-01`, true],
    ["not recorded", `00-${traceId}-${spanId}-00`, false],
    ["with flags to come", `00-${traceId}-${spanId}-03`, true],
    ["of a version to come", `cc-${traceId}-${spanId}-01-what-the-future-will-be-like`, true]
  ])("is read: %s", (_, text, isSampled) => {
    assert.deepStrictEqual(readTraceContext(text), { traceId, spanId, isSampled, traceState: undefined })
  })

  it.each([
    null,
    undefined,
    "",
    "of somebody else's instrumentation",
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${traceId}-${spanId}-01.`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01\r\nhost: elsewhere`
  ])("is none: %j", (text) => {
    assert.isUndefined(readTraceContext(text))
  })

  it("is written as it was read", () => {
    for (const text of [`00-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}-00`]) {
      const context = readTraceContext(text)
      assert.strictEqual(context && traceparentOf(context), text)
    }
  })
})

const stateOf = (tracestate: string | null) => readTraceContext(`00-${traceId}-${spanId}-01`, tracestate)?.traceState

describe("A tracestate", () => {
  it("is passed on as it came", () => {
    assert.strictEqual(stateOf("vendor=1, other=2"), "vendor=1, other=2")
  })

  it("is left out where it can't go into a header", () => {
    for (const text of [null, "", "a=\r\nhost: elsewhere", "a=ü", `a=${"b".repeat(511)}`]) {
      assert.isUndefined(stateOf(text))
    }
  })
})
