import type { RecentOutcome } from "../RecentOutcomes.ts"
import type { ConsoleOutcome } from "./ConsoleMessages.ts"

/** An outcome as the console is told of it. */
export const consoleOutcome = (outcome: Readonly<RecentOutcome>): ConsoleOutcome => ({
  time: outcome.publishedAt,
  code: outcome.code,
  kind: outcome.kind,
  zone_id: outcome.zoneId,
  ip: outcome.originIp,
  id: outcome.id,
  source: outcome.source,
  operation: outcome.operation,
  partition: outcome.partition,
  offset: outcome.offset,
  took: outcome.millis ?? null,
  attempts: outcome.attempts,
  recovered: outcome.recovered
})

/** The latest so many. */
export const latestOutcomes = (
  outcomes: Iterable<Readonly<RecentOutcome>>,
  limit: number
): ReadonlyArray<ConsoleOutcome> => {
  const told: Array<ConsoleOutcome> = []
  for (const outcome of outcomes) {
    if (told.length >= limit) break
    told.push(consoleOutcome(outcome))
  }
  return told
}
