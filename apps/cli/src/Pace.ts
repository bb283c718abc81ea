import { Effect, Option } from "effect"
import { Flag } from "effect/cli"

const DEFAULT_RATE = 20

/** `--rate`: how fast requests are sent. */
export const rateFlag = Flag.String("rate").pipe(
  Flag.withDescription(`Send no more than so many a second, such as 100/s; ${DEFAULT_RATE}/s by default`),
  Flag.filterMap((value) => {
    const [, number] = /^([1-9]\d{0,6})(?:\/s)?$/.exec(value) ?? []
    return Option.map(Option.fromUndefinedOr(number), Number)
  }, () => "a number of requests a second from 1 to 9999999, such as 100/s"),
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
