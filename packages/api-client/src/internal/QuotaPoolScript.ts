import { Schema } from "effect"

/** What a participant tells the pool, and asks of it. Durations in milliseconds; calls may be fractions of one. */
export interface PoolRequest {
  /** Its name, which nobody else has. */
  readonly participant: string
  /** Redis' `run_id`: after a restart Redis may know an older state than there was. */
  readonly server: string
  /** In Redis' time: what arrives later than this does nothing, as the participant has given up on it. */
  readonly notAfter: number
  /** What of the quota it would use by itself, 0 to 1; undefined where it leaves. */
  readonly fraction: number | undefined
  /** Calls that it has leased and not yet made: those that it keeps, and those that it gives back. What it made without a lease it gives back as less than 0. */
  readonly kept: number
  readonly back: number
  /** Calls that it has made, and has no answer to. */
  readonly underWay: number
  /** Calls that it wants to lease. */
  readonly want: number
  /** The limit that it knows of, and of which window; 0 where it knows of none. */
  readonly limit: number
  readonly window: number
  /** How much of the limit may be used, above 0 to 1. */
  readonly share: number
  /** What the API has told since the last request, or before it joined. */
  readonly told: PoolTold | undefined
  /** For how long the API refuses all calls, if it does. */
  readonly refused: number
}

/** What the API has told of calls that are left; `mark` and `since` are those of the pool's last answer before that, and 0 where there was none. */
export interface PoolTold {
  /** Calls that the group may still make of it. */
  readonly left: number
  readonly limit: number
  readonly window: number
  readonly reset: number
  readonly mark: number
  readonly since: number
}

/** What the pool answers. */
const PoolAnswer = Schema.Struct({
  /** Redis' time. */
  now: Schema.Finite,
  /** When this pool began, and how many of the calls leased are neither still to be made nor under way: what the API tells next is told with them. */
  since: Schema.Finite,
  mark: Schema.Finite,
  /** Calls leased. */
  granted: Schema.Finite,
  /** When it is worth asking again, where fewer were leased than wanted. */
  wait: Schema.Finite,
  /** For how long the API refuses all calls. */
  refused: Schema.Finite,
  /** The limit that is known of; 0: calls need no lease. */
  limit: Schema.Finite,
  window: Schema.Finite,
  /** Calls that all participants may still lease. */
  left: Schema.Finite,
  /** How long that is known for, where the API has told it. */
  reset: Schema.optionalKey(Schema.Finite)
})
export type PoolAnswer = typeof PoolAnswer.Type

/** The request came too late, and nothing was done. */
const TooLate = Schema.Struct({ now: Schema.Finite, late: Schema.Literal(true) })
export type TooLate = typeof TooLate.Type

export const readPoolAnswer = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Union([TooLate, PoolAnswer])))

/** How long a participant is counted as one after it was last heard of, in milliseconds. */
export const LEASE_MILLIS = 3_000

/** A Retry-After beyond that is a mistake, or an attack. */
export const LONGEST_REFUSAL_MILLIS = 300_000

/** Of the published limit, how much may be used at once: the more, the less comes afterwards. */
export const BURST = 0.1

/** With less than this left of what there was, calls are spread over the rest of the window: it is better to be slow than to stand still. */
export const AMPLE = 0.5

/**
 * The pool of a token, run by Redis: KEYS[1] holds it, ARGV[1] is a `PoolRequest`, both as JSON; answers a `PoolAnswer`.
 *
 * Participants pool their fractions of the quota for as long as they are heard of, and lease calls of what they have together. What one brings in it does not use by itself
 * meanwhile, so that no loss of Redis, of its memory, or of the way to it lets more calls be made than the quota has.
 */
