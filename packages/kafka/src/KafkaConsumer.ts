import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { Clock, Context, Deferred, Duration, Effect, Exit, FiberSet, Layer, Schedule, type Scope } from "effect"
import type { Consumer, EachBatchPayload } from "kafkajs"
import { makeClient } from "./internal/KafkaClient.ts"
import { kafkaError } from "./internal/KafkaErrors.ts"
import { OFFSET_RESET, PartitionAssigners } from "./internal/PatchedKafkaJS.ts"
import { sourceRecord } from "./internal/SourceRecords.ts"
import { type CommittedOffset, KafkaAdmin } from "./KafkaAdmin.ts"
import { Crashed, KafkaError, StaleGeneration } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/**
 * What this member owns from now on. `epoch` counts the joins of this process; work of an earlier epoch must not be committed any more. `heads`
 * has what the group has committed for each partition, or, where it has committed nothing, the partition's first offset without metadata.
 */
export interface Assignment {
  readonly epoch: number
  readonly heads: ReadonlyMap<number, CommittedOffset>
}

/**
 * What one fetch brought of a partition. Offsets from `fetchedOffset` to `nextOffset` that no record has do not exist (compaction, transaction
 * markers, aborted records).
 */
export interface RecordBatch {
  readonly partition: number
  readonly fetchedOffset: number
  readonly nextOffset: number
  readonly records: ReadonlyArray<SourceRecord>
}

/** Who processes the records. All but `drain` are called synchronously between fetches and must be quick; back-pressure is `pause`. */
export interface ConsumerHandler {
  /** After each join, before the first batch. */
  readonly assigned: (assignment: Assignment) => void
  /** Takes a batch, or answers with the offset to go on from, where the batch does not follow what was taken before. */
  readonly received: (batch: RecordBatch) => number | undefined
  /** The broker has deleted records before they were read: reading goes on at `offset`. */
  readonly skipped: (partition: number, offset: number) => void
  /** A rebalance has begun: settle and commit what is in flight, start nothing more. Cut off after `drainTimeout`. */
  readonly drain: Effect.Effect<void>
}

/** A commit of one partition: the next offset to read, and up to 4,096 characters with it. */
export interface OffsetCommit {
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}

/** How a member is doing. `lastContact` is when the group's coordinator last answered, in milliseconds since 1970. */
export interface MemberState {
  readonly joined: boolean
  readonly partitions: ReadonlyArray<number>
  readonly lastContact: number
}

/** A member of a consumer group, while its scope is open. */
export interface Subscription {
  /** One attempt, refused as `StaleGeneration` once `epoch` is not the current one. */
  readonly commit: (epoch: number, offsets: ReadonlyArray<OffsetCommit>) => Effect.Effect<void, KafkaError>
  readonly pause: (partition: number) => void
  readonly resume: (partition: number) => void
  readonly state: () => MemberState
  /** Fails when the member has stopped for good. Never succeeds. */
  readonly failure: Effect.Effect<never, KafkaError>
}

/** `drainTimeout` must be shorter than `rebalanceTimeout`, after which the group goes on without this member. */
export interface SubscribeOptions {
  readonly topic: string
  readonly groupId: string
  readonly sessionTimeout: Duration.Duration
  readonly rebalanceTimeout: Duration.Duration
  readonly drainTimeout: Duration.Duration
}

/**
 * Consumes a topic as a member of a group, batch by batch, and commits only what it is told to.
 *
 * kafkajs has no hook that a rebalance would wait for. Its join is held instead until what is in flight has been settled, with heartbeats meanwhile:
 * the broker takes commits of the old generation until the join is complete.
 */
export class KafkaConsumer extends Context.Service<KafkaConsumer, {
  readonly subscribe: (
    options: SubscribeOptions,
    handler: ConsumerHandler
  ) => Effect.Effect<Subscription, KafkaError, Scope.Scope>
}>()("@origin-regions/kafka/KafkaConsumer") {
  static readonly layerNoDeps = (settings: KafkaSettings): Layer.Layer<KafkaConsumer, never, KafkaAdmin> =>
    Layer.effect(
      KafkaConsumer,
      Effect.map(
        KafkaAdmin,
        (admin) => KafkaConsumer.of({ subscribe: (options, handler) => subscribe(settings, admin, options, handler) })
      )
    )

  static readonly layer = (settings: KafkaSettings): Layer.Layer<KafkaConsumer> =>
    this.layerNoDeps(settings).pipe(Layer.provide(KafkaAdmin.layer(settings)))
}

