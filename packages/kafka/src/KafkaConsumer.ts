import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  type Fiber,
  FiberSet,
  Layer,
  Schedule,
  type Scope
} from "effect"
import type { Consumer, EachBatchPayload } from "kafkajs"
import { type ConsumerGroup, GROUP_OWNER, type GroupOwner } from "./internal/ConsumerGroupPatch.ts"
import { groupAssigner } from "./internal/GroupAssigner.ts"
import type { GroupGeneration } from "./internal/GroupFencing.ts"
import { inOrder, makeClient } from "./internal/KafkaClient.ts"
import { kafkaError } from "./internal/KafkaErrors.ts"
import { consumedCounter, measured } from "./internal/KafkaMetrics.ts"
import { sourceRecord } from "./internal/SourceRecords.ts"
import { type CommittedOffset, KafkaAdmin } from "./KafkaAdmin.ts"
import { KafkaError, StaleGeneration } from "./KafkaError.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/**
 * What this member owns from now on. `epoch` counts the joins of this process; work of an earlier epoch must not be committed any more. `heads`
 * has what the group has committed for each partition, or, where it has committed nothing, the partition's first offset without metadata.
 */
export interface Assignment {
  readonly epoch: number
  /** The member and the group's generation that the work of this assignment belongs to, for transactions to be fenced by. */
  readonly generation: GroupGeneration
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

/**
 * Who processes the records. All but `drain` are called synchronously between fetches and must be quick; back-pressure is `pause`. A handler that
 * throws is called no more, and the subscription's `failure` dies of what it threw.
 */
export interface ConsumerHandler {
  /** After each join, before the first batch. No partition is paused then. */
  readonly assigned: (assignment: Assignment) => void
  /** Takes a batch, or answers with the offset to go on from, where the batch does not follow what was taken before. */
  readonly received: (batch: RecordBatch) => number | undefined
  /**
   * The offset to be read is not there: the records were deleted before they were read, and reading goes on at the first that is left, `offset`. It
   * lies before what was read where the partition has lost its end, or was made anew.
   */
  readonly skipped: (partition: number, offset: number) => void
  /**
   * A rebalance has begun: settle and commit what is in flight, start nothing more. Interrupted after `drainTimeout`. Nothing can be committed where
   * the membership itself was lost.
   */
  readonly drain: Effect.Effect<void>
}

/** A commit of one partition: the next offset to read, and up to 4,096 characters with it. */
export interface OffsetCommit {
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}

/**
 * How a member is doing. `silence` is how long ago it has asked the group's coordinator for what that answered last, in milliseconds: setting the machine's time doesn't
 * change it, and an answer that comes late does not shorten it.
 */
export interface MemberState {
  readonly joined: boolean
  readonly partitions: ReadonlyArray<number>
  readonly silence: number
}

/** A member of a consumer group, while its scope is open. */
export interface Subscription {
  /**
   * One attempt, refused as `StaleGeneration` once `epoch` is not the current one. The broker judges each partition by itself: where it refuses one
   * of several, the others are committed, and this fails.
   */
  readonly commit: (epoch: number, offsets: ReadonlyArray<OffsetCommit>) => Effect.Effect<void, KafkaError>
  readonly pause: (partition: number) => void
  readonly resume: (partition: number) => void
  /** Leaves the current generation for the next one, so that nothing sent in this one can take effect any more. */
  readonly rejoin: () => void
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
  /** Looks up where the group stands with partitions that have just been assigned, in the form of `Assignment.heads`. Default: `KafkaAdmin.heads`. */
  readonly heads?: (
    partitions: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyMap<number, CommittedOffset>, KafkaError>
}

/**
 * Consumes a topic as a member of a group, batch by batch, and commits only what it is told to. Members of one group may be subscribed to different
 * topics: each topic is read by its own.
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

/** Kafka's own default of `heartbeat.interval.ms`; a short session takes more. */
const HEARTBEAT_INTERVAL = Duration.seconds(3)
/** Bounds how long a fetch of nothing takes, and with it how fast a resumed partition is read again. */
const MAX_WAIT = Duration.millis(200)
/** What a fetch brings is decoded in one go, and nothing else happens meanwhile: a megabyte of it takes some 20 ms. A larger record comes alone. */
const MAX_FETCH_BYTES = { ofPartition: 64 * 1024, ofAll: 1024 * 1024 }
const CONNECT_SPACING = Duration.seconds(2)

/** kafkajs throws where it is between two runs; what is paused is settled anew with each assignment. */
const whileRunning = (act: () => void) => {
  try {
    act()
  } catch {
    return
  }
}

/**
 * - joining: nothing has been handed out yet
 * - joined: the partitions are ours
 * - draining: a rebalance has begun, and our join waits for what is in flight
 * - drained: our join is on its way; nothing is in flight, or it has been given up
 * - lost: the client has crashed, something may still be in flight
 * - stopped: by us, or by a fault of the handler
 */
type Phase = "joining" | "joined" | "draining" | "drained" | "lost" | "stopped"

const subscribe = Effect.fn("KafkaConsumer.subscribe")(function*(
  settings: KafkaSettings,
  admin: KafkaAdmin["Service"],
  options: SubscribeOptions,
  handler: ConsumerHandler
) {
  const { groupId, topic } = options
  const clock = yield* Clock.Clock
  const now = () => steadyMillis(clock)
  const countConsumed = consumedCounter(yield* Effect.context<never>())
  const client = yield* makeClient(settings, "origin-regions-consumer")
  const fibers = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(fibers)()
  const run = yield* FiberSet.runtimePromise(fibers)()
  const failed = yield* Deferred.make<never, KafkaError>()
  const heartbeatInterval = Duration.min(HEARTBEAT_INTERVAL, Duration.divideUnsafe(options.sessionTimeout, 3))

  let phase: Phase = "joining"
  let epoch = 0
  /** How often the group was left for its next generation. */
  let rejoins = 0
  let partitions: ReadonlyArray<number> = []
  /** Looks up where the group stands with the current assignment: of a former one, that would end the transactions of who came after us. */
  let assigning: Fiber.Fiber<void> | undefined
  /** Done once the handler has been told of the current assignment. */
  let assigned = Deferred.makeUnsafe<void>()
  let group: ConsumerGroup | undefined
  let firstJoin: Promise<void> = Promise.resolve()
  let lastContact = now()
  /** When the last heartbeat was sent. */
  let beatAt = lastContact

  const headsOf = options.heads ?? ((owned: ReadonlyArray<number>) => admin.heads(groupId, topic, owned))

  const isIn = (...phases: ReadonlyArray<Phase>): boolean => phases.includes(phase)

  const stopFor = (exit: Exit.Exit<never, KafkaError>) => {
    phase = "stopped"
    Deferred.doneUnsafe(failed, exit)
  }

  /** Tells the handler something. A fault of its own would meet it again with every retry, and kafkajs retries for minutes. */
  const tell = <A>(what: () => A): A | undefined => {
    try {
      return what()
    } catch (fault) {
      stopFor(Exit.die(fault))
      return undefined
    }
  }

  /**
   * Looks up where the group stands until it is known, and hands the partitions over, unless another join has begun meanwhile. Another coordinator may be asked than the one of the
   * join: that answered when its record was on all replicas in sync, and each had been told with it of all that was acknowledged before. So none of them answers without a commit of the
   * generations before.
   */
  const assign = (at: number, generation: GroupGeneration, owned: ReadonlyArray<number>) => {
    const isCurrent = () => at === epoch && isIn("joined")
    return headsOf(owned).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.retry({
        schedule: Schedule.spaced(CONNECT_SPACING),
        while: ({ reason }) => reason._tag === "Unreachable" && isCurrent()
      }),
      Effect.match({
        onFailure: (error) => {
          if (isCurrent()) stopFor(Exit.fail(error))
        },
        onSuccess: (heads) => {
          if (!isCurrent()) return
          tell(() => handler.assigned({ epoch: at, generation, heads }))
          Deferred.doneUnsafe(assigned, Exit.void)
        }
      })
    )
  }

  /** Whether the handler knows of the assignment; kafkajs sends no heartbeat while it waits for this, and so not for long. */
  const isHandedOver = async (): Promise<boolean> => {
    if (!Deferred.isDoneUnsafe(assigned)) {
      await run(Effect.asVoid(Effect.timeoutOption(Deferred.await(assigned), MAX_WAIT)))
    }
    return Deferred.isDoneUnsafe(assigned) && isIn("joined")
  }

  const heartbeat = Effect.tryPromise({
    try: async () => group?.heartbeat({ interval: Duration.toMillis(heartbeatInterval) }),
    catch: (error) => kafkaError("send a heartbeat", error)
  }).pipe(
    // That the group is being rebalanced is an answer too.
    Effect.catchReason("KafkaError", "StaleGeneration", () =>
      Effect.sync(() => {
        lastContact = beatAt
      })),
    Effect.ignore
  )

  /** Nothing of the old generation may be in flight when the new one begins. */
  const drain = Effect.gen(function*() {
    if (phase === "joined") phase = "draining"
    const beating = Effect.repeat(heartbeat, Schedule.spaced(Duration.divideUnsafe(heartbeatInterval, 3)))
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
    if (!isIn("stopped")) phase = "drained"
  }).pipe(
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterruptsOnly(cause),
      (cause) => Effect.sync(() => stopFor(Exit.failCause(cause)))
    )
  )

