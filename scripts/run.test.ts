import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Queue } from "effect"
import { spawn } from "node:child_process"
import * as NodePath from "node:path"
import { root } from "./Command.ts"

/** A repository of its own: nothing to install, tasks that tell what they were given, and the real one's tools. */
const repository = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Effect.flatMap(fs.makeTempDirectoryScoped(), (path) => fs.realPath(path))
  for (const folder of ["scripts", "apps/cli/src", "packages"]) {
    yield* fs.makeDirectory(NodePath.join(path, folder), { recursive: true })
  }
  const { packageManager } = JSON.parse(yield* fs.readFileString(NodePath.join(root, "package.json")))
  yield* fs.writeFileString(NodePath.join(path, "package.json"), JSON.stringify({ private: true, packageManager }))
  yield* fs.writeFileString(
    NodePath.join(path, "pnpm-workspace.yaml"),
    "packages:\n  - apps/*\npmOnFail: ignore\n"
  )
  yield* fs.writeFileString(NodePath.join(path, "pnpm-lock.yaml"), "lockfileVersion: '9.0'\nimporters:\n  .: {}\n")
  yield* fs.copyFile(NodePath.join(root, "scripts/run.mjs"), NodePath.join(path, "scripts/run.mjs"))
  yield* fs.writeFileString(
    NodePath.join(path, "apps/cli/src/main.ts"),
    "console.log(JSON.stringify({ args: process.argv.slice(2), directory: process.cwd() }))\nprocess.exitCode = 7\n"
  )
  yield* fs.writeFileString(
    NodePath.join(path, "scripts/start.ts"),
    `process.on("SIGTERM", () => process.exit(3))
process.on("SIGINT", () => process.exit(4))
process.once("disconnect", () => process.exit())
console.log(process.pid)
`
  )
  return path
})

/** The toolchain of the real repository, so that nothing is downloaded. */
const lendToolchain = (path: string) =>
  FileSystem.FileSystem.use((fs) => fs.symlink(NodePath.join(root, ".toolchain"), NodePath.join(path, ".toolchain")))

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const start = Effect.fnUntraced(function*(
  path: string,
  args: ReadonlyArray<string>,
  options: { readonly directory?: string; readonly environment?: Readonly<Record<string, string>> } = {}
) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [NodePath.join(path, "scripts/run.mjs"), ...args], {
        cwd: options.directory ?? path,
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...options.environment },
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const firstLine = yield* Queue.unbounded<string>()
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk
    if (stdout.includes("\n")) Queue.offerUnsafe(firstLine, stdout)
  })
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk
  })
  const ended = Effect.callback<Ran>((resume) => {
    child.once("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
  })
  return { child, firstLine: Queue.take(firstLine), ended }
})

const run = (...args: Parameters<typeof start>) => Effect.scoped(Effect.flatMap(start(...args), ({ ended }) => ended))

const untilGone = (pid: number) =>
  Effect.suspend(() => {
    try {
      process.kill(pid, 0)
      return Effect.as(Effect.sleep("20 millis"), false)
    } catch {
      return Effect.succeed(true)
    }
  }).pipe(Effect.repeat({ until: (gone) => gone }))

layer(NodeServices.layer, { excludeTestServices: true })("run.mjs", (it) => {
  it.effect("lists its tasks, and knows no other", () =>
    Effect.gen(function*() {
      const listed = yield* run(root, [])
      assert.deepStrictEqual([listed.code, listed.stderr], [0, ""])
      for (const name of ["start", "test", "check", "format", "kafka", "api", "consumer", "origin-regions"]) {
        assert.match(listed.stdout, new RegExp(`^  ${name} `, "m"))
      }
      const unknown = yield* run(root, ["strat"])
      assert.deepStrictEqual([unknown.code, unknown.stdout], [1, ""])
      assert.match(unknown.stderr, /^There is no task strat\.\n/)
    }))

  it.effect("passes arguments, the caller's directory and the exit code on", () =>
    Effect.gen(function*() {
      const path = yield* repository
      yield* lendToolchain(path)
      const directory = NodePath.join(path, "packages")
      const { code, stdout } = yield* run(path, ["origin-regions", "--flag", "a b", "--"], { directory })
      assert.deepStrictEqual(JSON.parse(stdout), { args: ["--flag", "a b", "--"], directory })
      assert.strictEqual(code, 7)
    }))

  it.effect("installs the packages once, and again when a manifest has changed, also when asked twice at once", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* repository
      yield* lendToolchain(path)
      const both = yield* Effect.all([run(path, ["origin-regions"]), run(path, ["origin-regions"])], { concurrency: 2 })
      const said = both.map(({ stderr }) => stderr).join("")
      assert.strictEqual(said.split("Installing the packages…\n").length, 2, said)
      assert.deepStrictEqual(both.map(({ code }) => code), [7, 7])
      assert.strictEqual((yield* run(path, ["origin-regions"])).stderr, "")
      const manifest = NodePath.join(path, "package.json")
      yield* fs.writeFileString(manifest, `${yield* fs.readFileString(manifest)}\n`)
      assert.include((yield* run(path, ["origin-regions"])).stderr, "Installing the packages…\n")
    }))

  it.effect("passes signals on, and takes what it started with it when it is killed", () =>
    Effect.gen(function*() {
      const path = yield* repository
      yield* lendToolchain(path)
      for (const [signal, expected] of [["SIGTERM", 3], ["SIGINT", 4]] as const) {
        const started = yield* start(path, ["start"])
        yield* started.firstLine
        started.child.kill(signal)
        assert.strictEqual((yield* started.ended).code, expected)
      }
      const started = yield* start(path, ["start"])
      const pid = Number(yield* started.firstLine)
      started.child.kill("SIGKILL")
      yield* untilGone(pid)
    }))

  it.effect("says in one sentence that npm is missing", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* repository
      const nothingElse = NodePath.join(path, "bin")
      yield* fs.makeDirectory(nothingElse)
      yield* fs.symlink(process.execPath, NodePath.join(nothingElse, "node"))
      const { code, stderr, stdout } = yield* run(path, ["start"], { environment: { PATH: nothingElse } })
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(stderr, /^npm was not found: install Node 24, which brings npm, and try again\.\n$/)
    }))
})
