import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { spawn } from "./ChildProcess.ts"
import { processIsGone } from "./internal/fixtures/Facts.ts"
import { Leash } from "./Leash.ts"

const node = (program: string) =>
  spawn({ command: process.execPath, args: ["--eval", program], environment: { PATH: process.env["PATH"] } })

const stubborn = `process.on("SIGTERM", () => console.log("no")); setInterval(() => {}, 1000); console.log("up")`
const sentence = (line: string) => line === "up" ? Option.some(line) : Option.none()

describe("ChildProcess", () => {
  it.effect("reads the lines of stdout and stderr, also for one who comes late", () =>
    Effect.gen(function*() {
      const child = yield* node(`console.log("one"); console.error("two"); process.stdout.write("three")`)
      assert.deepStrictEqual(yield* child.exit, { code: 0, signal: undefined })
      const lines = yield* Stream.runCollect(child.lines)
      assert.sameMembers([...lines], ["one", "two", "three"])
      assert.strictEqual(yield* child.isRunning, false)
    }).pipe(Effect.provide(Leash.layer)))

  it.effect("tells a code from a signal, and lets signals through", () =>
    Effect.gen(function*() {
      const failing = yield* node("process.exit(3)")
      assert.deepStrictEqual(yield* failing.exit, { code: 3, signal: undefined })
      const killed = yield* node(stubborn)
      yield* killed.firstLine(sentence)
      yield* killed.signal("SIGKILL")
      assert.deepStrictEqual(yield* killed.exit, { code: undefined, signal: "SIGKILL" })
    }).pipe(Effect.provide(Leash.layer)))

  it.effect("fails with the last lines where a process ends before it says what is waited for", () =>
    Effect.gen(function*() {
      const child = yield* node(`console.error("no such thing"); process.exit(2)`)
      const error = yield* Effect.flip(child.firstLine(sentence))
      assert.strictEqual(error.message, `${process.execPath} ended with exit code 2:\nno such thing`)
    }).pipe(Effect.provide(Leash.layer)))

  it.effect("says in one sentence that a command does not exist", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(spawn({ command: "no-such-command", args: [], environment: {} }))
      assert.strictEqual(error.message, "no-such-command could not be started: spawn no-such-command ENOENT.")
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  it.effect("inherits no environment but where compiled code is kept", () =>
    Effect.gen(function*() {
      const child = yield* spawn({
        command: process.execPath,
        args: ["--print", "Object.keys(process.env).filter((name) => name !== 'NODE_COMPILE_CACHE').join()"],
        environment: { ONLY: "this" }
      })
      assert.deepStrictEqual([...yield* Stream.runCollect(child.lines)], ["ONLY"])
    }).pipe(Effect.provide(Leash.layer)))

  it.effect("ends with its scope: politely, by force after the grace, and where it is paused", () =>
    Effect.gen(function*() {
      const [polite, forced, paused] = yield* Effect.scoped(Effect.gen(function*() {
        const polite = yield* node(`setInterval(() => {}, 1000); console.log("up")`)
        const forced = yield* spawn({
          command: process.execPath,
          args: ["--eval", stubborn],
          environment: {},
          grace: "50 millis"
        })
        const paused = yield* node(`setInterval(() => {}, 1000); console.log("up")`)
        for (const child of [polite, forced, paused]) yield* child.firstLine(sentence)
        yield* paused.signal("SIGSTOP")
        return [polite, forced, paused] as const
      }))
      assert.strictEqual((yield* polite.exit).signal, "SIGTERM")
      assert.strictEqual((yield* forced.exit).signal, "SIGKILL")
      assert.strictEqual((yield* paused.exit).signal, "SIGTERM")
      for (const { pid } of [polite, forced, paused]) assert.isTrue(yield* processIsGone(pid))
    }).pipe(Effect.provide(Leash.layer)))
})
