import { Effect, Layer, Result, type Scope } from "effect"
import type { KafkaBrokerError } from "./KafkaBrokerError.ts"

/** Runs a test with brokers, or skips it where this machine has no means for them; CONTRIBUTING says how each is had. */
export const whereAvailable = Effect.fnUntraced(function*<I, A, E, R>(
  brokers: Layer.Layer<I, KafkaBrokerError>,
  skip: (note: string) => void,
  test: Effect.Effect<A, E, R>
): Effect.fn.Return<void, E | KafkaBrokerError, Exclude<R, I> | Scope.Scope> {
  const built = yield* Effect.result(Layer.build(brokers))
  if (Result.isSuccess(built)) yield* Effect.provide(test, built.success)
  else if (built.failure.isUnavailable) skip(built.failure.message)
  else return yield* built.failure
})
