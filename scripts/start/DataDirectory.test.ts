import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { spawnSync } from "node:child_process"
import { holdDataDirectory } from "./DataDirectory.ts"

const kept = { fresh: false }

layer(NodeServices.layer)("holdDataDirectory", (it) => {
  const directory = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())

  it.effect("makes the directory, and gives it back when the scope closes", () =>
    Effect.gen(function*() {
      const path = `${yield* directory}/new`
      yield* Effect.scoped(holdDataDirectory(path, kept))
      yield* Effect.scoped(holdDataDirectory(path, kept))
      assert.deepStrictEqual(yield* FileSystem.FileSystem.use((fs) => fs.readDirectory(path)), [])
    }))

  it.effect("names the process that has it", () =>
    Effect.gen(function*() {
      const path = yield* directory
      yield* holdDataDirectory(path, kept)
      const error = yield* Effect.flip(holdDataDirectory(path, { fresh: true }))
      assert.strictEqual(error._tag, "DataInUse")
      assert.include(error.message, `Process ${process.pid} works on ${path} already`)
    }))

  it.effect("takes it over from a process that has gone", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* directory
      const { pid } = spawnSync(process.execPath, ["--version"])
      yield* fs.writeFileString(`${path}/in-use-by`, String(pid))
      yield* holdDataDirectory(path, kept)
      assert.strictEqual(yield* fs.readFileString(`${path}/in-use-by`), String(process.pid))
    }))

  it.effect("empties it only where that is asked for, and never its own hold", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* directory
      yield* fs.makeDirectory(`${path}/kafka/log`, { recursive: true })
      yield* fs.writeFileString(`${path}/api.sqlite`, "")
      yield* Effect.scoped(holdDataDirectory(path, kept))
      assert.sameMembers(yield* fs.readDirectory(path), ["kafka", "api.sqlite"])
      yield* holdDataDirectory(path, { fresh: true })
      assert.deepStrictEqual(yield* fs.readDirectory(path), ["in-use-by"])
    }))
})
