import { KafkaConsumer, type Subscription } from "@origin-regions/kafka/KafkaConsumer"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { Clock, Context, Deferred, Duration, Effect, Layer } from "effect"
import { Delivery } from "./Delivery.ts"
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
  readonly drainTimeout: Duration.Duration
  readonly api: { readonly baseUrl: URL }
}

/** How long a stop waits for what is in flight. With what comes after it, a process that nobody answers ends within ten seconds. */
const STOP_TIMEOUT = Duration.seconds(6)

/** The life of the consumer in its group: waits for what it needs, joins, feeds the pipeline, and settles what is in flight before it leaves. */
export class GroupMember extends Context.Service<GroupMember, {
  readonly status: () => MemberStatus
  /** Fails when the consumer can't go on. Never succeeds. */
  readonly failure: Effect.Effect<never, KafkaError>
}>()("@origin-regions/consumer/GroupMember") {
  static readonly layer = (options: GroupMemberOptions) => Layer.effect(GroupMember, make(options))
}

const make = Effect.fnUntraced(function*(options: GroupMemberOptions) {
  const consumer = yield* KafkaConsumer
  const pipeline = yield* Pipeline
  const { heads } = yield* Delivery
  const failed = yield* Deferred.make<never, KafkaError>()
  const clock = yield* Clock.Clock
  let phase = "starting"
  let member: Subscription | undefined

  const settleBeforeLeaving = pipeline.stop.pipe(
    Effect.timeoutOption(STOP_TIMEOUT),
    Effect.tap((settled) => {
      if (settled._tag === "Some") return Effect.void
      const { inFlight, unpublished } = pipeline.status()
      return Effect.logWarning(
        `${inFlight + unpublished} requests could not be settled within ${
          Duration.format(STOP_TIMEOUT)
        }: whoever goes on with them finds out what has become of them`
      )
    })
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
      assigned: (assignment) => pipeline.assigned(subscription, assignment)
    })
    member = subscription
    // Registered after the subscription's own end, and so before it: what is settled can still be committed.
    yield* Effect.addFinalizer(() => settleBeforeLeaving)
    return yield* subscription.failure
  })

  yield* Effect.forkScoped(Effect.catchCause(join, (cause) => Deferred.failCause(failed, cause)))

  return GroupMember.of({
    status: () => {
      const state = member?.state()
      const joined = state?.joined ?? false
      const ready = joined && pipeline.status().working
      return {
        joined,
        ready,
        phase: ready ? "at work" : phase,
        lastContact: clock.currentTimeMillisUnsafe() - (state?.silence ?? 0)
      }
    },
    failure: Effect.raceFirst(Deferred.await(failed), pipeline.failure)
  })
})
