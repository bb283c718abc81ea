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

/** Waits until the topics exist, so that a missing one is said at the start and not with the first outcome. By the settings that name them. */
export const waitForTopics = Effect.fnUntraced(function*(topics: Readonly<Record<string, string>>) {
  const admin = yield* KafkaAdmin
  yield* Effect.forEach(Object.entries(topics), ([setting, topic]) =>
    untilItWorks(
      Effect.mapError(admin.partitionCount(topic), ({ message, reason }) => ({
        message: reason._tag === "UnknownTopic"
          ? `The topic ${topic} does not exist: create it, or set ${setting} to one that does`
          : message
      }))
    ), { discard: true })
})

/** Waits until something answers at the API's address. Any answer will do: whether the credential works shows with the first request. */
export const waitForApi = Effect.fnUntraced(function*(baseUrl: URL) {
  const { probe } = yield* OriginRegionsApi
  yield* untilItWorks(
    Effect.mapError(probe, ({ message, reason }) => ({
      message: `Could not reach the API at ${baseUrl.href}: ${reason._tag === "Unreachable" ? reason.cause : message}`
    }))
  )
})
