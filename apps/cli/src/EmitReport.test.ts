import { assert, describe, it } from "@effect/vitest"
import { interruptedText } from "./EmitReport.ts"

const told = (interrupted: Omit<Parameters<typeof interruptedText>[0], "topic">) =>
  interruptedText({ topic: "requests", ...interrupted })

describe("interruptedText", () => {
  it("tells what was sent, what is on its way, and that the rest was not", () => {
    const sent = { count: 2_000, begun: 3_000 }
    assert.strictEqual(
      told({ sent, all: 5_000, isAllSent: false, unanswered: 1_400 }),
      "Sent 2000 of 5000 requests to requests; 400 of them still unanswered. 1000 more were on their way, and may have arrived. The rest was never sent."
    )
    assert.strictEqual(
      told({ sent: { count: 2_000, begun: 2_000 }, all: undefined, isAllSent: false, unanswered: undefined }),
      "Sent 2000 requests to requests. The rest was never sent."
    )
  })

  it("tells of all that were sent how many are unanswered", () => {
    const sent = { count: 1, begun: 1 }
    assert.strictEqual(
      told({ sent, all: 1, isAllSent: true, unanswered: 1 }),
      "Sent 1 request to requests; 1 of them still unanswered."
    )
  })
})
