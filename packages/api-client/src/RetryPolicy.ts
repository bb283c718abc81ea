import { Duration, Effect, Random, Schedule } from "effect"
import type { ApiError, ApiErrorReason } from "./ApiError.ts"

const firstBackoff = 200
const longestBackoff = 30_000

/** Cloudflare blocks a token for five minutes once its quota is used up; a Retry-After beyond that is a mistake, or an attack. */
const longestRetryAfter = Duration.minutes(5)

/**
 * How long to wait before the next attempt, or `undefined` where none can help (categories other than `retry` and `wait`).
 *
 * Exponential from 200 ms to 30 s with full jitter; a Retry-After, of up to five minutes, is waited for in full and the jittered part
 * comes on top, so that calls blocked together don't return together. `attempts` is how many were made, at least 1; `random` is from
 * [0, 1).
 */
export const delayBefore = (
  attempts: number,
  reason: ApiErrorReason,
  random: number
): Duration.Duration | undefined => {
  if (reason.category !== "retry" && reason.category !== "wait") return undefined
  const backoff = Duration.millis(Math.min(firstBackoff * 2 ** (attempts - 1), longestBackoff) * random)
  return "retryAfter" in reason && reason.retryAfter !== undefined
    ? Duration.sum(Duration.min(reason.retryAfter, longestRetryAfter), backoff)
    : backoff
}

/** `delayBefore` as a schedule: goes on, without a limit of its own, as long as another attempt can help. */
export const retrySchedule = Schedule.forever.pipe(
  Schedule.setInputType<ApiError>(),
  Schedule.while(({ input }) => input.category === "retry" || input.category === "wait"),
  Schedule.modifyDelay(({ attempt, input }) =>
    Effect.map(Random.next, (random) => delayBefore(attempt, input.reason, random) ?? Duration.zero)
  )
)

/**
 * Repeats a call up to `times` more times while another attempt can help. For what is safe to repeat: reads and upserts. A create
 * repeated after a lost answer would be told that its own mapping already exists, and a delete that there is none.
 */
export const retryTransient = (times: number) => <A, R>(call: Effect.Effect<A, ApiError, R>) =>
  Effect.retry(call, { schedule: retrySchedule, times })
