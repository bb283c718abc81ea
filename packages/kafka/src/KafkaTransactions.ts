import { Context, Duration, Effect, Fiber, Latch, Layer, Schedule, Scope, Semaphore } from "effect"
import { accessCluster } from "./internal/ClusterAccess.ts"
import { fencedBy, type GroupGeneration, UNSTABLE_OFFSET_COMMIT } from "./internal/GroupFencing.ts"
import { makeHangingTransactions } from "./internal/HangingTransactions.ts"
import { headsOf } from "./internal/Heads.ts"
import { makeClient } from "./internal/KafkaClient.ts"
import { countSent, measured } from "./internal/KafkaMetrics.ts"
import { requestsOf, topicMessages } from "./internal/OutgoingRequests.ts"
import { TRANSACTION_RETRY } from "./internal/PatchedKafkaJS.ts"
import { makeOffsetReader } from "./internal/StableOffsets.ts"
import { step, takeTransactionalId, type TransactionalProducer } from "./internal/TransactionalProducer.ts"
import { type CommittedOffset, KafkaAdmin } from "./KafkaAdmin.ts"
import type { OffsetCommit } from "./KafkaConsumer.ts"
import { KafkaError, Refused } from "./KafkaError.ts"
import type { AddressedRecord } from "./KafkaProducer.ts"
import type { KafkaSettings } from "./KafkaSettings.ts"

/** Records and offsets that become visible together, or not at all. `generation` is the member's when the work was taken on. */
export interface Transaction {
  readonly records: ReadonlyArray<AddressedRecord>
  readonly generation: GroupGeneration
  /** Made up at the last moment, when the records have been written. Nothing else may commit offsets of these partitions from then on until `commit` returns. */
  readonly offsets: Effect.Effect<ReadonlyArray<OffsetCommit>, KafkaError>
}

export interface TransactionOptions {
  readonly groupId: string
  readonly topic: string
  /** Where transactions put records. */
  readonly outputTopics: ReadonlyArray<string>
  /** Of this process alone; what it leaves open is ended by whoever finds this id in a commit's metadata. */
  readonly transactionalId: string
  /** The transactional id in a commit's metadata: whose transaction may be pending on the partition. */
  readonly ownerOf: (metadata: string) => string | undefined
}

/** A transaction of some member that holds up who wants to know where the group stands. */
export interface PendingTransaction {
  readonly partitions: ReadonlyArray<number>
  readonly seconds: number
  /** Why nobody can end it, where that was tried. */
  readonly problem: string | undefined
}

/**
 * Transactions of one producer for a whole process, fenced by the consumer group's generation (KIP-447): a member that has been replaced is refused,
 * whatever it still has to say.
 */
export class KafkaTransactions extends Context.Service<KafkaTransactions, {
  /**
   * Succeeds when everything is committed, fails when nothing is: after a fault in the middle the group's committed offsets say which. The producer
   * is made anew after every failure.
   */
  readonly commit: (transaction: Transaction) => Effect.Effect<void, KafkaError>
  /**
   * What the group has committed, once no transaction is pending on any of the partitions; the first offset that is there where it has committed
   * nothing. With `takeOver`, the pending transaction of an owner that may be dead is ended, which fences that owner.
   */
  readonly stableOffsets: (
    partitions: ReadonlyArray<number>,
    takeOver: boolean
  ) => Effect.Effect<ReadonlyMap<number, CommittedOffset>, KafkaError>
  /** What `stableOffsets` waits for just now. */
  readonly pending: () => PendingTransaction | undefined
}>()("@origin-regions/kafka/KafkaTransactions") {
  static readonly layer = (
    settings: KafkaSettings,
    options: TransactionOptions
  ): Layer.Layer<KafkaTransactions, never, KafkaAdmin> => Layer.effect(KafkaTransactions, make(settings, options))
}

const POLL_SPACING = Duration.millis(20)
/** A pending transaction of a living owner is over by then. */
const GRACE_POLLS = 5
const HANGING_AFTER = Duration.seconds(30)
const RETRY_SPACING = Duration.millis(500)

/** A transaction whose owner is fenced is over by then, or hangs. */
const LOOK_AFTER = Duration.seconds(1)

const pollsIn = (duration: Duration.Duration): number => Duration.toMillis(duration) / Duration.toMillis(POLL_SPACING)

/** How long a transaction may go on that nobody waits for any more, because the process ends. It takes milliseconds where Kafka answers. */
const END_TIMEOUT = Duration.seconds(1)

/** Whatever the fault is: as long as it is not known whether a transaction was committed, its records must not be published again. */
const untilKnown = <A>(effect: Effect.Effect<A, KafkaError>): Effect.Effect<A> =>
  Effect.suspend(() => {
    let told: string | undefined
    return effect.pipe(
      Effect.tapError(({ message }) => {
        if (message === told) return Effect.void
        told = message
        return Effect.logWarning(`${message}. Trying again`)
      }),
      Effect.retry(Schedule.spaced(RETRY_SPACING)),
      Effect.orDie
    )
  })

