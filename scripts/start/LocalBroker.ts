import type { Settings } from "@origin-regions/consumer/Settings"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import * as NodePath from "node:path"
import { printError } from "../ScriptRuntime.ts"

/** The Docker volume that keeps a broker's data: one for each data directory, whose path is in the name as a hash. */
const volumeName = (dataDirectory: string): string =>
  `origin-regions-kafka-${createHash("sha256").update(dataDirectory).digest("hex").slice(0, 8)}`

/** The broker that `KAFKA_BROKERS` names, or one of our own that keeps its data in the directory, or in a volume of its own with Docker. */
export const layerLocalBroker = (dataDirectory: string, port: number) =>
  KafkaBroker.layerWith({
    dataDirectory: NodePath.join(dataDirectory, "kafka"),
    volume: volumeName(dataDirectory),
    port,
    progress: printError
  })

/** Removes the volume of the directory's broker, if there is a Docker daemon that has one. */
export const removeVolume = (dataDirectory: string): Effect.Effect<void> =>
  Effect.ignore(Effect.tryPromise(async () => {
    const { getContainerRuntimeClient } = await import("testcontainers")
    const { container } = await getContainerRuntimeClient()
    await container.dockerode.getVolume(volumeName(dataDirectory)).remove()
  }))

/** Room for a dead letter's added headers around the largest record that a default topic takes. */
const DEAD_LETTER_BYTES = 2 * 1024 * 1024

/** Creates the topics that are not there yet. */
export const createTopics = ({ deadLettersTopic, outcomesTopic, requestsTopic }: Settings) =>
  KafkaAdmin.use(({ createTopics }) =>
    createTopics([
      { topic: requestsTopic, partitions: 12 },
      { topic: outcomesTopic, partitions: 12 },
      { topic: deadLettersTopic, partitions: 3, configs: { "max.message.bytes": String(DEAD_LETTER_BYTES) } }
    ])
  )
