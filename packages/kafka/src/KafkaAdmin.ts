import { Context, Duration, Effect, Layer, Schedule } from "effect"
import type { Admin, ITopicConfig } from "kafkajs"
import { subscriptionOf } from "./internal/GroupAssigner.ts"
import { headsOf } from "./internal/Heads.ts"
import { inOrder, makeClient } from "./internal/KafkaClient.ts"
import { isLeaderless, kafkaError } from "./internal/KafkaErrors.ts"
import { CONFIG_RESOURCE_TOPIC } from "./internal/PatchedKafkaJS.ts"
import type { KafkaError } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/** A topic to be created. Without `replicationFactor` the broker's default counts. `configs` are Kafka's topic settings by name. */
export interface NewTopic {
  readonly topic: string
  readonly partitions: number
  readonly replicationFactor?: number
  readonly configs?: Readonly<Record<string, string>>
}

/** A topic as it is. `configs` has those that were asked for, and is `undefined` where they may not be read. */
export interface TopicDescription {
  readonly partitions: number
  /** Of the partition that has the fewest copies. */
  readonly replicationFactor: number
  readonly configs: ReadonlyMap<string, string> | undefined
}

/** What a group has committed for a partition: the next offset to read, and the text committed with it. */
export interface CommittedOffset {
  readonly offset: number
  readonly metadata: string
}

/** Kafka's own default of `max.message.bytes`. */
const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588

