import { Duration, Effect } from "effect"
import type { Bench } from "./Bench.ts"

/** Requests that come at an even pace whatever becomes of those before, each for an address of its own. */
export interface PacedLoad {
  /** When the request of a number is due, in milliseconds of `performance.now()`. */
  readonly dueAt: (number: number) => number
  /** How many have been sent. */
  readonly sent: () => number
  /** Sends what is due until it is stopped, or has sent so many as it was to. */
  readonly run: Effect.Effect<void>
  readonly stop: Effect.Effect<void>
}

/** Sending more often than that would be most of what the machine does. */
const PAUSE = Duration.millis(5)

export const makePacedLoad = ({ send }: Bench, rate: number, limit = Number.POSITIVE_INFINITY): PacedLoad => {
  const start = performance.now()
  const dueAt = (number: number) => start + number * 1000 / rate
  let sent = 0
  let last = limit
  const sendDue = Effect.suspend(() => {
    const due = Math.min(last, Math.floor((performance.now() - start) * rate / 1000) + 1)
    const numbers = Array.from({ length: due - sent }, (_, each) => ({ number: sent + each, address: sent + each }))
    sent = due
    return Effect.andThen(send(numbers), Effect.sleep(PAUSE))
  })
  return {
    dueAt,
    sent: () => sent,
    run: Effect.whileLoop({ while: () => sent < last, body: () => sendDue, step: () => undefined }),
    stop: Effect.sync(() => {
      last = sent
    })
  }
}
