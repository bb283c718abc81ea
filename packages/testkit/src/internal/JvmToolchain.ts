import { Config, Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, readdir, rename, writeFile } from "node:fs/promises"
import * as NodePath from "node:path"
import { type ChildExit, type ChildProcessError, spawn } from "../ChildProcess.ts"
import { JavaMissing, JavaTooOld, KafkaBrokerError, MavenMissing, PreparationFailed } from "../KafkaBrokerError.ts"
import type { Leash } from "../Leash.ts"
import { brokerProperties, clusterId, heap, kafkaVersion, propertiesFile } from "./BrokerProperties.ts"
import { onDisk, temporaryDirectory, unfinishedDirectory } from "./Directories.ts"
import type { Progress } from "./Progress.ts"
import { toolchainDirectory } from "./Workspace.ts"

/** What a broker is started from on the JVM. */
export interface JvmToolchain {
  readonly java: string
  /** Arguments in front of a main class: tuning for a quick start, and the class path. */
  readonly javaArguments: ReadonlyArray<string>
  /** The files of a freshly formatted data directory. */
  readonly template: string
  /** The class data archive for this JVM and class path; not there until it was trained. */
  readonly archive: string
}

interface Java {
  readonly command: string
  /** Differs between any two JVM builds. */
  readonly build: string
}

// In the clone and not in the person's home: it goes when the clone goes, and two clones with two versions don't meet.
// Maven keeps its downloads in its own cache, so a second clone takes seconds.
const directory = NodePath.join(toolchainDirectory, `kafka-${kafkaVersion}`)
const sources = NodePath.resolve(import.meta.dirname, "../../jvm")

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

/** The Java that `JAVA_HOME` or the path names, if it is new enough for Kafka 4 (KIP-1013: brokers need Java 17). */
const findJava: Effect.Effect<Java, KafkaBrokerError, Leash> = Effect.gen(function*() {
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

const classPath = (libraries: string) =>
  onDisk(libraries, () => readdir(libraries)).pipe(
    // Sorted, since class data archives depend on the order.
    Effect.map((files) => files.toSorted().map((file) => NodePath.join(libraries, file)).join(NodePath.delimiter))
  )

/** Fetches the jars and formats a template, all in a directory that takes its place only when complete. */
const build = Effect.fnUntraced(function*(java: Java, progress: Progress) {
  yield* progress(`Fetching Kafka ${kafkaVersion} with Maven (about 45 MB, once per clone).`)
  const unfinished = yield* unfinishedDirectory(directory)
  const libraries = NodePath.join(unfinished, "lib")
  const maven = process.platform === "win32" ? "mvn.cmd" : "mvn"
  yield* runStep("Fetching Kafka with Maven", maven, [
    "--quiet",
    "--batch-mode",
    "--no-transfer-progress",
    "-Dstyle.color=never",
    `--file=${NodePath.join(sources, "pom.xml")}`,
    `-Dkafka.version=${kafkaVersion}`,
    "dependency:copy-dependencies",
    "-DincludeScope=runtime",
    `-DoutputDirectory=${libraries}`
  ], failed(new MavenMissing()))
  yield* format(java, yield* classPath(libraries), NodePath.join(unfinished, "template"))
  yield* onDisk(directory, () =>
    rename(unfinished, directory).catch((error: unknown) => {
      // Another process of the same clone was quicker.
      if (!existsSync(directory)) throw error
    }))
}, Effect.scoped)

/**
 * Kafka's own formatter, once: it takes a second, and what it writes depends on nothing but the node's id. (A broker
 * would also start on a hand-written `meta.properties`, but then with all features at level 0.)
 */
const format = Effect.fnUntraced(function*(java: Java, classes: string, template: string) {
  const scratch = yield* temporaryDirectory
  const file = NodePath.join(scratch, "server.properties")
  const properties = brokerProperties({
    listenHost: "127.0.0.1",
    ports: { HOST: 9092, BROKER: 9093, CONTROLLER: 9094 },
    advertised: "127.0.0.1:9092",
    dataDirectory: template
  })
  yield* onDisk(file, () => writeFile(file, propertiesFile(properties)))
  yield* onDisk(template, () => mkdir(template))
  yield* runJava(
    "Formatting Kafka's storage",
    java.command,
    ["-cp", classes, "kafka.tools.StorageTool", "format", "-t", clusterId, "-c", file]
  )
}, Effect.scoped)

/** What a broker needs on this machine's JVM, made on the first call in a clone. */
export const jvmToolchain = Effect.fn("JvmToolchain")(
  function*(progress: Progress): Effect.fn.Return<JvmToolchain, KafkaBrokerError, Leash> {
    const java = yield* findJava
    if (!existsSync(directory)) yield* build(java, progress)
    const classes = yield* classPath(NodePath.join(directory, "lib"))
    const key = createHash("sha256").update(`${java.build}\n${classes}`).digest("hex").slice(0, 16)
    return {
      java: java.command,
      javaArguments: [
        // Only the first compiler, and the collector that starts fastest: a broker for tests lives for seconds.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        heap,
        `-Dlog4j2.configurationFile=${NodePath.join(sources, "log4j2.properties")}`,
        "-cp",
        classes
      ],
      template: NodePath.join(directory, "template"),
      archive: NodePath.join(directory, `classes-${key}.jsa`)
    }
  }
)
