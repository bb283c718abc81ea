import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Logger } from "effect"
import { legible, type LogFormat, loggerOf } from "./LogFormat.ts"

/** What ends lines, somewhere; what moves cursors, and what hides what comes after it. */
const hostile = [
  "\n",
  "\r",
  "\u2028",
  "\u2029",
  "\u0085",
  "\u000B",
  "\u001B[2J",
  "\u009B2J",
  "\u0007",
  "\u0000",
  "\u007F"
]

/** What comes out for messages and fields. */
const written = (format: LogFormat, ...message: ReadonlyArray<unknown>) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const log = (...parts: ReadonlyArray<unknown>) => void lines.push(parts.map(String).join(" "))
    yield* Effect.logWarning(...message).pipe(
      Effect.provide(Logger.layer([loggerOf(format)])),
      Effect.provideService(Console.Console, { ...globalThis.console, log, group: () => {}, groupEnd: () => {} })
    )
    return lines
  })

describe.each(["json", "pretty", "logfmt"] as const)("A log in the form %s", (format) => {
  it.effect.each(hostile)("writes %j as a text", (control) =>
    Effect.gen(function*() {
      const lines = yield* written(format, `before${control}after`)
      assert.lengthOf(lines, 1)
      assert.notMatch(lines.join(), /[\p{Cc}\p{Zl}\p{Zp}]/u)
      assert.match(lines.join(), /before\\\S{1,10}after/)
    }))

  it.effect("is what it was where there is none of that", () =>
    Effect.gen(function*() {
      assert.include((yield* written(format, "größe € 😀")).join(), "größe € 😀")
    }))
})

describe("A text of somebody else's", () => {
  it("is legible: within bounds, and nothing but text", () => {
    assert.strictEqual(legible("2001:db8::1 größe"), "2001:db8::1 größe")
    assert.strictEqual(legible("a\r\nb"), "a\\u000d\\u000ab")
    assert.strictEqual(legible("x".repeat(10_000)), `${"x".repeat(256)}…`)
  })
})

describe("A log in JSON", () => {
  it.effect("gives back what was written", () =>
    Effect.gen(function*() {
      const message = hostile.join("and")
      const [line = ""] = yield* written("json", message, { field: message })
      assert.deepStrictEqual(JSON.parse(line).message, [message, { field: message }])
    }))
})
