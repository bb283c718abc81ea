import { assert, describe, it } from "@effect/vitest"
import { ApiQuota } from "../ApiQuota.ts"
import { PoolMember } from "./PoolMember.ts"
import type { PoolAnswer, PoolRequest } from "./QuotaPoolScript.ts"

const answer: PoolAnswer = {
  now: 1_790_000_000_000,
  since: 1_780_000_000_000,
  mark: 7,
  granted: 0,
  wait: 0,
  refused: 0,
  limit: 1_200,
  window: 300_000,
  left: 100
}

/** A member's quota, in a time that only the test moves on, with a pool whose answers are the test's. */
const makeMember = (calls?: number) => {
  const time = { now: 1_000_000, monotonicTimeNanosUnsafe: () => BigInt(Math.round(time.now * 1_000_000)) }
  let underWay = 0
  let woken = 0
  const member = new PoolMember("one", time, () => underWay)
  member.wake = () => {
    woken += 1
  }
  const quota = new ApiQuota({ calls, share: 1 }, time, () => underWay, member)
  quota.own(0.5)
  return {
    time,
    quota,
    member,
    setUnderWay: (count: number) => {
      underWay = count
    },
    wokenSince: () => {
      const since = woken
      woken = 0
      return since
    },
    /** Asks, and gets such an answer at once. */
    ask: (more: Partial<PoolAnswer> = {}): PoolRequest => {
      const request = member.request("server", quota.known)
      member.answered({ ...answer, ...more })
      return request
    }
  }
}

describe("PoolMember", () => {
  it("makes the calls that it has leased, and asks for more before they are used up", () => {
    const { ask, quota, time, wokenSince } = makeMember(1_200)
    ask({ granted: 1 })
    wokenSince()
    assert.strictEqual(quota.waitMillis, 0)
    quota.called()
    assert.deepStrictEqual([quota.waitMillis > 0, wokenSince()], [true, 1])
    assert.include(ask({ granted: 2 }), { kept: 0, back: 0, want: 2 })
    quota.called()
    assert.strictEqual(quota.waitMillis, 0)
    quota.called()
    assert.include(ask({ wait: 250 }), { kept: 0, back: 0, want: 4 })
    assert.strictEqual(quota.waitMillis, 250)
    time.now += 100
    assert.strictEqual(quota.waitMillis, 150)
  })

  it("gives back what it does not use, and tells of calls that it made without", () => {
    const { ask, quota, setUnderWay } = makeMember(1_200)
    ask({ granted: 1 })
    assert.include(ask(), { kept: 0, back: 1, want: 0 })
    // It takes one again, if there is one that nobody else has taken.
    assert.include(ask({ granted: 1 }), { kept: 0, back: 0, want: 1 })
    quota.called()
    quota.called()
    setUnderWay(2)
    assert.include(ask(), { kept: 0, back: -1, want: 4, underWay: 2 })
  })

  it("keeps what it needs while it asks, and counts calls again that it could not tell of", () => {
    const { ask, member, quota } = makeMember(1_200)
    ask({ granted: 8 })
    quota.called()
    quota.called()
    assert.include(member.request("server", quota.known), { kept: 4, back: 2, want: 0 })
    quota.called()
    member.answered(answer)
    for (let count = 0; count < 3; count++) {
      assert.strictEqual(quota.waitMillis, 0)
      quota.called()
    }
    assert.isAbove(quota.waitMillis, 0)
    quota.called()
    assert.strictEqual(member.request("server", quota.known).back, -1)
    member.answered(undefined)
    assert.strictEqual(ask().back, -1)
  })

  it("is alone only once the pool has surely forgotten it, and then as one that has just begun", () => {
    const { ask, member, quota, time } = makeMember(1_200)
    assert.isTrue(member.isAlone)
    ask({ granted: 2 })
    assert.isFalse(member.isAlone)
    quota.called()
    time.now += 2_000
    member.request("server", quota.known)
    member.answered(undefined)
    // What was leased three seconds ago, the pool may lease to somebody else.
    time.now += 999
    assert.strictEqual(quota.waitMillis, 0)
    time.now += 1
    assert.strictEqual(quota.waitMillis, 3_000)
    // It gave up on what it had asked a second later, and that may have been done until then.
    time.now += 2_999
    assert.isFalse(member.isAlone)
    time.now += 1
    assert.isTrue(member.isAlone)
    // Its half of 1,080 calls in five minutes.
    assert.approximately(quota.waitMillis, 1 / 0.0018, 0.01)
    time.now += 556
    assert.strictEqual(quota.waitMillis, 0)
  })

  it("goes on alone with its part of what the pool has known", () => {
    const { ask, quota, setUnderWay, time } = makeMember()
    ask({ left: 80, reset: 100_000 })
    assert.isAbove(quota.waitMillis, 0)
    time.now += 10_000
    assert.strictEqual(quota.waitMillis, 0)
    assert.deepInclude(quota.status, { limit: 1_200, left: 40, pool: "Redis has not answered yet" })
    // Others may have called since: a few calls, until an answer tells.
    setUnderWay(8)
    assert.strictEqual(quota.waitMillis, Number.POSITIVE_INFINITY)
    // Where it knows less itself, it goes by that.
    quota.observe({ ratelimit: "\"default\";r=20;t=90", "ratelimit-policy": "\"default\";q=1200;w=300" })
    setUnderWay(0)
    assert.strictEqual(quota.status?.left, 2)
  })

  it("tells what the API tells, with what the pool had leased by then, and at once where it is news", () => {
    const { ask, member, quota, wokenSince } = makeMember()
    ask({ limit: 0 })
    assert.strictEqual(quota.waitMillis, 0)
    wokenSince()
    quota.called()
    assert.strictEqual(wokenSince(), 0)
    quota.observe({ ratelimit: "\"default\";r=900;t=90", "ratelimit-policy": "\"default\";q=1200;w=300" })
    assert.strictEqual(wokenSince(), 1)
    assert.isAbove(quota.waitMillis, 0)
    const { back, told } = ask()
    assert.strictEqual(back, -1)
    assert.deepStrictEqual(told, {
      left: 900,
      limit: 1_200,
      window: 300_000,
      reset: 90_000,
      mark: 7,
      since: 1_780_000_000_000
    })
    // Nothing is told twice: without a mark it is for pools that do not know it yet.
    assert.strictEqual(member.request("server", quota.known).told?.since, 0)
  })

  it("calls nothing while the API refuses, whoever was told", () => {
    const { ask, member, quota, time } = makeMember(1_200)
    ask({ granted: 5 })
    quota.observe({ "retry-after": "60" }, 429)
    assert.strictEqual(quota.waitMillis, 60_000)
    const { refused } = member.request("server", quota.known)
    assert.strictEqual(refused, 60_000)
    // It is told until it has arrived.
    member.answered(undefined)
    time.now += 10_000
    assert.strictEqual(ask({ refused: 50_000 }).refused, 50_000)
    assert.strictEqual(ask().refused, 0)
    member.refused(70_000, true)
    assert.strictEqual(quota.waitMillis, 70_000)
    assert.strictEqual(ask().refused, 0)
    // Five minutes are the longest that an API blocks for.
    quota.observe({ "retry-after": "86400" }, 429)
    assert.strictEqual(quota.waitMillis, 300_000)
    for (const retryAfter of ["soon", "", "-5"]) quota.observe({ "retry-after": retryAfter }, 429)
    member.refused(Number.NaN, true)
    assert.strictEqual(quota.waitMillis, 300_000)
  })
})