  const owner: GroupOwner = {
    joining: async (joiner) => {
      if (isIn("joined", "lost")) await run(drain)
      group = joiner
      if (isIn("stopped")) throw Object.assign(new Error("the consumer has been stopped"), { retriable: false })
    },
    beating: () => {
      beatAt = now()
    },
    skipping: async (partition, offset) => {
      if (!(await isHandedOver())) return false
      tell(() => handler.skipped(partition, offset))
      return !isIn("stopped")
    }
  }

  const consumer = client.consumer({
    groupId,
    sessionTimeout: Duration.toMillis(options.sessionTimeout),
    rebalanceTimeout: Duration.toMillis(options.rebalanceTimeout),
    heartbeatInterval: Duration.toMillis(heartbeatInterval),
    maxWaitTimeInMs: Duration.toMillis(MAX_WAIT),
    maxBytesPerPartition: MAX_FETCH_BYTES.ofPartition,
    maxBytes: MAX_FETCH_BYTES.ofAll,
    metadataMaxAge: 60_000,
    allowAutoTopicCreation: false,
    // It is the joins that are tried again. Where they come to nothing we start anew, and not kafkajs: it would do so even when stopped.
    retry: { retries: 30, maxRetryTime: 5_000, restartOnFailure: async () => false },
    partitionAssigners: [(config) => {
      // It is here that the cluster is handed out by which the group finds its owner.
      Object.assign(config.cluster, { [GROUP_OWNER]: owner })
      return groupAssigner(() => rejoins)(config)
    }]
  })