/** The same, in silence, as long as Kafka is away. */
const untilReachable = <A>(effect: Effect.Effect<A, KafkaError>): Effect.Effect<A, KafkaError> =>
  Effect.retry(effect, {
    schedule: Schedule.spaced(RETRY_SPACING),
    while: ({ reason }) => reason._tag === "Unreachable"
  })

const make = Effect.fnUntraced(function*(settings: KafkaSettings, options: TransactionOptions) {
  const { groupId, ownerOf, topic, transactionalId } = options
  const admin = yield* KafkaAdmin
  const client = yield* makeClient(settings, "origin-regions-transactions", TRANSACTION_RETRY)
  const cluster = yield* accessCluster(client)
  const readOffsets = makeOffsetReader(cluster)
  const hanging = makeHangingTransactions(cluster, groupId, options.outputTopics)
  const scope = yield* Effect.scope
  const connectionLost = yield* Latch.make(false)
  let current: TransactionalProducer | undefined
  const oneAtATime = yield* Semaphore.make(1)
  let waitsFor: PendingTransaction | undefined

  /** Ids that were taken from whoever had them, until it has been seen that nothing of theirs hangs. */
  const taken = new Set<string>()
  /** What was last told of what can't be ended. */
  let told: string | undefined
  /** Whether a former producer of ours may have left something hanging. */
  let mayHang = false

  /** A credential that may not look for what hangs is told about once, and not after every rebalance. */
  const tell = (problem: string | undefined): Effect.Effect<void> => {
    if (problem === undefined || problem === told) return Effect.void
    told = problem
    return Effect.logError(
      `What the last transaction of a producer may have left open can't be ended (${problem}): see docs/guarantees.md, "When something hangs"`
    )
  }

  /** A producer that holds the id from now on: whoever had it is fenced, and what it left open is ended. */
  const open = (id: string) =>
    Effect.andThen(
      hanging.note(id),
      Effect.provideService(takeTransactionalId(settings, id, () => connectionLost.openUnsafe()), Scope.Scope, scope)
    )

  const give = Effect.sync(() => {
    mayHang = true
    const given = current
    current = undefined
    return given
  })

  const drop = Effect.flatMap(give, (given) => given?.close ?? Effect.void)

  /** What the last transaction of a former producer has left hanging would become part of the next one, and is ended before. */
  const producer = Effect.gen(function*() {
    if (current?.hasLostConnection() === true) yield* drop
    current ??= yield* open(transactionalId)
    if (mayHang) yield* tell(yield* hanging.end(transactionalId))
    mayHang = false
    return current
  })

  /** Nor may it hang until there is a next one: nobody could read what was published. */
  const renewing = connectionLost.await.pipe(
    Effect.andThen(Effect.sync(() => connectionLost.closeUnsafe())),
    Effect.andThen(Effect.ignore(untilReachable(oneAtATime.withPermit(producer)))),
    Effect.forever
  )

  const run = Effect.fnUntraced(
    function*({ begin }: TransactionalProducer, { generation, offsets, records }: Transaction) {
      const transaction = yield* begin
      // Records before offsets: those are made up at the last moment.
      for (const request of requestsOf(records)) {
        yield* step(() => transaction.sendBatch({ acks: -1, topicMessages: topicMessages(request) }))
      }
      const partitions = (yield* offsets).map(({ metadata, offset, partition }) => ({
        partition,
        offset: String(offset),
        metadata
      }))
      yield* step(() =>
        transaction.sendOffsets({ consumerGroupId: groupId, topics: fencedBy([{ topic, partitions }], generation) })
      )
      yield* step(() => transaction.commit())
    }
  )

  /** A transaction that is given up half-way stays open until somebody else ends it, and so it may go on for a while. */
  const attempt = Effect.fnUntraced(function*(producer: TransactionalProducer, transaction: Transaction) {
    const running = yield* Effect.forkDetach(run(producer, transaction))
    return yield* Effect.raceFirst(Fiber.join(running), producer.broken).pipe(
      // Whatever it was waiting for, it goes no further.
      Effect.tapError(() => Fiber.interrupt(running)),
      Effect.onInterrupt(() =>
        Effect.andThen(
          Effect.timeoutOption(Fiber.await(running), END_TIMEOUT),
          // Its connections end with the layer's scope.
          give
        )
      )
    )
  })

  /** What keeps transactions hanging that are nobody's any more, if anything does. */
  const endHanging = Effect.gen(function*() {
    const problems: Array<string> = []
    for (const id of taken) {
      const problem = yield* hanging.end(id)
      if (problem !== undefined) problems.push(problem)
    }
    return problems.length === 0 ? undefined : problems.join("; ")
  })

  const stableOffsets = Effect.fn("KafkaTransactions.stableOffsets")(
    function*(
      partitions: ReadonlyArray<number>,
      takeOver: boolean
    ) {
      const fenced = new Set<string>([transactionalId])
      let problem: string | undefined
      for (let poll = 0;; poll++) {
        const offsets = yield* readOffsets(groupId, topic, partitions, true)
        const failed = offsets.find(({ errorCode }) => errorCode !== 0 && errorCode !== UNSTABLE_OFFSET_COMMIT)
        if (failed !== undefined) {
          const detail = `Kafka's error ${failed.errorCode} for partition ${failed.partition}`
          return yield* new KafkaError({
            operation: "look up committed offsets",
            reason: new Refused({ type: String(failed.errorCode), detail })
          })
        }
        const pending = offsets.filter(({ errorCode }) => errorCode === UNSTABLE_OFFSET_COMMIT).map(({ partition }) =>
          partition
        )
        if (pending.length === 0) {
          yield* releaseTaken
          const committed = offsets.filter(({ offset }) => offset >= 0)
          if (takeOver) yield* Effect.forkIn(endOfOthers(committed), scope)
          return yield* headsOf(
            offsets.map(({ partition }) => partition),
            new Map(committed.map(({ metadata, offset, partition }) => [partition, { offset, metadata }])),
            admin.beginningOffsets(topic)
          )
        }
        waitsFor = { partitions: pending, seconds: Math.floor(poll * Duration.toMillis(POLL_SPACING) / 1000), problem }
        if (takeOver && poll >= GRACE_POLLS) yield* endPending(pending, fenced)
        if (poll > 0 && poll % pollsIn(LOOK_AFTER) === 0) problem = yield* endHanging
        if (poll > 0 && poll % pollsIn(HANGING_AFTER) === 0) {
          yield* Effect.logError(
            `A transaction has been pending for ${poll * Duration.toMillis(POLL_SPACING) / 1000} s on partitions ${
              pending.join(", ")
            } of ${topic}, and is not its owner's any more${
              problem === undefined ? "" : ` (${problem})`
            }: see docs/guarantees.md, "When something hangs"`
          )
        }
        yield* Effect.sleep(POLL_SPACING)
      }
    },
    Effect.ensuring(Effect.sync(() => {
      waitsFor = undefined
    }))
  )

  /** Before offsets are relied on: records that hang on another topic would keep its readers from all that follows. */
  const releaseTaken = Effect.suspend(() => {
    const ids = [...taken]
    return Effect.map(Effect.tap(endHanging, tell), () => {
      for (const id of ids) taken.delete(id)
    })
  })

  /** What former owners have left open beyond these partitions' offsets: those say nothing of it. */
  const endOfOthers = Effect.fnUntraced(function*(committed: ReadonlyArray<{ readonly metadata: string }>) {
    const owners = new Set(committed.map(({ metadata }) => ownerOf(metadata)))
    for (const owner of owners) {
      if (owner === undefined || owner === transactionalId) continue
      yield* Effect.andThen(hanging.over(owner), hanging.end(owner)).pipe(
        untilReachable,
        Effect.catch(({ message }) => Effect.succeed(message)),
        Effect.flatMap(tell)
      )
    }
  })

  /** Two members that take over at once fence the same id twice, which does no harm. */
  const endPending = Effect.fnUntraced(function*(partitions: ReadonlyArray<number>, fenced: Set<string>) {
    const last = yield* readOffsets(groupId, topic, partitions, false)
    for (const { metadata } of last) {
      const owner = ownerOf(metadata)
      if (owner === undefined || fenced.has(owner)) continue
      fenced.add(owner)
      yield* Effect.logInfo(`Ending the transaction that ${owner} has left open`)
      yield* Effect.flatMap(open(owner), ({ close }) => close)
      taken.add(owner)
    }
  })

  /** After a fault: whether the group has what the transaction was to commit. All partitions have it or none. */
  const wasCommitted = (offsets: ReadonlyArray<OffsetCommit>) =>
    Effect.map(
      stableOffsets(offsets.map(({ partition }) => partition), false),
      (stored) =>
        offsets.every(({ metadata, offset, partition }) => {
          const committed = stored.get(partition)
          return committed?.offset === offset && committed.metadata === metadata
        })
    )

  yield* Effect.addFinalizer(() => drop)
  yield* Effect.forkScoped(renewing)
  return KafkaTransactions.of({
    stableOffsets,
    pending: () => waitsFor,
    commit: Effect.fn("KafkaTransactions.commit")((transaction: Transaction) =>
      Effect.flatMap(producer, (open_) => {
        let sent: ReadonlyArray<OffsetCommit> | undefined
        const offsets = Effect.tap(transaction.offsets, (offsets) =>
          Effect.sync(() => {
            sent = offsets
          }))
        return attempt(open_, { ...transaction, offsets }).pipe(
          Effect.catch((error) =>
            Effect.gen(function*() {
              yield* drop
              // The new producer ends what the old one left pending, and only then do the offsets say how it went.
              yield* untilKnown(producer)
              const committed = sent !== undefined && error.reason._tag !== "StaleGeneration" &&
                (yield* untilKnown(wasCommitted(sent)))
              if (!committed) return yield* error
            })
          )
        )
      }).pipe(
        (committing) => measured("transaction", committing),
        Effect.tap(() => countSent(transaction.records)),
        oneAtATime.withPermit
      )
    )
  })
})
