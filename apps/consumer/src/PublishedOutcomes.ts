import { type FinalSettlement, finalSettlement, readOutcome } from "@origin-regions/domain/MappingOutcome"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaError, Unreachable } from "@origin-regions/kafka/KafkaError"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { Context, Duration, Effect, Layer, Option, Schedule, Semaphore } from "effect"

/** Which request an outcome is looked for of. */
export interface AnsweredRequest {
  /** `{zone_id}/{canonical ip}`: the outcome's key. */
  readonly key: string
  readonly partition: number
  readonly offset: number
  /** The record's, in milliseconds since 1970. */
  readonly timestamp: number
}

/** Finds again what has become of a request, in the topic of the outcomes. */
export class PublishedOutcomes extends Context.Service<PublishedOutcomes, {
  /** `undefined` where its outcome is not among those that the topic still has, can't be read, or is that it was given up. */
  readonly find: (request: AnsweredRequest) => Effect.Effect<FinalSettlement | undefined>
}>()("@origin-regions/consumer/PublishedOutcomes") {
  static readonly layerNoDeps = (options: { readonly requestsTopic: string; readonly outcomesTopic: string }) =>
    Layer.effect(PublishedOutcomes, make(options))
}

/** An outcome is written after its request, but by another clock. */
const CLOCK_DIFFERENCE = Duration.toMillis(Duration.minutes(10))

/** How long a transaction may be open before the outcome until it is said that requests wait for its end. */
const PATIENCE = Duration.seconds(5)

const RETRY_SPACING = Duration.seconds(1)

/** What neither an outage nor a right that is missing explains is tried again so often: it may be the brokers' state of a moment. */
const TRIES = 60

/** `isFound` once the outcome was met, final or not; `isOver` once the topic has been gone through. */
interface Search {
  readonly request: AnsweredRequest
  settlement: FinalSettlement | undefined
  isFound: boolean
  isOver: boolean
}

const make = Effect.fnUntraced(function*(
  { outcomesTopic, requestsTopic }: { readonly requestsTopic: string; readonly outcomesTopic: string }
) {
  const admin = yield* KafkaAdmin
  const { scan } = yield* KafkaScan
  const oneAtATime = yield* Semaphore.make(1)
  const searches = new Set<Search>()

  /** Goes through the outcomes since the oldest of the requests, for all of them. */
  const search = Effect.fnUntraced(function*(wanted: ReadonlyArray<Search>) {
    const byKey = Map.groupBy(wanted, ({ request }) => request.key)
    const since = Math.min(...wanted.map(({ request }) => request.timestamp)) - CLOCK_DIFFERENCE
    const from = yield* admin.offsetsSince(outcomesTopic, Math.max(0, since))
    const unread = yield* scan({ topic: outcomesTopic, from, patience: PATIENCE }, (_, { key, value }) => {
      const ofKey = key === null || value === null ? undefined : byKey.get(key.toString("utf8"))
      const outcome = ofKey === undefined || value === null ? undefined : Option.getOrUndefined(readOutcome(value))
      if (ofKey === undefined || outcome?.data.request.topic !== requestsTopic) return
      const { offset, partition } = outcome.data.request
      for (const each of ofKey) {
        if (each.request.partition !== partition || each.request.offset !== offset) continue
        each.settlement = finalSettlement(outcome)
        each.isFound = true
      }
    })
    if (unread.size > 0 && !wanted.every(({ isFound }) => isFound)) return yield* openTransaction(unread)
  })

  /** Whoever has begun it has died, or is about to end it; nobody who reads what is committed gets past it before. */
  const openTransaction = (unread: ReadonlyMap<number, number>) =>
    new KafkaError({
      operation: `read the topic ${outcomesTopic}`,
      reason: new Unreachable({
        detail: `a transaction is open on ${
          [...unread].map(([partition, offset]) => `partition ${partition} from offset ${offset} on`).join(", ")
        }`
      })
    })

  const searchForAll = Effect.suspend(() => {
    const wanted = [...searches]
    searches.clear()
    let told: string | undefined
    return search(wanted).pipe(
      Effect.tapError(({ message, reason }) => {
        if (reason._tag === "Unauthorized" || message === told) return Effect.void
        told = message
        return Effect.logWarning(`${message}. Requests that have come a second time wait; trying again`)
      }),
      // Nothing can be published meanwhile either.
      Effect.retry({ schedule: Schedule.spaced(RETRY_SPACING), while: ({ reason }) => reason._tag === "Unreachable" }),
      Effect.retry({
        schedule: Schedule.spaced(RETRY_SPACING),
        times: TRIES,
        while: ({ reason }) => reason._tag !== "Unauthorized"
      }),
      Effect.catch((error) =>
        Effect.logWarning(`${error.message}. Requests that have come a second time are made again`)
      ),
      Effect.ensuring(Effect.sync(() => {
        for (const each of wanted) each.isOver = true
      }))
    )
  })

  return PublishedOutcomes.of({
    find: Effect.fn("PublishedOutcomes.find")(function*(request) {
      const own: Search = { request, settlement: undefined, isFound: false, isOver: false }
      searches.add(own)
      // What is asked for while one is under way is looked for by the next, all together.
      yield* oneAtATime.withPermits(1)(Effect.suspend(() => own.isOver ? Effect.void : searchForAll))
      return own.settlement
    })
  })
})
