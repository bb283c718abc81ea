import { type FinalSettlement, finalSettlement, readOutcome } from "@origin-regions/domain/MappingOutcome"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
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

/** For a transaction before it that nobody has ended yet. */
const PATIENCE = Duration.seconds(5)

const RETRY_SPACING = Duration.seconds(1)

/** `isOver` once the topic has been gone through. */
interface Search {
  readonly request: AnsweredRequest
  settlement: FinalSettlement | undefined
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
    const to = yield* admin.endOffsets(outcomesTopic)
    yield* scan({ topic: outcomesTopic, from, to, patience: PATIENCE }, (_, { key, value }) => {
      const ofKey = key === null || value === null ? undefined : byKey.get(key.toString("utf8"))
      const outcome = ofKey === undefined || value === null ? undefined : Option.getOrUndefined(readOutcome(value))
      if (ofKey === undefined || outcome?.data.request.topic !== requestsTopic) return
      const { offset, partition } = outcome.data.request
      for (const each of ofKey) {
        if (each.request.partition !== partition || each.request.offset !== offset) continue
        each.settlement = finalSettlement(outcome)
      }
    })
  })

  const searchForAll = Effect.suspend(() => {
    const wanted = [...searches]
    searches.clear()
    return search(wanted).pipe(
      // Nothing can be published meanwhile either.
      Effect.retry({ schedule: Schedule.spaced(RETRY_SPACING), while: ({ reason }) => reason._tag === "Unreachable" }),
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
      const own: Search = { request, settlement: undefined, isOver: false }
      searches.add(own)
      // What is asked for while one is under way is looked for by the next, all together.
      yield* oneAtATime.withPermits(1)(Effect.suspend(() => own.isOver ? Effect.void : searchForAll))
      return own.settlement
    })
  })
})