const HEARTBEAT_INTERVAL = Duration.seconds(3)
/** Bounds how long a fetch of nothing takes, and with it how fast a resumed partition is read again. */
const MAX_WAIT_MILLIS = 200
const STOP_TIMEOUT = Duration.seconds(5)
const CONNECT_SPACING = Duration.seconds(2)
/** How much longer than the group may take a rejoin can last before the member counts as lost. */
const REJOIN_MARGIN = Duration.seconds(30)

/** kafkajs throws where it is between two runs; what is paused is settled anew with each assignment. */
const whileRunning = (act: () => void) => {
  try {
    act()
  } catch {
    return
  }
}

type Phase = "joining" | "joined" | "draining" | "rejoining" | "stopped"

const subscribe = Effect.fn("KafkaConsumer.subscribe")(function*(
  settings: KafkaSettings,
  admin: KafkaAdmin["Service"],
  options: SubscribeOptions,
  handler: ConsumerHandler
) {
  const { groupId, topic } = options
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const client = yield* makeClient(settings, "origin-regions-consumer")
  const run = yield* FiberSet.makeRuntimePromise<never>()
  const failed = yield* Deferred.make<never, KafkaError>()
  const fail = (detail: string) =>
    Deferred.doneUnsafe(failed, Exit.fail(new KafkaError({ operation: "consume", reason: new Crashed({ detail }) })))

  let phase: Phase = "joining"
  let epoch = 0
  let partitions: ReadonlyArray<number> = []
  let ready: Promise<void> = Promise.resolve()
  let lastPayload: EachBatchPayload | undefined
  let lastContact = now()

  const headsOf = (assigned: ReadonlyArray<number>) =>
    Effect.gen(function*() {
      const committed = yield* admin.committedOffsets(groupId, topic)
      const first = assigned.every((partition) => committed.has(partition))
        ? new Map<number, number>()
        : yield* admin.beginningOffsets(topic)
      return new Map(
        assigned.map((
          partition
        ) => [partition, committed.get(partition) ?? { offset: first.get(partition) ?? 0, metadata: "" }])
      )
    })

  /** Looks up where the group stands until it is known, and hands the partitions over, unless another join has begun meanwhile. */
  const assign = (at: number, assigned: ReadonlyArray<number>) =>
    Effect.gen(function*() {
      const heads = yield* headsOf(assigned).pipe(
        Effect.tapError((error) => Effect.logWarning(error.message)),
        Effect.retry({ schedule: Schedule.spaced(CONNECT_SPACING), while: () => at === epoch })
      )
      if (at === epoch && phase === "joined") handler.assigned({ epoch: at, heads })
    }).pipe(Effect.ignore)

  const heartbeat = Effect.ignore(Effect.tryPromise(async () => lastPayload?.heartbeat()))

  /** Runs before each join: nothing of the old generation may be in flight when the new one begins. */
  const beforeJoin = Effect.gen(function*() {
    if (phase === "joining" || phase === "stopped") return
    phase = "draining"
    const beating = Effect.repeat(heartbeat, Schedule.spaced(Duration.divideUnsafe(HEARTBEAT_INTERVAL, 3)))
    const drained = yield* handler.drain.pipe(
      Effect.raceFirst(Effect.andThen(beating, Effect.never)),
      Effect.timeoutOption(options.drainTimeout)
    )
    if (drained._tag === "None") {
      yield* Effect.logWarning(
        `What was in flight was not settled within ${
          Duration.format(options.drainTimeout)
        }: the rebalance goes on, and some requests may be applied again`
      )
    }
    if (phase !== "draining") return
    phase = "rejoining"
    const at = ++epoch
    const patience = Duration.sum(Duration.sum(options.rebalanceTimeout, options.sessionTimeout), REJOIN_MARGIN)
    void run(Effect.andThen(
      Effect.sleep(patience),
      Effect.sync(() => {
        if (at === epoch && phase === "rejoining") {
          fail(`the group ${groupId} could not be rejoined within ${Duration.format(patience)}`)
        }
      })
    ))
  })

  const consumer = client.consumer({
    groupId,
    sessionTimeout: Duration.toMillis(options.sessionTimeout),
    rebalanceTimeout: Duration.toMillis(options.rebalanceTimeout),
    heartbeatInterval: Duration.toMillis(HEARTBEAT_INTERVAL),
    maxWaitTimeInMs: MAX_WAIT_MILLIS,
    maxBytesPerPartition: 512 * 1024,
    maxBytes: 4 * 1024 * 1024,
    metadataMaxAge: 60_000,
    allowAutoTopicCreation: false,
    // An outage is no reason to give up; anything that trying again would not mend is.
    retry: {
      retries: 30,
      maxRetryTime: 5_000,
      restartOnFailure: async (error) => kafkaError("consume", error).reason._tag === "Unreachable"
    },
    partitionAssigners: [(config) => {
      const cluster = config.cluster as typeof config.cluster & {
        findGroupCoordinator: (group: { groupId: string }) => Promise<unknown>
        [OFFSET_RESET]: (partition: number, offset: number) => void
      }
      const find = cluster.findGroupCoordinator.bind(cluster)
      cluster.findGroupCoordinator = async (group) => {
        await run(beforeJoin)
        return find(group)
      }
      cluster[OFFSET_RESET] = handler.skipped
      return PartitionAssigners.roundRobin(config)
    }]
  })

  const joined = (assigned: ReadonlyArray<number>) => {
    if (phase === "stopped") return
    phase = "joined"
    partitions = assigned
    lastContact = now()
    const at = ++epoch
    for (const partition of assigned) resume(partition)
    ready = run(assign(at, assigned))
  }

  const pause = (partition: number) => whileRunning(() => consumer.pause([{ topic, partitions: [partition] }]))
  const resume = (partition: number) => whileRunning(() => consumer.resume([{ topic, partitions: [partition] }]))

  const eachBatch = async (payload: EachBatchPayload): Promise<void> => {
    lastPayload = payload
    await ready
    // Nothing here is resolved unless it is taken: what is left is fetched again.
    if (phase !== "joined" || !payload.isRunning()) return
    const { batch } = payload
    const nextOffset = Number(batch.lastOffset()) + 1
    const goOnFrom = handler.received({
      partition: batch.partition,
      fetchedOffset: Number((batch as unknown as { readonly fetchedOffset: string }).fetchedOffset),
      nextOffset,
      records: batch.messages.map((message) => sourceRecord(topic, batch.partition, message))
    })
    if (goOnFrom === undefined) payload.resolveOffset(batch.lastOffset())
    else consumer.seek({ topic, partition: batch.partition, offset: String(goOnFrom) })
  }

  consumer.on("consumer.group_join", ({ payload }) => joined(payload.memberAssignment[topic] ?? []))
  consumer.on("consumer.heartbeat", () => {
    lastContact = now()
    // kafkajs can lose a rejoin: it beats on in a group that it never joined again. A heartbeat that fails this way makes it join.
    if (phase === "rejoining") throw Object.assign(new Error("The rejoin was lost"), { type: "REBALANCE_IN_PROGRESS" })
  })
  consumer.on("consumer.crash", ({ payload }) => {
    const { message } = kafkaError(`consume the topic ${topic}`, payload.error)
    if (payload.restart) void run(Effect.logWarning(`${message}. Trying again`))
    else fail(message)
  })

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      phase = "stopped"
    }).pipe(
      Effect.andThen(Effect.tryPromise(() => consumer.disconnect())),
      Effect.timeoutOption(STOP_TIMEOUT),
      Effect.ignore
    )
  )
  yield* connect(consumer, topic, groupId)
  yield* Effect.forkScoped(
    Effect.tryPromise({
      try: () =>
        consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 64, eachBatch }),
      catch: (error) => kafkaError(`consume the topic ${topic}`, error)
    }).pipe(Effect.catch((error) => Deferred.fail(failed, error)))
  )

  const subscription: Subscription = {
    commit: (at, offsets) =>
      Effect.suspend(() => {
        const payload = lastPayload
        if (payload === undefined || at !== epoch || (phase !== "joined" && phase !== "draining")) {
          return Effect.fail(
            new KafkaError({
              operation: "commit offsets",
              reason: new StaleGeneration({ detail: "the group has been rebalanced" })
            })
          )
        }
        return Effect.tryPromise({
          try: () =>
            payload.commitOffsetsIfNecessary({
              topics: [{
                topic,
                partitions: offsets.map(({ metadata, offset, partition }) => ({
                  partition,
                  offset: String(offset),
                  metadata
                }))
              }]
            }),
          catch: (error) => kafkaError("commit offsets", error)
        })
      }),
    pause,
    resume,
    state: () => ({ joined: phase === "joined", partitions, lastContact }),
    failure: Deferred.await(failed)
  }
  return subscription
})

/** Connects, however long Kafka is away, with a line for every try. What trying again cannot mend fails. */
const connect = (consumer: Consumer, topic: string, groupId: string) =>
  Effect.tryPromise({
    try: async () => {
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
    },
    catch: (error) => kafkaError(`join the group ${groupId} on the topic ${topic}`, error)
  }).pipe(
    Effect.tapError((error) => Effect.logWarning(error.message)),
    Effect.retry({
      schedule: Schedule.spaced(CONNECT_SPACING),
      while: ({ reason }) => reason._tag === "Unreachable" || reason._tag === "UnknownTopic"
    })
  )