/** Looks after topics and offsets. Connects when it is first asked something. */
export class KafkaAdmin extends Context.Service<KafkaAdmin, {
  /** Creates what is not there yet; says which topics those were. */
  readonly createTopics: (topics: ReadonlyArray<NewTopic>) => Effect.Effect<ReadonlyArray<string>, KafkaError>
  /** How many brokers the cluster has at the moment. */
  readonly brokerCount: Effect.Effect<number, KafkaError>
  /** The topic with those of its settings that are named; `undefined` where there is no such topic. */
  readonly describeTopic: (
    topic: string,
    configNames: ReadonlyArray<string>
  ) => Effect.Effect<TopicDescription | undefined, KafkaError>
  readonly partitionCount: (topic: string) => Effect.Effect<number, KafkaError>
  /** The first offset that is still there, by partition. */
  readonly beginningOffsets: (topic: string) => Effect.Effect<ReadonlyMap<number, number>, KafkaError>
  /** The offset after the last record, by partition. */
  readonly endOffsets: (topic: string) => Effect.Effect<ReadonlyMap<number, number>, KafkaError>
  /** The first offset whose record is not older than a moment (milliseconds since 1970), by partition; the end where there is none. */
  readonly offsetsSince: (topic: string, moment: number) => Effect.Effect<ReadonlyMap<number, number>, KafkaError>
  /** By partition; partitions without a commit are left out. */
  readonly committedOffsets: (
    groupId: string,
    topic: string
  ) => Effect.Effect<ReadonlyMap<number, CommittedOffset>, KafkaError>
  /** What the group has committed for these partitions, or, where it has committed nothing, the partition's first offset without metadata. */
  readonly heads: (
    groupId: string,
    topic: string,
    partitions: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyMap<number, CommittedOffset>, KafkaError>
  /** The largest record batch that the topic takes, or Kafka's default where the topic's settings may not be read. */
  readonly maxMessageBytes: (topic: string) => Effect.Effect<number, KafkaError>
  /**
   * The topics that the group's members are subscribed to, each with the hosts of its members (one for each member); `undefined` while the group shares
   * its partitions out anew.
   */
  readonly subscriptions: (
    groupId: string
  ) => Effect.Effect<ReadonlyMap<string, ReadonlyArray<string>> | undefined, KafkaError>
  readonly deleteGroup: (groupId: string) => Effect.Effect<void, KafkaError>
}>()("@origin-regions/kafka/KafkaAdmin") {
  static readonly layer = (settings: KafkaSettings): Layer.Layer<KafkaAdmin> => Layer.effect(KafkaAdmin, make(settings))
}

/** How long topics may take to be known everywhere once they are made. */
const CREATION_SPACING = Schedule.spaced("100 millis")
const CREATION_TRIES = 100

const topicConfig = ({ configs, partitions, replicationFactor, topic }: NewTopic): ITopicConfig => ({
  topic,
  numPartitions: partitions,
  replicationFactor: replicationFactor ?? -1,
  configEntries: Object.entries(configs ?? {}).map(([name, value]) => ({ name, value }))
})

const LEADERLESS_SPACING = Duration.millis(200)
/** Some five seconds, in which a leader is elected or none can be. */
const LEADERLESS_TRIES = 25

const make = Effect.fnUntraced(function*(settings: KafkaSettings) {
  const client = yield* makeClient(settings, "origin-regions-admin")
  const admin = client.admin()
  /** Connects with the first operation: Kafka need not be there when the program starts. */
  const attempt = <A>(operation: string, run: (admin: Admin) => Promise<A>): Effect.Effect<A, KafkaError> =>
    Effect.tryPromise({
      try: async () => {
        await admin.connect()
        return run(admin)
      },
      catch: (error) => ({ error: kafkaError(operation, error), isLeaderless: isLeaderless(error) })
    }).pipe(
      Effect.retry({
        times: LEADERLESS_TRIES,
        schedule: Schedule.spaced(LEADERLESS_SPACING),
        while: (failure) => failure.isLeaderless
      }),
      Effect.mapError(({ error }) => error)
    )

  yield* Effect.addFinalizer(() => inOrder(Effect.tryPromise(() => admin.disconnect())))

  const lookUp = (topics: ReadonlyArray<string>) =>
    attempt(
      `look up the ${topics.length === 1 ? "topic" : "topics"} ${topics.join(", ")}`,
      () => admin.fetchTopicMetadata({ topics: [...topics] })
    )

  const offsetsOf = (topic: string, pick: (offsets: { readonly low: string; readonly high: string }) => string) =>
    Effect.map(
      attempt(`look up the offsets of the topic ${topic}`, () => admin.fetchTopicOffsets(topic)),
      (offsets) => new Map(offsets.map((each) => [each.partition, Number(pick(each))]))
    )

  /** None where they may not be read. */
  const configsOf = (topic: string, names: ReadonlyArray<string>) =>
    attempt(`look up the settings of the topic ${topic}`, () =>
      admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: CONFIG_RESOURCE_TOPIC, name: topic, configNames: [...names] }]
      })).pipe(
        Effect.map(({ resources }) =>
          new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]))
        ),
        Effect.catchReason("KafkaError", "Unauthorized", () => Effect.undefined)
      )

  const beginningOffsets = Effect.fn("KafkaAdmin.beginningOffsets")((topic: string) =>
    offsetsOf(topic, ({ low }) => low)
  )

  const committedOffsets = Effect.fn("KafkaAdmin.committedOffsets")(function*(groupId: string, topic: string) {
    const [fetched] = yield* attempt(
      `look up what the group ${groupId} has committed`,
      () => admin.fetchOffsets({ groupId, topics: [topic] })
    )
    return new Map(
      (fetched?.partitions ?? [])
        .filter(({ offset }) => Number(offset) >= 0)
        .map(({ metadata, offset, partition }) => [partition, { offset: Number(offset), metadata: metadata ?? "" }])
    )
  })

  return KafkaAdmin.of({
    createTopics: Effect.fn("KafkaAdmin.createTopics")(function*(topics) {
      const existing = new Set(yield* attempt("list topics", () => admin.listTopics()))
      const missing = topics.filter(({ topic }) => !existing.has(topic))
      if (missing.length === 0) return []
      yield* attempt(
        `create the topics ${missing.map(({ topic }) => topic).join(", ")}`,
        () => admin.createTopics({ topics: missing.map(topicConfig), waitForLeaders: false })
      )
      // The broker that is asked may hear of them a little later than the one that made them.
      yield* lookUp(missing.map(({ topic }) => topic)).pipe(
        Effect.retry({
          schedule: CREATION_SPACING,
          times: CREATION_TRIES,
          while: ({ reason }) => reason._tag === "UnknownTopic" || reason._tag === "Unreachable"
        })
      )
      return missing.map(({ topic }) => topic)
    }),
    brokerCount: Effect.map(
      attempt("list the brokers", () => admin.describeCluster()),
      ({ brokers }) => brokers.length
    ),
    describeTopic: Effect.fn("KafkaAdmin.describeTopic")(function*(topic, configNames) {
      const found = yield* lookUp([topic]).pipe(
        Effect.map(({ topics }) => topics[0]?.partitions),
        Effect.catchReason("KafkaError", "UnknownTopic", () => Effect.undefined)
      )
      if (found === undefined) return undefined
      const copies = found.map(({ replicas }) => replicas.length)
      return {
        partitions: found.length,
        replicationFactor: Math.min(...copies),
        configs: yield* configsOf(topic, configNames)
      }
    }),
    partitionCount: Effect.fn("KafkaAdmin.partitionCount")(function*(topic) {
      const { topics } = yield* lookUp([topic])
      return topics[0]?.partitions.length ?? 0
    }),
    beginningOffsets,
    endOffsets: Effect.fn("KafkaAdmin.endOffsets")((topic: string) => offsetsOf(topic, ({ high }) => high)),
    offsetsSince: Effect.fn("KafkaAdmin.offsetsSince")(function*(topic, moment) {
      const found = yield* attempt(
        `look up the offsets of the topic ${topic}`,
        () => admin.fetchTopicOffsetsByTimestamp(topic, moment)
      )
      return new Map(found.map(({ offset, partition }) => [partition, Number(offset)]))
    }),
    committedOffsets,
    heads: Effect.fn("KafkaAdmin.heads")(function*(groupId, topic, partitions) {
      return yield* headsOf(partitions, yield* committedOffsets(groupId, topic), beginningOffsets(topic))
    }),
    maxMessageBytes: Effect.fn("KafkaAdmin.maxMessageBytes")(function*(topic) {
      const configs = yield* configsOf(topic, ["max.message.bytes"])
      const value = Number(configs?.get("max.message.bytes"))
      return Number.isInteger(value) && value > 0 ? value : DEFAULT_MAX_MESSAGE_BYTES
    }),
    subscriptions: Effect.fn("KafkaAdmin.subscriptions")(function*(groupId) {
      const { groups } = yield* attempt(
        `look up the members of the group ${groupId}`,
        () => admin.describeGroups([groupId])
      )
      const group = groups[0]
      // What its members have joined with is told of no other state.
      if (group?.state !== "Stable") return undefined
      const hosts = new Map<string, Array<string>>()
      for (const { clientHost, memberMetadata } of group.members) {
        for (const topic of subscriptionOf(memberMetadata).topics) {
          hosts.set(topic, [...hosts.get(topic) ?? [], clientHost.replace(/^\//, "")])
        }
      }
      return hosts
    }),
    deleteGroup: Effect.fn("KafkaAdmin.deleteGroup")(function*(groupId) {
      yield* attempt(`delete the group ${groupId}`, () => admin.deleteGroups([groupId]))
    })
  })
})
