import { assert, describe, it } from "@effect/vitest"
import { RedisServer } from "@origin-regions/testkit/RedisServer"
import { type Choices, seededChoices } from "@origin-regions/testkit/SeededChoices"
import { createClient } from "@redis/client"
import { Effect, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { ApiQuota } from "../ApiQuota.ts"
import { PoolMember } from "./PoolMember.ts"
import { type PoolRequest, quotaPoolScript, readPoolAnswer } from "./QuotaPoolScript.ts"

const missing = await Effect.runPromise(RedisServer.missing)

const LIMIT = 1_200
const SHARE = 0.9
const WINDOW = 300_000
const STEP = 100
const CONCURRENCY = 64

/** Redis, with a time that only the test moves on. */
const makeRedis = (url: Redacted.Redacted) =>
  Effect.gen(function*() {
    const client = yield* Effect.acquireRelease(
      Effect.promise(() => createClient({ url: Redacted.value(url) }).on("error", () => {}).connect()),
      (client) => Effect.sync(() => client.destroy())
    )
    const script = yield* Effect.promise(() => client.scriptLoad(quotaPoolScript("{ ARGV[2], ARGV[3] }")))
    return {
      ask: (key: string, request: PoolRequest, now: number) =>
        Effect.promise(() =>
          client.evalSha(script, {
            keys: [key],
            arguments: [JSON.stringify(request), `${Math.floor(now / 1000)}`, `${Math.floor(now % 1000) * 1000}`]
          })
        ).pipe(Effect.flatMap(readPoolAnswer), Effect.orDie),
      forget: (key: string) => Effect.promise(() => client.del(key)),
      read: (key: string) => Effect.promise(() => client.get(key)),
      restore: (key: string, state: string | null) =>
        state === null ? Effect.promise(() => client.del(key)) : Effect.promise(() => client.set(key, state))
    }
  })
type ModelledRedis = Effect.Success<ReturnType<typeof makeRedis>>

interface Member {
  readonly quota: ApiQuota
  readonly pool: PoolMember
  readonly underWay: Array<{ readonly at: number; readonly headers: Readonly<Record<string, string>> }>
  demand: number
  /** When it asks next, and until when it does not reach Redis. */
  asksAt: number
  cutUntil: number
  /** What it has asked, when Redis gets it, and when it gives up on it. */
  asked:
    | { readonly request: PoolRequest; readonly at: number; readonly until: number; readonly isLost: boolean }
    | undefined
}

/** Members of a group, an API that counts in windows, and a Redis that restarts, forgets, remembers what is old, and is out of reach for some or all. */
class ModelledPool {
  readonly #choices: Choices
  readonly #redis: ModelledRedis
  readonly #tells: boolean
  readonly #key = `pool-${randomUUID()}`
  readonly #time = { now: 1_000_000, monotonicTimeNanosUnsafe: () => BigInt(Math.round(this.#time.now * 1_000_000)) }
  readonly #ahead = 1_790_000_000_000
  #members: Array<Member> = []
  #server = "server-0"
  #downUntil = 0
  #phaseUntil = 0
  #isStorm = true
  #saved: string | null = null
  readonly #stuck: Array<{ readonly at: number; readonly request: PoolRequest }> = []
  #windowEnd = 0
  #used = 0
  readonly calls: Array<number> = []
  #first = 0
  troubles = 0
  pooled = 0

  constructor(choices: Choices, redis: ModelledRedis, tells: boolean) {
    this.#choices = choices
    this.#redis = redis
    this.#tells = tells
    this.#rebalance()
  }

  readonly live = Effect.fnUntraced(function*(this: ModelledPool, steps: number) {
    for (let step = 0; step < steps; step++) {
      this.#time.now += STEP
      yield* this.#trouble()
      for (const member of this.#members) yield* this.#act(member)
    }
  })

  readonly #trouble = Effect.fnUntraced(function*(this: ModelledPool) {
    const { now } = this.#time
    if (now >= this.#phaseUntil) {
      // After a calm time, when most is there to be used, all want to use it.
      this.#isStorm = !this.#isStorm
      this.#phaseUntil = now + (this.#isStorm ? 60_000 + this.#choices.below(400_000) : this.#choices.below(150_000))
      if (this.#isStorm) this.#saved = yield* this.#redis.read(this.#key)
      for (const member of this.#members) member.demand = this.#demand()
    }
    if (this.#choices.chance(0.0005)) this.#rebalance()
    if (this.#choices.chance(0.002)) {
      this.troubles += 1
      // Down for a while, and back with nothing, or with what it has saved.
      this.#downUntil = now + this.#choices.below(this.#choices.chance(0.5) ? 1_000 : 20_000)
      this.#server = `server-${this.troubles}`
      yield* this.#redis.restore(this.#key, this.#choices.chance(0.3) ? null : this.#saved)
    }
    if (this.#choices.chance(0.0005)) yield* this.#redis.forget(this.#key)
    const member = this.#choices.pick(this.#members)
    if (member !== undefined && this.#choices.chance(0.004)) {
      this.troubles += 1
      member.cutUntil = now + this.#choices.below(60_000)
    }
    // What a frozen Redis does once it goes on.
    while (this.#stuck[0] !== undefined && this.#stuck[0].at <= now) {
      const stuck = this.#stuck.shift()
      if (stuck !== undefined) yield* this.#redis.ask(this.#key, stuck.request, now + this.#ahead)
    }
  })

  #demand(): number {
    return (this.#isStorm ? this.#choices.pick([0.3, 1, 1]) : this.#choices.pick([0, 0, 0, 0.01])) ?? 0
  }

  readonly #act = Effect.fnUntraced(function*(this: ModelledPool, member: Member) {
    const { now } = this.#time
    const { quota, underWay } = member
    while (underWay[0] !== undefined && underWay[0].at <= now) quota.observe(underWay.shift()?.headers ?? {})
    yield* this.#askFor(member)
    if (this.#choices.chance(0.001)) member.demand = this.#demand()
    while (underWay.length < CONCURRENCY && quota.waitMillis === 0 && this.#choices.chance(member.demand)) {
      quota.called()
      if (!member.pool.isAlone) this.pooled += 1
      underWay.push({ at: now + STEP * (1 + this.#choices.below(10)), headers: this.#serve() })
      underWay.sort((one, other) => one.at - other.at)
    }
  })

  readonly #askFor = Effect.fnUntraced(function*(this: ModelledPool, member: Member) {
    const { now } = this.#time
    const { asked, pool, quota } = member
    const isCut = now < member.cutUntil || now < this.#downUntil
    if (asked !== undefined) {
      if (now >= asked.until) {
        pool.answered(undefined)
        member.asked = undefined
      } else if (now >= asked.at) {
        const answer = yield* this.#redis.ask(this.#key, asked.request, now + this.#ahead)
        if (asked.isLost) member.asked = { ...asked, at: Number.POSITIVE_INFINITY }
        else {
          pool.answered(answer)
          member.asksAt = now + pool.nextMillis
          member.asked = undefined
        }
      }
      return
    }
    if (now < member.asksAt) return
    if (isCut) {
      member.asksAt = now + 1_000
      return
    }
    pool.connected(now + this.#ahead)
    const request = pool.request(this.#server, quota.known)
    const isLost = this.#choices.chance(0.01)
    const isStuck = this.#choices.chance(0.01)
    if (isStuck) this.#stuck.push({ at: now + this.#choices.below(5_000), request })
    member.asked = {
      request,
      at: isStuck ? Number.POSITIVE_INFINITY : now + this.#choices.below(3) * STEP,
      until: now + 1_000,
      isLost
    }
  })

  #serve(): Readonly<Record<string, string>> {
    const { now } = this.#time
    this.calls.push(now)
    while ((this.calls[this.#first] ?? now) <= now - WINDOW) this.#first += 1
    if (!this.#tells) {
      assert.isAtMost(this.calls.length - this.#first, LIMIT * SHARE, "more calls than the group has")
      return {}
    }
    if (now >= this.#windowEnd) {
      this.#windowEnd = now + WINDOW
      this.#used = 0
    }
    this.#used += 1
    assert.isAtMost(this.#used, LIMIT, "a call was refused")
    return {
      ratelimit: `"default";r=${LIMIT - this.#used};t=${Math.ceil((this.#windowEnd - now) / 1000)}`,
      "ratelimit-policy": `"default";q=${LIMIT};w=300`
    }
  }

  /** What was under way is settled first, but for members that have crashed. */
  #rebalance(): void {
    const kept = this.#members.filter(() => this.#choices.chance(0.6))
    const count = 1 + this.#choices.below(4)
    while (kept.length < count) {
      const underWay: Member["underWay"] = []
      const pool = new PoolMember(randomUUID(), this.#time, () => underWay.length)
      const options = { calls: this.#tells ? undefined : LIMIT, share: SHARE }
      const quota = new ApiQuota(options, this.#time, () => underWay.length, pool)
      kept.push({ quota, pool, underWay, demand: this.#demand(), asksAt: 0, cutUntil: 0, asked: undefined })
    }
    this.#members = kept.slice(0, count)
    for (const [index, { quota }] of this.#members.entries()) {
      quota.own((Math.floor(12 / count) + (index < 12 % count ? 1 : 0)) / 12)
    }
  }
}

describe.skipIf(missing !== undefined)(
  `A quota in Redis${missing === undefined ? "" : ` (not here: ${missing})`}`,
  () => {
    it.live.each([{ name: "that every answer tells", tells: true }, { name: "that no answer tells", tells: false }])(
      "$name is kept, whatever members and Redis do",
      ({ tells }) =>
        Effect.gen(function*() {
          const redis = yield* makeRedis((yield* RedisServer).url)
          let [made, pooled, troubles] = [0, 0, 0]
          for (let number = 0; number < 6; number++) {
            const seed = `seed ${number}`
            const model = new ModelledPool(seededChoices(seed), redis, tells)
            yield* Effect.annotateLogs(model.live(10 * 60 * 30), { seed })
            made += model.calls.length
            pooled += model.pooled
            troubles += model.troubles
          }
          // They were busy enough to matter.
          assert.isAbove(made, 6 * 2_000)
          assert.isAbove(pooled, made / 3)
          assert.isAbove(troubles, 6 * 10)
        }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)),
      { timeout: 300_000 }
    )

    const request: PoolRequest = {
      participant: "one",
      server: "server",
      notAfter: 3_000_000,
      fraction: 1,
      kept: 0,
      back: 0,
      underWay: 0,
      want: 200,
      limit: LIMIT,
      window: WINDOW,
      share: 1,
      told: undefined,
      refused: 0
    }

    /** Asks a pool of its own: when, and what differs from the request above. */
    const makePool = Effect.gen(function*() {
      const redis = yield* makeRedis((yield* RedisServer).url)
      const key = `pool-${randomUUID()}`
      const ask = (now: number, more: Partial<PoolRequest> = {}) =>
        Effect.flatMap(
          redis.ask(key, { ...request, ...more }, now),
          (answer) => "late" in answer ? Effect.die("it came too late") : Effect.succeed(answer)
        )
      const askLate = (now: number, more: Partial<PoolRequest> = {}) => redis.ask(key, { ...request, ...more }, now)
      return { ask, askLate }
    })

    it.live("begins with nothing, and grows by what participants bring to what may be used at once", () =>
      Effect.gen(function*() {
        const { ask } = yield* makePool
        assert.strictEqual((yield* ask(1_000_000)).granted, 0)
        // 3.6 calls a second.
        assert.strictEqual((yield* ask(1_002_000)).granted, 7)
        // Nobody has been there for longer than three seconds.
        assert.approximately((yield* ask(1_100_000, { kept: 7, want: 0 })).left, 0.2 + 10.8, 0.001)
        for (let now = 1_102_000; now < 1_200_000; now += 2_000) yield* ask(now, { kept: 7, want: 0 })
        // What is leased counts as still there.
        assert.strictEqual((yield* ask(1_200_000, { kept: 7, want: 0 })).left, 113)
        assert.strictEqual((yield* ask(1_200_000, { back: 7, want: 0 })).left, 120)
        assert.strictEqual((yield* ask(1_200_000)).granted, 120)
      }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

    it.live("begins anew where Redis has restarted, whatever it remembers", () =>
      Effect.gen(function*() {
        const { ask } = yield* makePool
        for (let now = 1_000_000; now < 1_100_000; now += 2_000) yield* ask(now, { want: 0 })
        yield* ask(1_100_000, { refused: 60_000 })
        const { granted, left, refused } = yield* ask(1_110_000, { server: "another" })
        assert.deepStrictEqual({ granted, left, refused }, { granted: 0, left: 0, refused: 50_000 })
      }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

    it.live("does nothing for who has given up on it", () =>
      Effect.gen(function*() {
        const { ask, askLate } = yield* makePool
        yield* ask(1_000_000, { participant: "other", want: 0 })
        assert.deepStrictEqual(yield* askLate(1_002_000, { notAfter: 1_001_999, refused: 1_000 }), {
          now: 1_002_000,
          late: true
        })
        const { granted, refused } = yield* ask(1_002_000, { participant: "other" })
        assert.deepStrictEqual({ granted, refused }, { granted: 7, refused: 0 })
      }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

    it.live("goes on where the clock of Redis is set back by an hour", () =>
      Effect.gen(function*() {
        const { ask } = yield* makePool
        const { mark, since } = yield* ask(10_000_000, { notAfter: 20_000_000 })
        const told = { left: 1_000, limit: LIMIT, window: WINDOW, reset: 200_000, mark, since }
        yield* ask(10_001_000, { notAfter: 20_000_000, told, want: 900, refused: 1_000 })
        const back = yield* ask(6_400_000, { notAfter: 20_000_000 })
        assert.include(back, { refused: 300_000, reset: 300_000, left: 1_000 })
        assert.include(yield* ask(6_700_000, { notAfter: 20_000_000, want: 1 }), { refused: 0, granted: 1 })
      }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))

    it.live("has what its participants bring: no more after one was not heard of, and no more than a new one knows", () =>
      Effect.gen(function*() {
        const { ask } = yield* makePool
        const half = { fraction: 0.5, want: 0 }
        const { mark, since } = yield* ask(1_000_000, half)
        const told = { left: 1_000, limit: LIMIT, window: WINDOW, reset: 200_000, mark, since }
        assert.strictEqual((yield* ask(1_001_000, { ...half, told })).left, 500)
        const joins = { ...half, participant: "other", told: { ...told, left: 900, mark: 0, since: 0 } }
        assert.strictEqual((yield* ask(1_001_000, joins)).left, 900)
        // It is no new one any more: what the pool knows is newer.
        assert.strictEqual((yield* ask(1_001_000, { ...joins, told: { ...joins.told, left: 10 } })).left, 900)
        assert.strictEqual((yield* ask(1_003_999, half)).left, 900)
        assert.strictEqual((yield* ask(1_004_000, half)).left, 450)
        // What one has leased, and told no end of, may still be made: it is not in what the API tells.
        yield* ask(1_004_000, { ...half, want: 40, told: { ...told, left: 900 } })
        const other = yield* ask(1_004_000, { ...half, participant: "other" })
        assert.strictEqual(other.left, 860)
        const newer = { ...told, left: 880, mark: other.mark }
        assert.strictEqual((yield* ask(1_004_000, { ...half, participant: "other", told: newer })).left, 840)
        assert.strictEqual((yield* ask(1_004_000, { ...half, back: 40 })).left, 880)
        assert.strictEqual((yield* ask(1_004_000, { ...half, fraction: undefined })).left, 440)
      }).pipe(Effect.scoped, Effect.provide(RedisServer.layer)))
  }
)
