import { buildJavaProgram } from "@origin-regions/testkit/JavaProgram"
import type { Leash } from "@origin-regions/testkit/Leash"
import { isPythonMissing, pythonEnvironment } from "@origin-regions/testkit/PythonEnvironment"
import { Effect, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as NodePath from "node:path"
import { root } from "../Command.ts"
import { runExternal } from "../ExternalCommand.ts"

type Environment = Readonly<Record<string, string>>

/** Runs an example with its arguments to its end, and yields what it said. */
type RunExample = (environment: Environment, args: ReadonlyArray<string>) => Effect.Effect<string, Error, Leash>

interface ExampleProgram {
  readonly language: string
  /** Why it can't run here, where it can't. */
  readonly missing: string | undefined
  /** Brings what it needs into the toolchain, and builds it. */
  readonly prepare: Effect.Effect<RunExample, Error, Leash | Scope.Scope>
}

const examples = NodePath.join(root, "examples/emit")
const toolchain = NodePath.join(root, ".toolchain")

const program =
  (directory: string, command: string, ...first: ReadonlyArray<string>): RunExample => (environment, args) =>
    runExternal({ directory, environment }, command, ...first, ...args)

/** Whether a program of the machine can be run. */
const has = (command: string, ...args: ReadonlyArray<string>): boolean => spawnSync(command, args).status === 0

const python = NodePath.join(examples, "python")
const java = NodePath.join(examples, "java")
const go = NodePath.join(examples, "go")

/** Nothing outside of the clone, and no other Go than the machine's. */
const goEnvironment = {
  GOMODCACHE: NodePath.join(toolchain, "go/modules"),
  GOCACHE: NodePath.join(toolchain, "go/build"),
  // Its modules could not be deleted otherwise.
  GOFLAGS: "-modcacherw -mod=readonly",
  GOTOOLCHAIN: "local"
}

// What its modules ask for.
const [, goMinor] = /^go1\.(\d+)/.exec(spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" }).stdout ?? "") ?? []

export const examplePrograms: ReadonlyArray<ExampleProgram> = [
  {
    language: "typescript",
    missing: undefined,
    prepare: Effect.succeed(program(NodePath.join(examples, "typescript"), process.execPath, "emit.ts"))
  },
  {
    language: "python",
    missing: isPythonMissing ? "needs Python 3.11 with venv and pip" : undefined,
    prepare: Effect.map(
      pythonEnvironment(NodePath.join(python, "requirements.txt")),
      ({ run }): RunExample => (environment, args) =>
        Effect.map(run({ args: ["emit.py", ...args], directory: python, environment }), ({ output }) => output)
    )
  },
  {
    language: "java",
    missing: has("javac", "-version") && has("mvn", "--version") ? undefined : "needs a JDK and Maven",
    prepare: Effect.map(
      buildJavaProgram({ name: "example-emit", project: java, progress: Effect.logInfo }),
      ({ args, command }) => program(java, command, ...args, "Emit")
    )
  },
  {
    language: "go",
    missing: Number(goMinor) >= 26 ? undefined : "needs Go 1.26",
    prepare: Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(NodePath.join(tmpdir(), "origin-regions-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
      )
      const built = NodePath.join(directory, "emit")
      // Compiled without a look at its speed, which is quicker.
      yield* runExternal(
        { directory: go, environment: goEnvironment },
        "go",
        "build",
        "-gcflags=all=-N -l",
        "-o",
        built
      )
      return program(go, built)
    })
  },
  {
    language: "shell",
    missing: has("kcat", "-V") ? undefined : "needs kcat",
    prepare: Effect.succeed(program(NodePath.join(examples, "shell"), "./emit.sh"))
  }
]
