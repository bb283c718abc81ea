import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import { cp, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises"
import * as NodePath from "node:path"
import { describeExit, spawn } from "../ChildProcess.ts"
import { JavaMissing, KafkaBrokerError } from "../KafkaBrokerError.ts"
import type { Leash } from "../Leash.ts"
import { type Broker, notRunning } from "./Broker.ts"
import {
  type BrokerProperties,
  brokerProperties,
  clusterProperties,
  kafkaVersion,
  propertiesFile
} from "./BrokerProperties.ts"
import { onDisk, temporaryDirectory } from "./Directories.ts"
import { exclusively } from "./Exclusive.ts"
import { runJava } from "./Java.ts"
import { type JvmToolchain, jvmToolchain } from "./JvmToolchain.ts"
import { probe, probeMember } from "./KafkaProbe.ts"
import { freePort, portPreferring } from "./Ports.ts"
import type { Progress } from "./Progress.ts"
import { awaitReady, portAttempts } from "./Readiness.ts"
import { type Run, supervise } from "./Supervision.ts"

export interface JvmBrokerOptions {
  readonly dataDirectory: string | undefined
  readonly port: number | undefined
  readonly properties: BrokerProperties
  readonly progress: Progress
}

/** Everything of one broker is in one directory: its settings, its log, its data. */
const filesIn = (directory: string) => ({
  settings: NodePath.join(directory, "server.properties"),
  log: NodePath.join(directory, "broker.log"),
  data: NodePath.join(directory, "data")
})

const logEnd = (directory: string) =>
  Effect.promise(() =>
    readFile(filesIn(directory).log, "utf8").then(
      (text) => text.trimEnd().split("\n").slice(-25).join("\n"),
      () => ""
    )
  )

const failWith = (directory: string) => (problem: string) =>
  Effect.flatMap(logEnd(directory), (log) => Effect.fail(notRunning(problem, log)))

const isPortTaken = (error: KafkaBrokerError) =>
  error.reason._tag === "NotRunning" && error.reason.log.includes("Address already in use")

const prepareData = Effect.fnUntraced(function*(directory: string, template: string, nodeId = 1) {
  const { data } = filesIn(directory)
  const meta = NodePath.join(data, "meta.properties")
  if (existsSync(meta)) return
  yield* onDisk(data, async () => {
    await mkdir(data, { recursive: true })
    await cp(template, data, { recursive: true })
    if (nodeId === 1) return
    const formatted = await readFile(meta, "utf8")
    // Without an id of its own: the broker makes one.
    await writeFile(
      meta,
      formatted.replace(/^node\.id=.*$/mu, `node.id=${nodeId}`).replace(/^directory\.id=.*\n/mu, "")
    )
  })
})

interface Launch {
  readonly directory: string
  readonly port: number
  readonly toolchain: JvmToolchain
  readonly properties: BrokerProperties
  /** In front of all other arguments of the JVM. */
  readonly archive: ReadonlyArray<string>
  /** Where it is one of several. */
  readonly member?: ClusterMember
}

interface ClusterMember {
  readonly nodeId: number
  /** The port of node 1, the only controller. */
  readonly controller: number
}

/** Starts a broker and waits until it serves; on failure nothing is left of it. */
const launch = Effect.fnUntraced(function*({ archive, directory, member, port, properties, toolchain }: Launch) {
  const files = filesIn(directory)
  const ports = { HOST: port, BROKER: yield* freePort, CONTROLLER: member?.controller ?? (yield* freePort) }
  const addresses = {
    listenHost: "127.0.0.1",
    ports,
    advertised: `127.0.0.1:${port}`,
    dataDirectory: files.data,
    nodeId: member?.nodeId ?? 1
  }
  yield* onDisk(
    files.settings,
    () => writeFile(files.settings, propertiesFile(brokerProperties(addresses, properties)))
  )
  const child = yield* Effect.acquireUseRelease(
    onDisk(files.log, () => open(files.log, "w")),
    (log) =>
      spawn({
        command: toolchain.java,
        args: [...archive, ...toolchain.javaArguments, "kafka.Kafka", files.settings],
        // Where a JVM that crashes leaves its report.
        directory,
        environment: process.env,
        output: log.fd,
        grace: "30 seconds"
      }),
    (log) => Effect.promise(() => log.close())
  ).pipe(
    Effect.catchTag(
      "ChildProcessError",
      () => Effect.fail(new KafkaBrokerError({ reason: new JavaMissing({ command: toolchain.java }) }))
    )
  )
  const fail = failWith(directory)
  const ended = Effect.flatMap(child.exit, (exit) => fail(`ended with ${describeExit(exit)}`))
  const isReady = member === undefined ? probe : probeMember
  yield* awaitReady(isReady({ host: "127.0.0.1", port: ports.BROKER }), ended, fail).pipe(
    Effect.onError(() => child.end)
  )
  const run: Run<KafkaBrokerError> = {
    instance: String(child.pid),
    ended,
    stop: child.end,
    kill: Effect.andThen(child.signal("SIGKILL"), child.exit)
  }
  return run
})

/** With a port that was free a moment ago; takes another where somebody was quicker. */
const launchOnFreePort = (options: Omit<Launch, "port">, preferred?: number) =>
  Effect.gen(function*() {
    const port = yield* portPreferring(preferred)
    return { port, run: yield* launch({ ...options, port }) }
  }).pipe(Effect.retry({ while: isPortTaken, times: portAttempts }))

/**
 * Writes the class data archive that halves later starts, from the classes that a real start loads. A broker does
 * without it too, so that a failure here is only told.
 */
const train = Effect.fnUntraced(function*(toolchain: JvmToolchain, progress: Progress) {
  yield* progress("Preparing Kafka's classes for this Java (a few seconds, once).")
  const directory = yield* temporaryDirectory
  yield* prepareData(directory, toolchain.template)
  const unfinished = `${toolchain.archive}.${NodePath.basename(directory)}`
  yield* Effect.addFinalizer(() => Effect.promise(() => rm(unfinished, { force: true })))
  const archive = [`-XX:ArchiveClassesAtExit=${unfinished}`]
  const { run } = yield* launchOnFreePort({ directory, toolchain, properties: {}, archive })
  yield* run.stop
  // Cut short by a full disk, an archive makes every JVM crash that reads it.
  yield* runJava("Reading the class data archive", toolchain.java, [
    `-XX:SharedArchiveFile=${unfinished}`,
    ...toolchain.javaArguments,
    "-version"
  ])
  yield* onDisk(unfinished, () => rename(unfinished, toolchain.archive))
}, Effect.scoped)

const preparedToolchain = Effect.fnUntraced(function*(progress: Progress) {
  const toolchain = yield* jvmToolchain(progress)
  if (!existsSync(toolchain.archive)) {
    yield* train(toolchain, progress).pipe(
      Effect.catch((error) => progress(`That did not work, so Kafka starts a little slower: ${error.message}`))
    )
  }
  return { toolchain, archive: [`-XX:SharedArchiveFile=${toolchain.archive}`] }
})

const supervised = Effect.fnUntraced(function*(options: Omit<Launch, "port">, preferred?: number) {
  const { port, run } = yield* launchOnFreePort(options, preferred)
  const startAgain = launch({ ...options, port }).pipe(
    // Of the ports that only the broker itself uses.
    Effect.retry({ while: isPortTaken, times: portAttempts })
  )
  return { brokers: [`127.0.0.1:${port}`], ...yield* supervise(run, startAgain) } satisfies Broker
})

export const jvmBroker = Effect.fn("JvmBroker")(
  function*(options: JvmBrokerOptions): Effect.fn.Return<Broker, KafkaBrokerError, Scope.Scope | Leash> {
    const { progress, properties } = options
    const { archive, toolchain } = yield* preparedToolchain(progress)
    const directory = options.dataDirectory === undefined
      ? yield* temporaryDirectory
      : NodePath.resolve(options.dataDirectory)
    if (options.dataDirectory !== undefined) yield* exclusively(directory)
    yield* prepareData(directory, toolchain.template)
    yield* progress(`Starting Kafka ${kafkaVersion} on the JVM.`)
    return yield* supervised({ directory, toolchain, properties, archive }, options.port)
  }
)

/** Brokers that replicate each other's topics; node 1 is their only controller. In the order of their node ids, from 1. */
export const jvmCluster = Effect.fn("JvmCluster")(
  function*(
    { progress, properties: extra, size }: Pick<JvmBrokerOptions, "progress" | "properties"> & { readonly size: number }
  ): Effect.fn.Return<ReadonlyArray<Broker>, KafkaBrokerError, Scope.Scope | Leash> {
    const { archive, toolchain } = yield* preparedToolchain(progress)
    const properties = { ...clusterProperties(size), ...extra }
    const controller = yield* freePort
    yield* progress(`Starting ${size === 1 ? "a broker" : `${size} brokers`} of Kafka ${kafkaVersion} on the JVM.`)
    const start = Effect.fnUntraced(function*(nodeId: number) {
      const directory = yield* temporaryDirectory
      yield* prepareData(directory, toolchain.template, nodeId)
      return yield* supervised({ directory, toolchain, properties, archive, member: { nodeId, controller } })
    })
    return yield* Effect.forEach(Array.from({ length: size }, (_, index) => index + 1), start, {
      concurrency: "unbounded"
    })
  }
)
