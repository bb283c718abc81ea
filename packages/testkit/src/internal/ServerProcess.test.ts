import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { Leash } from "../Leash.ts"
import { spawnServer } from "./ServerProcess.ts"

const slowServer = spawnServer({
  name: "The server",
  entry: "packages/testkit/src/internal/fixtures/SlowServer.ts",
  environment: { SETTING: "1" },
  readyPath: "/ready"
})

const asked = (address: string) => Effect.promise(() => fetch(address).then((response) => response.text()))

describe("ServerProcess", () => {
  it.effect("reads where the server listens, and waits until it is ready", () =>
    Effect.gen(function*() {
      const server = yield* slowServer
      yield* server.ready
      assert.strictEqual(yield* asked(yield* server.address), "3")
      assert.deepStrictEqual(yield* server.terminate, { code: 7, signal: undefined })
    }).pipe(Effect.provide(Leash.layer)))

  it.effect("fails to get ready where the server is killed before", () =>
    Effect.gen(function*() {
      const server = yield* slowServer
      assert.deepStrictEqual(yield* server.kill, { code: undefined, signal: "SIGKILL" })
      assert.include((yield* Effect.flip(server.ready)).message, "The server ended with signal SIGKILL")
    }).pipe(Effect.provide(Leash.layer)))

  it.effect("gives the server its settings, and none of ours", () =>
    Effect.gen(function*() {
      process.env["API_TOKENS_OF_THE_TEST"] = "secret"
      const server = yield* slowServer
      const settings = yield* server.firstLine((line) =>
        line.startsWith("settings ") ? Option.some(line.slice(9).split(",")) : Option.none()
      )
      assert.include(settings, "SETTING")
      assert.include(settings, "PATH")
      assert.notInclude(settings, "API_TOKENS_OF_THE_TEST")
    }).pipe(Effect.provide(Leash.layer)))
})
