import { Clock, Duration, Effect, Option, Stream } from "effect"
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

/** As many as go together; of what a stream yields, they are what is in memory. */
const BATCH = 1_000

/** With a rate, they go this often. */
const BATCHES_PER_SECOND = 10

/** Sends all items in their order, some of them at a time, and at most `rate` a second. */
export const paced = Effect.fnUntraced(function*<A, E, R, SendError, SendServices>(
  items: Stream.Stream<A, E, R>,
  rate: number | undefined,
  send: (some: ReadonlyArray<A>) => Effect.Effect<void, SendError, SendServices>
) {
  const size = rate === undefined ? BATCH : Math.max(1, Math.min(BATCH, Math.floor(rate / BATCHES_PER_SECOND)))
  /** When the next ones may go, in milliseconds since 1970. */
  let due = yield* Clock.currentTimeMillis
  yield* items.pipe(
    Stream.rechunk(size),
    Stream.runForEachArray(Effect.fnUntraced(function*(some) {
      if (rate !== undefined) {
        const now = yield* Clock.currentTimeMillis
        yield* Effect.sleep(Duration.millis(Math.max(0, due - now)))
        due = Math.max(due, now) + some.length / rate * 1_000
      }
      yield* send(some)
    }))
  )
})
