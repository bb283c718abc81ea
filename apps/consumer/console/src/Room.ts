import type { ConsoleSnapshot } from "../../src/Console/ConsoleMessages.ts"

/** What waits for quota comes and goes within seconds, and must not move the page each time. */
const LINGERING = 60_000

/** Until when there is room for what waits, in the consumer's time; before, it was until `before`. */
export const roomUntil = (
  before: number,
  now: Pick<ConsoleSnapshot, "explanation" | "time"> | undefined
): number => now === undefined || now.explanation.length === 0 ? before : now.time + LINGERING
