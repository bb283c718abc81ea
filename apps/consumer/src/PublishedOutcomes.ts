import { type FinalSettlement, finalSettlement, readOutcome } from "@origin-regions/domain/MappingOutcome"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaError, Unreachable } from "@origin-regions/kafka/KafkaError"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { Context, Deferred, Duration, Effect, Exit, Latch, Layer, Option, Result } from "effect"

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
  /**
   * `undefined` where its outcome is not among those that the topic still has, can't be read, or is that it was given up. Waits as long as there is hope, and says why to `tell`, each time
   * that it is about to be tried again.
   */
  readonly find: (
    request: AnsweredRequest,
    tell: (problem: string) => void
  ) => Effect.Effect<FinalSettlement | undefined>
}>()("@origin-regions/consumer/PublishedOutcomes") {
  static readonly layerNoDeps = (options: { readonly requestsTopic: string; readonly outcomesTopic: string }) =>
    Layer.effect(PublishedOutcomes, make(options))
}

/** An outcome is written after its request, but by another clock. */
const CLOCK_DIFFERENCE = Duration.toMillis(Duration.minutes(10))

/** How long a transaction may be open before the outcome until it is said that requests wait for its end. */
const PATIENCE = Duration.seconds(1)

/** How soon it is tried again to look, where that can't be. */
export const LOOK_UP_SPACING = Duration.seconds(1)

/** What neither an outage nor a right that is missing explains is tried again so often: it may be the brokers' state of a moment. */
const TRIES = 60

interface Search {
  readonly request: AnsweredRequest
  readonly tell: (problem: string) => void
  readonly over: Deferred.Deferred<FinalSettlement | undefined>
  settlement: FinalSettlement | undefined
  /** Its outcome was met, final or not. */
  isFound: boolean
  /** Tries that have failed as neither an outage nor a right that is missing explains. */
  failures: number
}

const make = Effect.fnUntraced(function*(
  { outcomesTopic, requestsTopic }: { readonly requestsTopic: string; readonly outcomesTopic: string }
) {
  const admin = yield* KafkaAdmin
  const { scan } = yield* KafkaScan
  const isWanted = yield* Latch.make(false)
  const searches = new Set<Search>()
  /** The last problem, while it lasts. */
  let told: string | undefined

  /** Goes through the outcomes since the oldest of the requests, for all of them. */
  const search = Effect.fnUntraced(function*(wanted: ReadonlyArray<Search>) {
    const byKey = Map.groupBy(wanted, ({ request }) => request.key)
    const since = Math.min(...wanted.map(({ request }) => request.timestamp)) - CLOCK_DIFFERENCE
    const from = yield* admin.offsetsSince(outcomesTopic, Math.max(0, since))
    const isEnough = () => wanted.every(({ settlement }) => settlement !== undefined)
    const unread = yield* scan({ topic: outcomesTopic, from, patience: PATIENCE, isEnough }, (_, { key, value }) => {
      const ofKey = key === null || value === null ? undefined : byKey.get(key.toString("utf8"))
      const outcome = ofKey === undefined || value === null ? undefined : Option.getOrUndefined(readOutcome(value))
      if (ofKey === undefined || outcome?.data.request.topic !== requestsTopic) return
      const { offset, partition } = outcome.data.request
      for (const each of ofKey) {
        if (each.request.partition !== partition || each.request.offset !== offset || !searches.has(each)) continue
        each.settlement = finalSettlement(outcome)
        each.isFound = true
        if (each.settlement !== undefined) end(each)
      }
    })
    for (const each of wanted) if (each.isFound || unread.size === 0) end(each)
    if (wanted.some((each) => searches.has(each))) return yield* openTransaction(unread)
  })

  const end = (each: Search) => {
    searches.delete(each)
    Deferred.doneUnsafe(each.over, Exit.succeed(each.settlement))
  }

  /** Whoever has begun it has died, or is about to end it; nobody who reads what is committed gets past it before. */
  const openTransaction = (unread: ReadonlyMap<number, number>) =>
    new KafkaError({
      operation: `read the topic ${outcomesTopic}`,
      reason: new Unreachable({
        detail: `a transaction is open on ${
          [...unread].toSorted(([one], [other]) => one - other).map(([partition, offset]) =>
            `partition ${partition} from offset ${offset} on`
          ).join(", ")
        }`
      })
    })

  /** Nothing can be published in an outage either; without the right to read the topic nothing is ever found. */
  const isHopeless = (each: Search, { reason }: KafkaError): boolean => {
    if (reason._tag === "Unauthorized") return true
    if (reason._tag === "Unreachable") return false
    each.failures += 1
    return each.failures > TRIES
  }

  const failed = Effect.fnUntraced(function*(wanted: ReadonlyArray<Search>, error: KafkaError) {
    const { message } = error
    const hopeless = wanted.filter((each) => searches.has(each) && isHopeless(each, error))
    if (hopeless.length > 0) {
      yield* Effect.logWarning(`${message}. Requests that have come a second time are made again`)
    }
    for (const each of hopeless) end(each)
    if (searches.size === 0) return
    for (const each of wanted) if (searches.has(each)) each.tell(message)
    if (message !== told) {
      yield* Effect.logWarning(`${message}. Requests that have come a second time wait; trying again`)
    }
    told = message
    yield* Effect.sleep(LOOK_UP_SPACING)
  })

  /** Looks for all that is wanted, each time also for what has come meanwhile. */
  const searching = Effect.gen(function*() {
    yield* isWanted.await
    isWanted.closeUnsafe()
    while (searches.size > 0) {
      const wanted = [...searches]
      const tried = yield* Effect.result(search(wanted))
      if (Result.isFailure(tried)) yield* failed(wanted, tried.failure)
      else told = undefined
    }
  }).pipe(
    // A fault is for those to end by who wait for it.
    Effect.catchCause((cause) =>
      Effect.sync(() => {
        for (const { over } of searches) Deferred.doneUnsafe(over, Exit.failCause(cause))
        searches.clear()
      })
    ),
    Effect.forever
  )

  yield* Effect.forkScoped(searching)
  return PublishedOutcomes.of({
    find: Effect.fn("PublishedOutcomes.find")(function*(request, tell) {
      const own: Search = {
        request,
        tell,
        over: Deferred.makeUnsafe(),
        settlement: undefined,
        isFound: false,
        failures: 0
      }
      searches.add(own)
      isWanted.openUnsafe()
      return yield* Effect.ensuring(Deferred.await(own.over), Effect.sync(() => searches.delete(own)))
    })
  })
})
