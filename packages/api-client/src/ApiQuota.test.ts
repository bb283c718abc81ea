import { assert, describe, it } from "@effect/vitest"
import { type Choices, forSeeds } from "@origin-regions/testkit/SeededChoices"
import { ApiQuota, type QuotaOptions } from "./ApiQuota.ts"

/** A time that only the test moves on, in milliseconds. */
const makeTime = () => {
  const time = { now: 1_000_000, monotonicTimeNanosUnsafe: () => BigInt(Math.round(time.now * 1_000_000)) }
  return time
}

const makeQuota = (options: Partial<QuotaOptions> = {}) => {
  const time = makeTime()
  let underWay = 0
  const quota = new ApiQuota({ calls: undefined, share: 1, ...options }, time, () => underWay)
  quota.own(1)
  return {
    quota,
    time,
    /** Calls, and gets such an answer at once. */
    call: (headers: Readonly<Record<string, string>> = {}) => {
      quota.called()
      quota.observe(headers)
    },
    setUnderWay: (count: number) => {
      underWay = count
    }
  }
}

const told = (remaining: number, reset: number, limit = 1_200, window = 300) => ({
  ratelimit: `"default";r=${remaining};t=${reset}`,
  "ratelimit-policy": `"default";q=${limit};w=${window}`
})

describe("ApiQuota", () => {
  it("limits nothing where nobody tells of a limit", () => {
    const { call, quota } = makeQuota()
    for (let count = 0; count < 5_000; count++) call({ date: "now", ratelimit: "none" })
    assert.strictEqual(quota.waitMillis, 0)
    assert.isUndefined(quota.status)
  })

  it("limits nothing where it is off, whatever answers tell", () => {
    const quota = new ApiQuota(undefined, makeTime(), () => 64)
    quota.called()
    quota.observe(told(0, 100))
    assert.deepStrictEqual([quota.waitMillis, quota.status], [0, undefined])
  })

  it("keeps to the published limit where answers tell of none, in any five minutes", () => {
    const { call, quota, time } = makeQuota({ calls: 1_200, share: 0.9 })
    const made: Array<number> = []
    for (let step = 0; step < 20 * 60 * 20; step++) {
      if (quota.waitMillis === 0) {
        call()
        made.push(time.now)
        assert.isAtMost(made.filter((at) => at > time.now - 300_000).length, 1_080)
      }
      time.now += 50
    }
    // All of it is used, but for what is kept for bursts.
    assert.isAbove(made.length, 4 * 1_080 * 0.88)
    time.now += 60_000
    const { now } = time
    while (quota.waitMillis === 0) {
      call()
      time.now += 1
    }
    assert.approximately(time.now - now, 108, 8)
  })

  it("spreads calls evenly where some are made at once, and tells for how many there is room", () => {
    const { call, quota, time } = makeQuota()
    assert.strictEqual(quota.spare, Number.POSITIVE_INFINITY)
    call(told(301, 300))
    assert.deepStrictEqual([quota.spare, quota.waitMillis > 0], [301, true])
    time.now += quota.waitMillis
    for (let count = 0; count < 10; count++) quota.called()
    assert.strictEqual(quota.spare, 291)
    assert.approximately(quota.waitMillis, 10_000, 400)
  })

  it("calls nothing before it knows what is its own", () => {
    const quota = new ApiQuota({ calls: 1_200, share: 1 }, makeTime(), () => 0)
    assert.strictEqual(quota.waitMillis, Number.POSITIVE_INFINITY)
    quota.own(1)
    assert.strictEqual(quota.waitMillis, 0)
  })

  it("makes a few calls, and waits for what an answer tells, before it makes more", () => {
    const { call, quota, setUnderWay } = makeQuota()
    setUnderWay(7)
    assert.strictEqual(quota.waitMillis, 0)
    setUnderWay(8)
    assert.strictEqual(quota.waitMillis, Number.POSITIVE_INFINITY)
    // One was lost.
    setUnderWay(7)
    assert.strictEqual(quota.waitMillis, 0)
    setUnderWay(8)
    call({})
    assert.strictEqual(quota.waitMillis, 0)
  })

  it("goes by what answers tell, whoever has made the calls", () => {
    const { call, quota, setUnderWay, time } = makeQuota({ calls: 1_200, share: 0.9 })
    call(told(1_000, 200))
    assert.deepStrictEqual(quota.status, { limit: 1_200, windowMillis: 300_000, left: 880, waitMillis: 0 })
    setUnderWay(30)
    call(told(999, 200))
    assert.strictEqual(quota.status?.left, 849)
    setUnderWay(0)
    // Somebody else has used the rest.
    call(told(120, 200))
    assert.deepStrictEqual([quota.status?.left, quota.waitMillis], [0, 200_000])
    time.now += 199_999
    assert.approximately(quota.waitMillis, 1, 0.001)
    time.now += 1
    assert.deepStrictEqual([quota.status?.left, quota.waitMillis], [1_080, 0])
  })

  it("spreads calls over the rest of the window once few are left, and neither stands still nor exceeds", () => {
    const { call, quota, time } = makeQuota()
    call(told(100, 100))
    let remaining = 100
    let longest = 0
    const end = time.now + 100_000
    while (time.now < end) {
      const wait = quota.waitMillis
      longest = Math.max(longest, wait)
      if (wait === 0) call(told(remaining -= 1, Math.ceil((end - time.now) / 1000)))
      time.now += 10
    }
    assert.isAtLeast(remaining, 0)
    assert.isAtMost(remaining, 5)
    assert.isBelow(longest, 2_500)
  })

  it("takes the tightest of several limits, as headers may come in parts and in any order", () => {
    const { call, quota } = makeQuota()
    const policy = "\"default\";q=1200;w=300, \"burst\" ;w=60; q=100"
    quota.called()
    quota.observe({ ratelimit: ["\"burst\";t=7;r=90", "\"default\";r=1100;t=250"], "ratelimit-policy": policy })
    assert.deepStrictEqual(quota.status, { limit: 100, windowMillis: 60_000, left: 90, waitMillis: 0 })
    call({ ratelimit: "\"burst\";r=95;t=60, \"default\";r=0;t=11", "ratelimit-policy": policy })
    assert.deepStrictEqual([quota.status?.limit, quota.status?.waitMillis], [1_200, 11_000])
    for (
      const ratelimit of ["", "r=5", "\"default\"", "\"default\";r=x;t=5", "\"default\";r=-1;t=5", "\"default\";r=5"]
    ) {
      call({ ratelimit })
      assert.strictEqual(quota.status?.waitMillis, 11_000, ratelimit)
    }
    // Without its policy a limit is what is left of it.
    call({ ratelimit: "\"default\";r=40;t=10" })
    assert.deepStrictEqual([quota.status?.limit, quota.status?.left], [40, 40])
  })

  it("has a part of it with a part of the partitions, and adds nothing when it gets more", () => {
    const { call, quota, time } = makeQuota({ calls: 1_200, share: 1 })
    time.now += 300_000
    assert.strictEqual(quota.status?.left, 120)
    quota.own(0.5)
    assert.strictEqual(quota.status?.left, 60)
    quota.own(1)
    assert.strictEqual(quota.status?.left, 60)
    call(told(800, 100))
    assert.strictEqual(quota.status?.left, 800)
    quota.own(0.25)
    assert.strictEqual(quota.status?.left, 200)
  })

  it.each([
    { name: "that is told by every answer", tells: true },
    { name: "that no answer tells", tells: false }
  ])(
    "earns no refusal of a limit $name, whatever members come, go, crash, and whatever people do beside",
    ({ tells }) => {
      let made = 0
      let rebalances = 0
      forSeeds(25, (choices) => {
        const group = new ModelledGroup(choices, tells)
        group.live()
        made += group.made
        rebalances += group.rebalances
      })
      // They were busy enough to matter.
      assert.isAbove(made, 25 * 1_500)
      assert.isAbove(rebalances, 25 * 5)
    }
  )
})

