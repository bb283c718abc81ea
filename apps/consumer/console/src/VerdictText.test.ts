import { assert, describe, it } from "@effect/vitest"
import { type Tone, verdictOf } from "./VerdictText.ts"

const partition = { partition: 0, head: 0, position: 0, undone: 0, waiting: 0, paused: false, lag: 0 }

const calm = {
  member: { group: "g", topic: "t", ready: true, phase: "at work", started: 0 },
  explanation: [] as ReadonlyArray<string>,
  publishing_problem: null as string | null,
  queued: 0,
  waiting: 0,
  quota: null,
  partitions: [partition]
}
const quota = { limit: 20, window_seconds: 4, left: 0, next_call: 1 }
const away = { ...calm, explanation: ["1 outcome waits to be published: no broker answers"], publishing_problem: "no" }

describe("The verdict", () => {
  it.each<readonly [text: string, tone: Tone, now: Parameters<typeof verdictOf>[0]]>([
    ["Asking the consumer…", "unknown", undefined],
    ["At work, and nothing is held up", "good", calm],
    ["In reserve: other members have all partitions", "good", { ...calm, partitions: [] }],
    ["Outcomes can't be published", "bad", away],
    ["Not at work", "bad", { ...away, member: { ...calm.member, ready: false } }],
    ["At work, with something to know", "held", { ...calm, explanation: ["members differ"] }],
    ["At work, and 1 request waits", "held", { ...calm, explanation: ["it waits"], waiting: 1 }],
    ["At work, and 2 requests wait", "held", { ...calm, explanation: ["they wait"], waiting: 2, queued: 3 }],
    ["At work, and 5 requests wait", "held", { ...calm, explanation: ["for quota"], waiting: 2, queued: 3, quota }]
  ])("is: %s", (text, tone, now) => {
    assert.deepStrictEqual(verdictOf(now), [tone, text])
  })
})
