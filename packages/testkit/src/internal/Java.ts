import { Config, Effect, Stream } from "effect"
import { existsSync } from "node:fs"
import { readdir, rename } from "node:fs/promises"
import * as NodePath from "node:path"
import { type ChildExit, type ChildProcessError, spawn } from "../ChildProcess.ts"
import { JavaMissing, JavaTooOld, KafkaBrokerError, MavenMissing, PreparationFailed } from "../KafkaBrokerError.ts"
import type { Leash } from "../Leash.ts"
import { onDisk, unfinishedDirectory } from "./Directories.ts"

export interface Java {
  readonly command: string
  /** Differs between any two JVM builds. */
  readonly build: string
}

const failed = (reason: KafkaBrokerError["reason"]) => new KafkaBrokerError({ reason })

interface ToolRun {
  readonly exit: ChildExit
  readonly output: ReadonlyArray<string>
}

const runTool = (command: string, args: ReadonlyArray<string>): Effect.Effect<ToolRun, ChildProcessError, Leash> =>
  Effect.scoped(Effect.gen(function*() {
    const child = yield* spawn({ command, args, environment: process.env })
    const output = yield* Stream.runCollect(child.lines)
    return { exit: yield* child.exit, output }
  }))

const runStep = (step: string, command: string, args: ReadonlyArray<string>, missing: KafkaBrokerError) =>
  runTool(command, args).pipe(
    Effect.mapError(() => missing),
    Effect.filterOrFail(
      ({ exit }) => exit.code === 0,
      ({ output }) => failed(new PreparationFailed({ step, output: output.slice(-25).join("\n") }))
    )
  )

/** Runs a step on the JVM to its end; `step` names it in the error. */
export const runJava = (step: string, java: string, args: ReadonlyArray<string>) =>
  runStep(step, java, args, failed(new JavaMissing({ command: java })))

/** Runs Maven on a project; `step` names it in the error. */
export const runMaven = (step: string, project: string, args: ReadonlyArray<string>) =>
  runStep(step, process.platform === "win32" ? "mvn.cmd" : "mvn", [
    "--quiet",
    "--batch-mode",
    "--no-transfer-progress",
    "-Dstyle.color=never",
    `--file=${NodePath.join(project, "pom.xml")}`,
    ...args
  ], failed(new MavenMissing()))

/** The Java that `JAVA_HOME` or the path names, if it is new enough for Kafka 4 (KIP-1013: brokers need Java 17). */
export const findJava: Effect.Effect<Java, KafkaBrokerError, Leash> = Effect.gen(function*() {
  const home = yield* Config.String("JAVA_HOME").pipe(Config.withDefault(""), Effect.orDie)
  const command = home === "" ? "java" : NodePath.join(home, "bin", "java")
  const { exit, output } = yield* runTool(command, ["-XshowSettings:properties", "-version"]).pipe(
    Effect.mapError(() => failed(new JavaMissing({ command })))
  )
  const property = (name: string) =>
    output.map((line) => line.trim()).find((line) => line.startsWith(`${name} = `))?.slice(name.length + 3) ?? ""
  if (exit.code !== 0) return yield* failed(new JavaMissing({ command }))
  const version = property("java.specification.version")
  if (!(Number(version) >= 17)) return yield* failed(new JavaTooOld({ command, version }))
  return { command, build: `${property("java.home")} ${property("java.vm.version")} ${property("os.arch")}` }
})

/** All jars of a directory. */
export const classPath = (libraries: string) =>
  onDisk(libraries, () => readdir(libraries)).pipe(
    // Sorted, since class data archives depend on the order.
    Effect.map((files) => files.toSorted().map((file) => NodePath.join(libraries, file)).join(NodePath.delimiter))
  )

/** Makes a directory unless it is there; it takes its place only when complete. */
export const makeOnce = <E, R>(
  directory: string,
  make: (unfinished: string) => Effect.Effect<void, E, R>
) =>
  Effect.scoped(Effect.gen(function*() {
    if (existsSync(directory)) return
    const unfinished = yield* unfinishedDirectory(directory)
    yield* make(unfinished)
    yield* onDisk(directory, () =>
      rename(unfinished, directory).catch((error: unknown) => {
        // Another process of the same clone was quicker.
        if (!existsSync(directory)) throw error
      }))
  }))
