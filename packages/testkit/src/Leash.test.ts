import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { rm } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { spawn } from "./ChildProcess.ts"
import { pathIsGone, processIsGone, until } from "./internal/fixtures/Facts.ts"
import { Leash } from "./Leash.ts"

const held = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ pid: Schema.Int, directory: Schema.String, released: Schema.String }))
)

const holder = spawn({
  command: process.execPath,
  args: [fileURLToPath(new URL("./internal/fixtures/LeashHolder.ts", import.meta.url))],
  environment: process.env
})

describe("Leash", () => {
  it.effect("ends what a killed process held, and only that", () =>
    Effect.gen(function*() {
      const { firstLine, signal } = yield* holder
      const { directory, pid, released } = yield* firstLine(held)
      assert.isFalse((yield* processIsGone(pid)) || (yield* pathIsGone(directory)))
      yield* signal("SIGKILL")
      yield* until(processIsGone(pid))
      yield* until(pathIsGone(directory))
      assert.isFalse(yield* pathIsGone(released))
      yield* Effect.promise(() => rm(released, { recursive: true }))
    }).pipe(Effect.provide(Leash.layer)))
})
