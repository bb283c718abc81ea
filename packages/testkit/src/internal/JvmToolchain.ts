import { Effect } from "effect"
import { createHash } from "node:crypto"
import { mkdir, writeFile } from "node:fs/promises"
import * as NodePath from "node:path"
import type { KafkaBrokerError } from "../KafkaBrokerError.ts"
import type { Leash } from "../Leash.ts"
import { brokerProperties, clusterId, heap, kafkaVersion, propertiesFile } from "./BrokerProperties.ts"
import { onDisk, temporaryDirectory } from "./Directories.ts"
import { classPath, findJava, type Java, makeOnce, runJava, runMaven } from "./Java.ts"
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

// In the clone and not in the person's home: it goes when the clone goes, and two clones with two versions don't meet.
// Maven keeps its downloads in its own cache, so a second clone takes seconds.
const directory = NodePath.join(toolchainDirectory, `kafka-${kafkaVersion}`)
const sources = NodePath.resolve(import.meta.dirname, "../../jvm")

/** Fetches the jars and formats a template. */
const build = Effect.fnUntraced(function*(java: Java, progress: Progress, unfinished: string) {
  yield* progress(`Fetching Kafka ${kafkaVersion} with Maven (about 45 MB, once per clone).`)
  const libraries = NodePath.join(unfinished, "lib")
  yield* runMaven("Fetching Kafka with Maven", sources, [
    `-Dkafka.version=${kafkaVersion}`,
    "dependency:copy-dependencies",
    "-DincludeScope=runtime",
    `-DoutputDirectory=${libraries}`
  ])
  yield* format(java, yield* classPath(libraries), NodePath.join(unfinished, "template"))
})

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
    yield* makeOnce(directory, (unfinished) => build(java, progress, unfinished))
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
