import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaConsumer, type Subscription } from "@origin-regions/kafka/KafkaConsumer"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { Clock, Context, Deferred, Duration, Effect, Layer, Queue, Schedule } from "effect"
import { Delivery } from "./Delivery.ts"
import { differingTopics } from "./DifferingTopics.ts"
import { Pipeline } from "./Pipeline.ts"
import { waitForApi, waitForTopics } from "./StartUp.ts"
import type { MemberStatus } from "./StatusReport.ts"

/** How the consumer takes part in its group. */
export interface GroupMemberOptions {
  readonly groupId: string
  readonly requestsTopic: string
  readonly outcomesTopic: string
  readonly deadLettersTopic: string
  readonly sessionTimeout: Duration.Duration
  readonly rebalanceTimeout: Duration.Duration
  /** How long a rebalance, and a stop, wait for what is in flight. */
  readonly drainTimeout: Duration.Duration
  readonly api: { readonly baseUrl: URL }
}

/** The life of the consumer in its group: waits for what it needs, joins, feeds the pipeline, and settles what is in flight before it leaves. */
export class GroupMember extends Context.Service<GroupMember, {
  readonly status: () => MemberStatus
  /** Fails when the consumer can't go on. Never succeeds. */
  readonly failure: Effect.Effect<never, KafkaError>
}>()("@origin-regions/consumer/GroupMember") {
  static readonly layer = (options: GroupMemberOptions) => Layer.effect(GroupMember, make(options))
}

const LOOKUP_SPACING = Duration.seconds(2)

const make = Effect.fnUntraced(function*(options: GroupMemberOptions) {
  const consumer = yield* KafkaConsumer
  const admin = yield* KafkaAdmin
  const pipeline = yield* Pipeline
  const { heads } = yield* Delivery
  const failed = yield* Deferred.make<never, KafkaError>()
  const clock = yield* Clock.Clock
  let phase = "starting"
  let member: Subscription | undefined
  /** When work was laid down for the rebalance that goes on. */
  let laidDownAt: number | undefined
  const now = () => steadyMillis(clock)
  /** That members are subscribed to different topics, where they are, and the topics. */
  let differing: string | undefined
  let topics = options.requestsTopic
  /** The group has begun a new generation, and its members may be others. */
  const changed = yield* Queue.sliding<void>(1)

  const settleBeforeLeaving = pipeline.stop.pipe(
    Effect.timeoutOption(options.drainTimeout),
    Effect.tap((settled) => {
      if (settled._tag === "Some") return Effect.void
      const { inFlight, unpublished } = pipeline.status()
      return Effect.logWarning(
        `${inFlight + unpublished} requests could not be settled within ${
          Duration.format(options.drainTimeout)
        }: whoever goes on with them finds out what has become of them`
      )
    })
  )

  /** Only the leader is told what the others are subscribed to, and the leader can be anyone: so each member asks. */
  const compareTopics = Effect.gen(function*() {
    yield* Queue.take(changed)
    const found = yield* Effect.retry(admin.subscriptions(options.groupId), {
      schedule: Schedule.spaced(LOOKUP_SPACING),
      while: ({ reason }) => reason._tag === "Unreachable"
    })
    // Where our own topic is not there we are no member any more, and are told of our next join.
    if (found?.has(options.requestsTopic) !== true) return
    differing = differingTopics(options.groupId, found)
    const before = topics
    topics = [...found.keys()].toSorted().join(", ")
    if (topics === before) return
    yield* differing === undefined
      ? Effect.logInfo(`All members of the group ${options.groupId} are subscribed to ${options.requestsTopic}`)
      : Effect.logWarning(differing.replace(/^m/, "M"))
  }).pipe(
    Effect.catch((error) => Effect.logDebug(error.message)),
    Effect.forever
  )

  const join = Effect.gen(function*() {
    phase = "waiting for Kafka and its topics"
    yield* waitForTopics({
      REQUESTS_TOPIC: options.requestsTopic,
      OUTCOMES_TOPIC: options.outcomesTopic,
      DEAD_LETTERS_TOPIC: options.deadLettersTopic
    })
    phase = `waiting for the API at ${options.api.baseUrl.href}`
    yield* waitForApi(options.api.baseUrl)
    phase = `joining the group ${options.groupId}`
    const subscription: Subscription = yield* consumer.subscribe({ ...options, topic: options.requestsTopic, heads }, {
      ...pipeline.handler,
      drain: Effect.suspend(() => {
        laidDownAt ??= now()
        return pipeline.handler.drain
      }),
      assigned: (assignment) => {
        laidDownAt = undefined
        pipeline.assigned(subscription, assignment)
        Queue.offerUnsafe(changed, undefined)
      }
    })
    member = subscription
    // Registered after the subscription's own end, and so before it: what is settled can still be committed.
    yield* Effect.addFinalizer(() => settleBeforeLeaving)
    return yield* subscription.failure
  })

  yield* Effect.forkScoped(compareTopics)
  yield* Effect.forkScoped(Effect.catchCause(join, (cause) => Deferred.failCause(failed, cause)))

  /**
   * All members lay down their work in a rebalance: were they not ready then, each pod that comes or goes would make all others unready. But one that
   * takes longer than a rebalance may is a fault.
   */
  const isRebalancing = () =>
    laidDownAt !== undefined && now() - laidDownAt < Duration.toMillis(options.rebalanceTimeout)

  const phaseOf = (joined: boolean): string => {
    if (laidDownAt !== undefined) return `in a rebalance of the group ${options.groupId}`
    return joined ? `without word from the coordinator of the group ${options.groupId}` : phase
  }

  return GroupMember.of({
    status: () => {
      const { joined, silence } = member?.state() ?? { joined: false, silence: 0 }
      const isAtWork = joined && pipeline.status().working && silence < Duration.toMillis(options.sessionTimeout)
      return {
        joined,
        ready: isAtWork || isRebalancing(),
        phase: isAtWork ? "at work" : phaseOf(joined),
        differing,
        lastContact: clock.currentTimeMillisUnsafe() - silence
      }
    },
    failure: Effect.raceFirst(Deferred.await(failed), pipeline.failure)
  })
})
