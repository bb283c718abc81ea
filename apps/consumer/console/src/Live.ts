import { signal } from "@preact/signals"
import type { ConsoleOutcome, ConsolePoint, ConsoleSnapshot } from "../../src/Console/ConsoleMessages.ts"
import { events, token, Unauthorized } from "./Server.ts"

/** `stale`: what is shown is what was last heard, and it is being tried to hear more. */
export type Connection = "connecting" | "live" | "stale" | "refused"

export const connection = signal<Connection>("connecting")
export const snapshot = signal<ConsoleSnapshot | undefined>(undefined)
/** How often the token has been refused. */
export const refusals = signal(0)
/** In the order of time. */
export const points = signal<ReadonlyArray<ConsolePoint>>([])
export const outcomes = signal<ReadonlyArray<ConsoleOutcome>>([])

/** In milliseconds. An event comes every second: after this long without one the connection is given up. */
const SILENCE = 5_000
const RETRY = 1_000
const LONGEST_RETRY = 5_000
const WINDOW = 15 * 60_000

let stop = new AbortController()

const pause = (millis: number, signal: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, millis)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      done()
    }, { once: true })
  })

const take = (event: ConsoleSnapshot, isFirst: boolean) => {
  const known = isFirst ? [] : points.value
  if (isFirst || event.points.length > 0) {
    points.value = [...known, ...event.points].filter(({ time }) => time > event.time - WINDOW)
  }
  if (event.outcomes !== undefined) outcomes.value = event.outcomes
  snapshot.value = event
  connection.value = "live"
}

/** Listens until the stream ends, or nothing comes for too long. Answers whether anything came. */
const listen = async (stopped: AbortSignal): Promise<boolean> => {
  let heard = false
  const silent = new AbortController()
  let timer = setTimeout(() => silent.abort(), SILENCE)
  try {
    for await (const event of events(AbortSignal.any([stopped, silent.signal]))) {
      clearTimeout(timer)
      timer = setTimeout(() => silent.abort(), SILENCE)
      take(event, !heard)
      heard = true
    }
  } finally {
    clearTimeout(timer)
  }
  return heard
}

const live = async (stopped: AbortSignal): Promise<void> => {
  let delay = RETRY
  while (!stopped.aborted) {
    try {
      if (await listen(stopped)) delay = RETRY
    } catch (error) {
      if (error instanceof Unauthorized) {
        if (stopped.aborted) return
        refusals.value += 1
        connection.value = "refused"
        return
      }
    }
    if (stopped.aborted) return
    if (connection.value === "live") delay = RETRY
    connection.value = snapshot.value === undefined ? "connecting" : "stale"
    await pause(delay, stopped)
    delay = Math.min(delay * 2, LONGEST_RETRY)
  }
}

/** Begins anew, with the token as it is now. */
export const connect = (): void => {
  stop.abort()
  stop = new AbortController()
  // A form that was filled in stays until it is known what came of it.
  if (connection.value !== "refused") connection.value = "connecting"
  void live(stop.signal)
}

/** Forgets the token, and what was shown for it. */
export const signOut = (): void => {
  token.remove()
  snapshot.value = undefined
  points.value = []
  outcomes.value = []
  connect()
}
