import type { createRequire } from "node:module"

interface Metadata {
  readonly brokers: ReadonlyArray<unknown>
}

interface TopicOffsets {
  readonly topic: string
  readonly partitions: ReadonlyArray<{ readonly partition: number; readonly offset: string }>
}

interface Cluster {
  readonly targetTopics: ReadonlySet<string>
  readonly retrier: <A>(attempt: (bail: (error: unknown) => void) => Promise<A>) => Promise<A>
  readonly brokerPool: {
    refreshMetadataIfNecessary(topics: ReadonlyArray<string>): Promise<void>
    withBroker<A>(use: (of: { readonly broker: Broker }) => Promise<A>): Promise<A | null>
  }
  refreshMetadata(): Promise<void>
  metadata(options?: { readonly topics?: ReadonlyArray<string> }): Promise<Metadata | undefined>
  fetchTopicsOffset(
    topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<unknown> }>
  ): Promise<ReadonlyArray<TopicOffsets>>
}

interface Broker {
  metadata(topics: ReadonlyArray<string>): Promise<Metadata>
}

const isOfType = (error: unknown, type: string): boolean =>
  error instanceof Error && "type" in error && error.type === type

/** Mends what kafkajs knows of a cluster: its topics, their partitions and leaders. */
export const patchCluster = (require: ReturnType<typeof createRequire>): void => {
  const { prototype: cluster } = require("kafkajs/src/cluster") as { readonly prototype: Cluster }
  const { KafkaJSBrokerNotFound, KafkaJSTopicMetadataNotLoaded } = require("kafkajs/src/errors") as Readonly<
    Record<string, new(message: string) => Error>
  >
  const { fetchTopicsOffset } = cluster
  if (KafkaJSBrokerNotFound === undefined || KafkaJSTopicMetadataNotLoaded === undefined) {
    throw new Error("kafkajs has no such errors")
  }

  // To look up one topic it would forget all others, which somebody else has just begun to ask about. And where no broker answers it has nothing to say.
  cluster.metadata = function({ topics = [] } = {}) {
    return this.retrier(async (bail) => {
      try {
        await this.brokerPool.refreshMetadataIfNecessary([...new Set([...topics, ...this.targetTopics])])
        const found = await this.brokerPool.withBroker(({ broker }) => broker.metadata(topics))
        if (found === null) throw new KafkaJSBrokerNotFound("No broker has answered")
        return found
      } catch (error) {
        if (isOfType(error, "LEADER_NOT_AVAILABLE")) throw error
        bail(error)
        return undefined
      }
    })
  }

  // It leaves out partitions that it has heard nothing of, all of a topic that it knows nothing of.
  cluster.fetchTopicsOffset = async function(topics) {
    const found = await fetchTopicsOffset.call(this, topics)
    const known = (topic: string): number => found.find((each) => each.topic === topic)?.partitions.length ?? 0
    const isEmpty = topics.every(({ partitions }) => partitions.length === 0)
    const unknown = topics.find(({ partitions, topic }) => isEmpty || known(topic) < partitions.length)
    if (unknown === undefined) return found
    await this.refreshMetadata()
    throw new KafkaJSTopicMetadataNotLoaded(`the partitions of ${unknown.topic} are not known`)
  }
}
