import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { isForgotten } from "./Forgotten.ts"

const sessionTimeout = Duration.seconds(10)

describe("A member is forgotten", () => {
  it("where Kafka answers a whole session after the coordinator's last word", () => {
    assert.isTrue(isForgotten({ sessionTimeout, member: 10_000, kafka: 0 }))
    assert.isTrue(isForgotten({ sessionTimeout, member: 14_500, kafka: 4_500 }))
  })

  it("not within a session, nor in an outage of Kafka, however long", () => {
    assert.isFalse(isForgotten({ sessionTimeout, member: 9_999, kafka: 0 }))
    assert.isFalse(isForgotten({ sessionTimeout, member: 600_000, kafka: 595_000 }))
  })

  it("not where Kafka has never answered by another way", () => {
    assert.isFalse(isForgotten({ sessionTimeout, member: 600_000, kafka: Infinity }))
  })
})
