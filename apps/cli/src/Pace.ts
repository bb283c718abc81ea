import { Effect, Schema } from "effect"
import { Flag } from "effect/cli"

const DEFAULT_RATE = 20

/** `--rate`: how fast requests are sent. */
export const rateFlag = Flag.Int("rate").pipe(
  Flag.withDescription(`How many are sent in a second; ${DEFAULT_RATE} by default`),
  Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000 }))),
  Flag.withDefault(DEFAULT_RATE)
)

/** Does something to all items in their order, `rate` of them at a time and a second apart. */
export const paced = <A, E, R>(
  items: ReadonlyArray<A>,
  rate: number,
  send: (some: ReadonlyArray<A>) => Effect.Effect<void, E, R>
): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    for (let at = 0; at < items.length; at += rate) {
      if (at > 0) yield* Effect.sleep("1 second")
      yield* send(items.slice(at, at + rate))
    }
  })
