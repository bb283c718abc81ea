import type { Settings } from "@origin-regions/consumer/Settings"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { topicLayouts } from "@origin-regions/kafka/TopicLayout"
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

/** Creates the topics that are not there yet. */
export const createTopics = (settings: Settings) =>
  KafkaAdmin.use(({ brokerCount, createTopics }) =>
    Effect.flatMap(brokerCount, (brokers) => createTopics(topicLayouts(settings, { brokers })))
  )
