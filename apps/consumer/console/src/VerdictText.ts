import type { ConsoleSnapshot } from "../../src/Console/ConsoleMessages.ts"
import { plural } from "./Units.ts"

/** What a verdict is made from. */
type Judged = Pick<
  ConsoleSnapshot,
  "explanation" | "member" | "partitions" | "publishing_problem" | "queued" | "quota" | "waiting"
>

export type Tone = "good" | "held" | "bad" | "unknown"

/** In one line: how it is. */
export const verdictOf = (now: Judged | undefined): readonly [tone: Tone, text: string] => {
  if (now === undefined) return ["unknown", "Asking the consumer…"]
  if (!now.member.ready) return ["bad", "Not at work"]
  if (now.publishing_problem !== null) return ["bad", "Outcomes can't be published"]
  if (now.explanation.length === 0) {
    return now.partitions.length === 0
      ? ["good", "In reserve: other members have all partitions"]
      : ["good", "At work, and nothing is held up"]
  }
  const held = now.waiting + (now.quota?.next_call == null ? 0 : now.queued)
  return [
    "held",
    held === 0
      ? "At work, with something to know"
      : `At work, and ${plural(held, "request")} ${held === 1 ? "waits" : "wait"}`
  ]
}
