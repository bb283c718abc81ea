import { Api } from "@origin-regions/testkit/Api"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { Effect, Exit, Scope } from "effect"

/** The consumers of a run, by their place. A place can stand empty. */
export interface Laboratory {
  readonly size: number
  readonly places: ReadonlyArray<number>
  /** Starts a consumer in an empty place, or one that ended by itself; nothing where one runs. */
  readonly start: (place: number) => Effect.Effect<void>
  readonly kill: (place: number) => Effect.Effect<void>
  readonly terminate: (place: number) => Effect.Effect<void>
  readonly pause: (place: number) => Effect.Effect<void>
  readonly resume: (place: number) => Effect.Effect<void>
}

interface Running {
  readonly consumer: Consumer.Consumer
  readonly scope: Scope.Closeable
}

/** A number of places for real consumer processes of one group. */
export const makeLaboratory = Effect.fnUntraced(function*(size: number, environment: Readonly<Record<string, string>>) {
  const broker = yield* KafkaBroker
  const api = yield* Api
  const leash = yield* Leash
  const places = Array.from({ length: size }, (_, place) => place)
  const occupants: Array<Running | undefined> = []

  const vacate = Effect.fnUntraced(
    function*(place: number, end: (consumer: Consumer.Consumer) => Effect.Effect<unknown>) {
      const running = occupants[place]
      if (running === undefined) return
      occupants[place] = undefined
      yield* running.consumer.resume
      yield* end(running.consumer)
      yield* Scope.close(running.scope, Exit.void)
    }
  )

  const start = Effect.fnUntraced(function*(place: number): Effect.fn.Return<void> {
    if (occupants[place] !== undefined) return
    const scope = yield* Scope.make()
    const consumer = yield* Consumer.spawn({
      ...environment,
      KAFKA_BROKERS: broker.brokers.join(","),
      CLOUDFLARE_BASE_URL: api.baseUrl,
      CLOUDFLARE_API_TOKEN: api.token,
      HTTP_PORT: "0"
    }).pipe(Effect.provideService(Scope.Scope, scope), Effect.provideService(Leash, leash), Effect.orDie)
    const running = { consumer, scope }
    occupants[place] = running
    // A consumer that ends loudly is started again, as an orchestrator would.
    yield* Effect.forkDetach(Effect.andThen(
      consumer.exit,
      Effect.suspend(() => {
        if (occupants[place] !== running) return Effect.void
        occupants[place] = undefined
        return Effect.andThen(Scope.close(scope, Exit.void), start(place))
      })
    ))
  })

  const laboratory: Laboratory = {
    size,
    places,
    start,
    kill: (place) => vacate(place, ({ kill }) => kill),
    terminate: (place) => vacate(place, ({ terminate }) => terminate),
    pause: (place) => occupants[place]?.consumer.pause ?? Effect.void,
    resume: (place) => occupants[place]?.consumer.resume ?? Effect.void
  }
  yield* Effect.addFinalizer(() => Effect.forEach(places, laboratory.kill, { discard: true }))
  return laboratory
})
