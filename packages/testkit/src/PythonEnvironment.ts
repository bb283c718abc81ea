import { Effect, Schema, Stream } from "effect"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { readFile, rename } from "node:fs/promises"
import * as NodePath from "node:path"
import { type ChildExit, ChildProcessError, describeExit, spawn } from "./ChildProcess.ts"
import { unfinishedDirectory } from "./internal/Directories.ts"
import { toolchainDirectory } from "./internal/Workspace.ts"
import type { Leash } from "./Leash.ts"

/** A step of the installation failed. */
export class InstallationFailed extends Schema.TaggedError<InstallationFailed>()("InstallationFailed", {
  step: Schema.String,
  exit: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `${this.step} ended with ${this.exit}:\n${this.output}`
  }
}

export class PythonEnvironmentError extends Schema.TaggedError<PythonEnvironmentError>()("PythonEnvironmentError", {
  reason: Schema.Union([InstallationFailed, ChildProcessError])
}) {
  override get message() {
    return this.reason.message
  }
}

/** What a Python program said, stdout and stderr together, and how it ended. */
export interface PythonRun {
  readonly exit: ChildExit
  readonly output: string
}

export interface PythonRunOptions {
  readonly args: ReadonlyArray<string>
  readonly directory: string
  /** In addition to our own. */
  readonly environment?: Readonly<Record<string, string>>
}

/** Python packages of exact versions, apart from everything else on the machine. */
export interface PythonEnvironment {
  /** A folder for what programs want to find again. */
  readonly storage: string
  /** Runs Python to its end, which it may come to in any way. */
  readonly run: (options: PythonRunOptions) => Effect.Effect<PythonRun, ChildProcessError, Leash>
}

const cache = NodePath.join(toolchainDirectory, "python")

const command = process.platform === "win32" ? "python" : "python3"

// The oldest that every pinned package runs on. Debian's Python has no `ensurepip` without its package python3-venv.
const probe = [
  "import sys",
  "assert sys.version_info >= (3, 11)",
  "import ensurepip, venv",
  "print(sys.version, sys.executable, sys.platform)"
].join("; ")

const probed = spawnSync(command, ["-c", probe], { encoding: "utf8" })

/** Whether there can be no environment on this machine. */
export const isPythonMissing = probed.status !== 0

/** For the title of tests that need one: the reason where they are skipped, and else nothing. */
export const skippedWithoutPython: string = isPythonMissing
  ? ` (skipped: ${command} is not here, is older than 3.11, or lacks venv or pip)`
  : ""

const runToEnd = (
  python: string,
  { args, directory, environment }: PythonRunOptions
): Effect.Effect<PythonRun, ChildProcessError, Leash> =>
  Effect.scoped(Effect.gen(function*() {
    const child = yield* spawn({
      command: python,
      args,
      directory,
      // Compiled modules are not written beside the sources, and nothing of the machine's own packages is seen.
      environment: {
        ...process.env,
        PYTHONDONTWRITEBYTECODE: undefined,
        PYTHONPYCACHEPREFIX: NodePath.join(cache, "compiled"),
        PYTHONUNBUFFERED: "1",
        PYTHONPATH: undefined,
        ...environment
      }
    })
    const lines = yield* Stream.runCollect(child.lines)
    return { exit: yield* child.exit, output: lines.join("\n") }
  }))

const runStep = (step: string, python: string, options: PythonRunOptions) =>
  runToEnd(python, options).pipe(
    Effect.mapError((reason) => new PythonEnvironmentError({ reason })),
    Effect.flatMap(({ exit, output }) =>
      exit.code === 0
        ? Effect.void
        : Effect.fail(
          new PythonEnvironmentError({ reason: new InstallationFailed({ step, exit: describeExit(exit), output }) })
        )
    )
  )

const pythonOf = (directory: string) =>
  process.platform === "win32"
    ? NodePath.join(directory, "Scripts", "python.exe")
    : NodePath.join(directory, "bin", "python")

const install = Effect.fnUntraced(function*(directory: string, requirements: string) {
  const unfinished = yield* Effect.orDie(unfinishedDirectory(directory))
  yield* runStep("Making the environment", command, { args: ["-m", "venv", unfinished], directory: unfinished })
  yield* runStep("Installing the packages with pip", pythonOf(unfinished), {
    // The file names every package, and only what it names is installed. Most modules are never loaded, and so not compiled.
    args: ["-m", "pip", "install", "--quiet", "--no-input", "--no-compile", "--no-deps", "--requirement", requirements],
    directory: unfinished
  })
  yield* Effect.promise(() =>
    rename(unfinished, directory).catch((error: unknown) => {
      // Another process of the same clone was quicker.
      if (!existsSync(directory)) throw error
    })
  )
}, Effect.scoped)

/**
 * The packages of a requirements file, which names all of them with their versions. Installed once for each clone, Python and content of the file,
 * and then taken from there.
 */
export const pythonEnvironment = Effect.fn("pythonEnvironment")(
  function*(requirements: string): Effect.fn.Return<PythonEnvironment, PythonEnvironmentError, Leash> {
    const content = yield* Effect.promise(() => readFile(requirements, "utf8"))
    const key = createHash("sha256").update(probed.stdout).update(content).digest("hex").slice(0, 16)
    const name = NodePath.basename(requirements, ".txt")
    const directory = NodePath.join(cache, `${name}-${key}`)
    // A moved environment works as long as its Python is asked, and not one of the programs beside it.
    if (!existsSync(directory)) yield* install(directory, requirements)
    return { storage: NodePath.join(cache, "storage"), run: (options) => runToEnd(pythonOf(directory), options) }
  }
)