  const pause = (partition: number) => whileRunning(() => consumer.pause([{ topic, partitions: [partition] }]))
  const resume = (...resumed: ReadonlyArray<number>) =>
    whileRunning(() => consumer.resume([{ topic, partitions: [...resumed] }]))

  const eachBatch = async ({ batch, isRunning, resolveOffset }: EachBatchPayload): Promise<void> => {
    // What is not resolved here is fetched again.
    if (!(await isHandedOver()) || !isRunning()) return
    countConsumed(topic, batch.partition, batch.messages.length)
    const goOnFrom = tell(() =>
      handler.received({
        partition: batch.partition,
        fetchedOffset: Number((batch as unknown as { readonly fetchedOffset: string }).fetchedOffset),
        nextOffset: Number(batch.lastOffset()) + 1,
        records: batch.messages.map((message) => sourceRecord(topic, batch.partition, message))
      })
    )
    if (isIn("stopped")) return
    if (goOnFrom === undefined) resolveOffset(batch.lastOffset())
    else consumer.seek({ topic, partition: batch.partition, offset: String(goOnFrom) })
  }

  consumer.on("consumer.group_join", ({ payload }) => {
    if (isIn("stopped")) return
    phase = "joined"
    epoch += 1
    partitions = payload.memberAssignment[topic] ?? []
    assigned = Deferred.makeUnsafe()
    lastContact = now()
    resume(...partitions)
    assigning?.interruptUnsafe()
    assigning = fork(assign(epoch, { memberId: payload.memberId, generationId: group?.generationId ?? -1 }, partitions))
  })
  consumer.on("consumer.heartbeat", () => {
    lastContact = beatAt
  })

  /** Consumes until the client crashes. */
  const consume = Effect.callback<KafkaError>((resume) => {
    const remove = consumer.on(
      "consumer.crash",
      ({ payload }) => resume(Effect.succeed(kafkaError(`consume the topic ${topic}`, payload.error)))
    )
    firstJoin = consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 64,
      eachBatch
    }).catch((error: unknown) => resume(Effect.succeed(kafkaError(`consume the topic ${topic}`, error))))
    return Effect.sync(remove)
  })

  const live = Effect.gen(function*() {
    const error = yield* consume
    if (phase === "joined") phase = "lost"
    if (error.reason._tag !== "Unreachable") return yield* error
    yield* Effect.logWarning(`${error.message}. Trying again`)
    yield* Effect.sleep(CONNECT_SPACING)
    yield* connect(consumer, topic, groupId)
  })

  yield* Effect.addFinalizer(() => {
    const isJoining = isIn("joining", "draining", "drained")
    phase = "stopped"
    return inOrder(Effect.andThen(
      FiberSet.clear(fibers),
      Effect.tryPromise(async () => {
        // The coordinator ends a join when the member leaves; it would take as long as the other members do.
        if (isJoining) await group?.leave().catch(() => {})
        // kafkajs can't stop before the first join, and would go on behind our back.
        await firstJoin
        await consumer.disconnect()
      })
    ))
  })
  yield* connect(consumer, topic, groupId)
  yield* Effect.forkScoped(Effect.catch(Effect.forever(live), (error) => Effect.sync(() => stopFor(Exit.fail(error)))))

  const subscription: Subscription = {
    commit: (at, offsets) =>
      Effect.suspend(() => {
        const member = group
        if (member === undefined || at !== epoch || !isIn("joined", "draining")) {
          return Effect.fail(
            new KafkaError({
              operation: "commit offsets",
              reason: new StaleGeneration({ detail: "the group has been rebalanced" })
            })
          )
        }
        const committed = offsets.map(({ metadata, offset, partition }) => ({
          partition,
          offset: String(offset),
          metadata
        }))
        return measured(
          "commit",
          Effect.tryPromise({
            try: () => member.commitOffsets({ topics: [{ topic, partitions: committed }] }),
            catch: (error) => kafkaError("commit offsets", error)
          })
        )
      }),
    pause,
    resume,
    rejoin: () => {
      rejoins += 1
      if (group !== undefined) group.owesJoin = true
    },
    state: () => ({ joined: phase === "joined", partitions, silence: now() - lastContact }),
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
