import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { fileURLToPath } from "node:url"
import { spawn } from "../ChildProcess.ts"
import { Leash } from "../Leash.ts"
import { uniqueTopic } from "../Names.ts"
import { exclusively } from "./Exclusive.ts"

describe("exclusively", () => {
  it.effect("has one holder at a time", () =>
    Effect.gen(function*() {
      const place = yield* uniqueTopic
      yield* Effect.scoped(Effect.gen(function*() {
        yield* exclusively(place)
        yield* exclusively(`${place}-beside-it`)
        const error = yield* Effect.flip(exclusively(place))
        assert.strictEqual(
          error.message,
          `A Kafka broker already runs on ${place}, which can have only one: stop that one first.`
        )
      }))
      yield* exclusively(place)
    }).pipe(Effect.scoped))

  it.effect("lets go of what a killed process held", () =>
    Effect.gen(function*() {
      const place = yield* uniqueTopic
      const holder = yield* spawn({
        command: process.execPath,
        args: [fileURLToPath(new URL("./fixtures/PlaceHolder.ts", import.meta.url)), place],
        environment: process.env
      })
      yield* holder.firstLine((line) => line === "held" ? Option.some(line) : Option.none())
      assert.strictEqual((yield* Effect.flip(exclusively(place))).reason._tag, "AlreadyRuns")
      yield* holder.signal("SIGKILL")
      yield* holder.exit
      yield* exclusively(place)
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))
})