const LIMIT = 1_200
const SHARE = 0.9
const STEP = 50
const CONCURRENCY = 64

interface Member {
  quota: ApiQuota
  /** When its calls have their answers, and what these tell. */
  readonly underWay: Array<{ readonly at: number; readonly headers: Readonly<Record<string, string>> }>
  demand: number
}

/** Members of a group, people beside them, and an API that counts in windows of five minutes, which begin with a call. */
class ModelledGroup {
  readonly #choices: Choices
  readonly #tells: boolean
  readonly #time = makeTime()
  #members: Array<Member> = []
  #used = 0
  #windowEnd = 0
  #usedByPeople = 0
  made = 0
  rebalances = 0

  constructor(choices: Choices, tells: boolean) {
    this.#choices = choices
    this.#tells = tells
    this.#rebalance()
  }

  live(): void {
    for (let step = 0; step < 20 * 60 * 15; step++) {
      this.#time.now += STEP
      if (this.#choices.chance(0.0005)) this.#rebalance()
      // Half of what is left to them: they don't know how much that is.
      if (this.#usedByPeople < LIMIT * (1 - SHARE) / 2 && this.#choices.chance(0.01)) {
        this.#usedByPeople += 1
        this.#serve()
      }
      for (const member of this.#members) this.#act(member)
    }
  }

  #act(member: Member): void {
    const { quota, underWay } = member
    while (underWay[0] !== undefined && underWay[0].at <= this.#time.now) {
      const { headers } = underWay.shift() ?? { headers: {} }
      quota.observe(headers)
    }
    if (this.#choices.chance(0.001)) member.demand = this.#choices.pick([0, 0.02, 0.3, 1]) ?? 0
    while (underWay.length < CONCURRENCY && quota.waitMillis === 0 && this.#choices.chance(member.demand)) {
      quota.called()
      this.made += 1
      underWay.push({ at: this.#time.now + STEP * (1 + this.#choices.below(20)), headers: this.#serve() })
      underWay.sort((one, other) => one.at - other.at)
    }
  }

  #serve(): Readonly<Record<string, string>> {
    if (this.#time.now >= this.#windowEnd) {
      this.#windowEnd = this.#time.now + 300_000
      this.#used = 0
      this.#usedByPeople = 0
    }
    this.#used += 1
    assert.isAtMost(this.#used, LIMIT, "a call was refused")
    return this.#tells
      ? told(LIMIT - this.#used, Math.ceil((this.#windowEnd - this.#time.now) / 1000), LIMIT)
      : {}
  }

  /** What was under way is settled first, but for members that have crashed. */
  #rebalance(): void {
    this.rebalances += 1
    const kept = this.#members.filter(() => this.#choices.chance(0.6))
    for (const { quota, underWay } of kept) {
      for (const { headers } of underWay.splice(0)) quota.observe(headers)
    }
    const count = 1 + this.#choices.below(4)
    while (kept.length < count) {
      const underWay: Member["underWay"] = []
      const quota = new ApiQuota({ calls: LIMIT, share: SHARE }, this.#time, () => underWay.length)
      kept.push({ quota, underWay, demand: this.#choices.pick([0, 0.3, 1]) ?? 0 })
    }
    this.#members = kept.slice(0, count)
    for (const [index, { quota }] of this.#members.entries()) {
      // Twelve partitions, as evenly as it goes.
      quota.own((Math.floor(12 / count) + (index < 12 % count ? 1 : 0)) / 12)
    }
  }
}
