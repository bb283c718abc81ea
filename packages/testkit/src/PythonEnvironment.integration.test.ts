import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, writeFileSync } from "node:fs"
import * as NodePath from "node:path"
import { temporaryDirectory } from "./internal/Directories.ts"
import { toolchainDirectory } from "./internal/Workspace.ts"
import { Leash } from "./Leash.ts"
import { isPythonMissing, pythonEnvironment, skippedWithoutPython } from "./PythonEnvironment.ts"

describe.skipIf(isPythonMissing)(`PythonEnvironment${skippedWithoutPython}`, () => {
  it.live("fails with what pip says, and leaves nothing", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const requirements = NodePath.join(directory, "impossible.txt")
      writeFileSync(requirements, `impossible @ file://${directory}/impossible.whl\n`)
      const error = yield* Effect.flip(pythonEnvironment(requirements))
      assert.match(error.message, /^Installing the packages with pip ended with exit code 1:\n.*impossible\.whl/su)
      const installed = readdirSync(NodePath.join(toolchainDirectory, "python"))
      assert.deepStrictEqual(installed.filter((name) => name.startsWith("impossible")), [])
    }).pipe(Effect.provide(Leash.layer)))
})