export const quotaPoolScript = (time = "redis.call(\"TIME\")"): string => `
local time = ${time}
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ask = cjson.decode(ARGV[1])
if now > ask.notAfter then return cjson.encode({ now = now, late = true }) end

local text = redis.call("GET", KEYS[1])
local pool = text and cjson.decode(text)
if not pool or pool.server ~= ask.server then
  -- A new one, or a memory of an older one: it begins without a call, so that nothing is added to what was made before.
  pool = {
    server = ask.server, since = now, at = now, tokens = 0, granted = 0, grantedAt = now,
    refusedUntil = pool and pool.refusedUntil or 0, limit = 0, window = 1, participants = {}
  }
end

-- Where the clock was set back.
pool.grantedAt = math.min(pool.grantedAt, now)
pool.refusedUntil = math.min(pool.refusedUntil, now + ${LONGEST_REFUSAL_MILLIS})
if pool.told then
  pool.told.reset = math.min(pool.told.reset, now + math.max(pool.window, ${LONGEST_REFUSAL_MILLIS}))
end

local elapsed = math.max(0, now - pool.at)
local brought, fractions, held, open = 0, 0, 0, 0
for name, one in pairs(pool.participants) do
  local till = math.min(one.till, now + ${LEASE_MILLIS})
  brought = brought + one.fraction * math.max(0, math.min(now, till) - pool.at)
  if till <= now then
    pool.participants[name] = nil
  elseif name ~= ask.participant then
    fractions = fractions + one.fraction
    held = held + one.held
    open = open + one.held + one.underWay
  end
end
pool.at = now
held = held + ask.kept
open = open + ask.kept + ask.underWay
fractions = math.min(1, fractions + (ask.fraction or 0))
pool.granted = pool.granted - ask.back

if now + ask.refused > math.max(now, pool.refusedUntil) then
  pool.refusedUntil = now + math.min(ask.refused, ${LONGEST_REFUSAL_MILLIS})
  redis.call("PUBLISH", KEYS[1], ask.refused)
end
if ask.limit > 0 and not pool.told then
  pool.limit = ask.limit
  pool.window = ask.window
end

local usable = pool.limit * ask.share
local told = pool.told
if told and now >= told.reset then
  told.reset = told.reset + (math.floor((now - told.reset) / pool.window) + 1) * pool.window
  told.left = usable
  told.mark = pool.granted - open
end
if ask.told then
  local reset = now + ask.told.reset
  if ask.told.since == pool.since then
    told = { left = ask.told.left, reset = reset, mark = ask.told.mark }
  elseif not pool.participants[ask.participant] then
    -- Whoever joins knows what it has done by itself, and the pool what its participants have.
    local known = told and told.left - (pool.granted - told.mark) or ask.told.left
    told = { left = math.min(known, ask.told.left), reset = math.max(told and told.reset or 0, reset), mark = pool.granted }
  end
  pool.told = told
end

local left, free, wait = 0, 0, 0
if told then
  left = told.left * fractions - (pool.granted - told.mark)
  local rest = told.reset - now
  if left < 1 then
    wait = rest
  elseif left >= usable * fractions * ${AMPLE} then
    free = left
  else
    free = math.min(left, (now - pool.grantedAt) * left / rest)
    wait = pool.grantedAt + rest / left - now
  end
elseif pool.limit > 0 then
  -- What is leased counts as still there: whoever keeps it for long can use it with what has come since.
  local rate = usable * ${1 - BURST} / pool.window
  local most = math.max(1, usable * fractions * ${BURST}) - held
  pool.tokens = math.min(most, pool.tokens + ask.back + math.min(brought, elapsed) * rate)
  left = pool.tokens
  free = left
  wait = fractions > 0 and (1 - left) / (rate * fractions) or ${LEASE_MILLIS}
end
local refused = math.max(0, pool.refusedUntil - now)
local granted = 0
if refused > 0 then
  wait = refused
else
  granted = math.max(0, math.min(ask.want, math.floor(free)))
end
if granted > 0 then
  if not told then pool.tokens = pool.tokens - granted end
  pool.granted = pool.granted + granted
  pool.grantedAt = now
end

pool.participants[ask.participant] = ask.fraction and {
  fraction = ask.fraction, held = ask.kept + granted, underWay = ask.underWay, till = now + ${LEASE_MILLIS}
} or nil
redis.call("SET", KEYS[1], cjson.encode(pool), "PX", math.ceil(math.max(2 * pool.window, refused) + 600000))
return cjson.encode({
  now = now, since = pool.since, mark = pool.granted - open - granted, granted = granted, wait = math.max(0, wait),
  refused = refused, limit = pool.limit, window = pool.window, left = math.max(0, left - granted), reset = told and told.reset - now
})
`
