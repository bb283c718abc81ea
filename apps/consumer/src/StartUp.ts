import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { Duration, Effect, Schedule } from "effect"

const SPACING = Duration.seconds(2)

/** Tries until it works, with a line for every try that does not. */
const untilItWorks = <A, E extends { readonly message: string }, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, never, R> =>
  effect.pipe(
    Effect.tapError((error) => Effect.logWarning(`${error.message}. Trying again in ${Duration.format(SPACING)}`)),
    Effect.retry(Schedule.spaced(SPACING)),
    Effect.orDie
  )

/** Waits until the topics exist, so that a missing one is said at the start and not with the first outcome. */
export const waitForTopics = Effect.fnUntraced(function*(topics: ReadonlyArray<string>) {
  const admin = yield* KafkaAdmin
  yield* Effect.forEach(topics, (topic) => untilItWorks(admin.partitionCount(topic)), { discard: true })
})

/** Waits until something answers at the API's address, which also tells its time. Whether the credential works shows with the first request. */
export const waitForApi = Effect.fnUntraced(function*(baseUrl: URL) {
  const { probe } = yield* OriginRegionsApi
  yield* untilItWorks(
    Effect.mapError(probe, (error) => ({ message: `Could not reach the API at ${baseUrl.href}: ${error.message}` }))
  )
})
