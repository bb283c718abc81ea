import { type Duration, Effect } from "effect"
import type { BenchRequest } from "./Workload.ts"

/** Requests that come at an even pace whatever becomes of those before. */
export interface PacedLoad {
  /** When the request of a number is due, in milliseconds of `performance.now()`. */
  readonly dueAt: (number: number) => number
  /** How many have been sent. */
  readonly sent: () => number
  /** Sends what is due until it is stopped, or has sent so many as it was to. */
  readonly run: Effect.Effect<void>
  readonly stop: Effect.Effect<void>
}

export interface PacedLoadOptions {
  readonly send: (requests: ReadonlyArray<BenchRequest>) => Effect.Effect<void>
  readonly requestOf: (number: number) => BenchRequest
  /** Requests in a second. */
  readonly rate: number
  /** Between two sends: a send for each request could be most of what the machine does. */
  readonly pause: Duration.Input
  /** How many there are; default: no end. */
  readonly limit?: number
}

export const makePacedLoad = (options: PacedLoadOptions): PacedLoad => {
  const { limit = Number.POSITIVE_INFINITY, pause, rate, requestOf, send } = options
  const start = performance.now()
  const dueAt = (number: number) => start + number * 1000 / rate
  let sent = 0
  let last = limit
  const sendDue = Effect.suspend(() => {
    const due = Math.min(last, Math.floor((performance.now() - start) * rate / 1000) + 1)
    const requests = Array.from({ length: due - sent }, (_, each) => requestOf(sent + each))
    sent = due
    return Effect.andThen(requests.length === 0 ? Effect.void : send(requests), Effect.sleep(pause))
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
