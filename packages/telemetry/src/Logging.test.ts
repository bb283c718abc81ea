import { assert, describe, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { layerLogging, legible } from "./Logging.ts"

const forged = "a\r\nlevel=FATAL message=\"all is lost\"\u2028\u001b[2K"

/** The lines that a console shows of what is logged. */
const linesOf = (logFormat: "json" | "logfmt" | "pretty", line: Effect.Effect<void>) => {
  const lines: Array<string> = []
  const console = {
    ...globalThis.console,
    log: (...parts: ReadonlyArray<unknown>) => {
      lines.push(...parts.join(" ").split(/[\r\n\u2028\u2029]/))
    },
    group: () => {},
    groupEnd: () => {}
  }
  return line.pipe(
    Effect.provide(layerLogging({ logFormat, logLevel: "Info" })),
    Effect.provideService(Console.Console, console),
    Effect.map(() => lines)
  )
}

describe("A text of others", () => {
  it("stays on its line, and within bounds", () => {
    assert.strictEqual(legible("2001:db8::1 ünïcode"), "2001:db8::1 ünïcode")
    assert.strictEqual(legible("a\r\nb\u0085c\u2028d\u001b[2Ke"), "a��b�c�d�[2Ke")
    assert.strictEqual(legible("x".repeat(10_000)), `${"x".repeat(256)}…`)
  })

  it.effect.each([["json", 1], ["logfmt", 1], ["pretty", 2]] as const)(
    "forges no line (%s)",
    ([format, expected]) =>
      Effect.gen(function*() {
        const line = Effect.logWarning(`it waits: ${forged}`).pipe(
          Effect.annotateLogs({ "cloudevents.event_id": legible(forged) })
        )
        const lines = yield* linesOf(format, line)
        assert.lengthOf(lines, expected)
        assert.include(lines.join("\n"), "cloudevents.event_id")
        assert.notInclude(lines.join("\n"), "\u001b")
      })
  )

  it.effect("makes no line longer than is reasonable", () =>
    Effect.gen(function*() {
      const [line = ""] = yield* linesOf("json", Effect.logWarning("x".repeat(100_000)))
      assert.isBelow(line.length, 3_000)
    }))
})

describe("The log", () => {
  it.effect("has fields of its own for what a line is about", () =>
    Effect.gen(function*() {
      const line = Effect.annotateLogs(Effect.logInfo("done"), { zone_id: "z", "messaging.kafka.offset": 17 })
      const [json = ""] = yield* linesOf("json", line)
      assert.deepInclude(JSON.parse(json), {
        message: "done",
        annotations: { zone_id: "z", "messaging.kafka.offset": 17 }
      })
      const [logfmt = ""] = yield* linesOf("logfmt", line)
      assert.match(logfmt, / message=done zone_id=z messaging\.kafka\.offset=17$/)
    }))

  it.effect("begins at its level", () =>
    Effect.gen(function*() {
      assert.isEmpty(yield* linesOf("json", Effect.logDebug("details")))
    }))
})
