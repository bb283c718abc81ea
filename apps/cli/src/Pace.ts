import { Effect, Option } from "effect"
import { Flag } from "effect/cli"

const DEFAULT_RATE = 20

/** `--rate`: how many requests are sent in a second. */
export const perSecondFlag = (description: string) =>
  Flag.String("rate").pipe(
    Flag.withDescription(description),
    Flag.filterMap((value) => {
      const [, number] = /^([1-9]\d{0,6})(?:\/s)?$/.exec(value) ?? []
      return Option.map(Option.fromUndefinedOr(number), Number)
    }, () => "a number of requests a second from 1 to 9999999, such as 100/s")
  )

/** The same, where a rate is kept to even if nobody asks for one. */
export const rateFlag = Flag.withDefault(
  perSecondFlag(`Send no more than so many a second, such as 100/s; ${DEFAULT_RATE}/s by default`),
  DEFAULT_RATE
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
