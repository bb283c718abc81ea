import { Clock, Context, Duration, Effect, Layer } from "effect"
import { Settings } from "./Settings.ts"

/** What the limit says to one request. The headers are for its answer, whatever that is. */
export interface RateLimitVerdict {
  readonly limited: boolean
  readonly headers: Readonly<Record<string, string>>
}

interface Usage {
  windowEnd: number
  used: number
  blockedUntil: number
}

/**
 * How many requests a credential may send in a window; one too many, and all are refused for the block time. As Cloudflare publishes it:
 * 1,200 in five minutes, then five minutes of 429.
 */
export class RateLimit extends Context.Service<RateLimit, {
  consume(tokenId: string): RateLimitVerdict
}>()("@origin-regions/api/RateLimit") {
  static readonly layerNoDeps = Layer.effect(
    RateLimit,
    Effect.gen(function*() {
      const { rateLimit } = yield* Settings
      const clock = yield* Clock.Clock
      if (rateLimit === undefined) return RateLimit.of({ consume: () => unlimited })
      const { requests } = rateLimit
      const window = Duration.toMillis(rateLimit.window)
      const block = Duration.toMillis(rateLimit.block)
      const policy = `"default";q=${requests};w=${seconds(window)}`
      const usages = new Map<string, Usage>()

      const verdict = (limited: boolean, remaining: number, wait: number): RateLimitVerdict => ({
        limited,
        headers: {
          ratelimit: `"default";r=${remaining};t=${seconds(wait)}`,
          "ratelimit-policy": policy,
          ...(limited ? { "retry-after": String(seconds(wait)) } : {})
        }
      })

      return RateLimit.of({
        consume(tokenId) {
          const now = clock.currentTimeMillisUnsafe()
          const usage = usages.get(tokenId) ?? { windowEnd: 0, used: 0, blockedUntil: 0 }
          usages.set(tokenId, usage)
          if (now < usage.blockedUntil) return verdict(true, 0, usage.blockedUntil - now)
          if (now >= usage.windowEnd) {
            usage.windowEnd = now + window
            usage.used = 0
          }
          usage.used++
          if (usage.used <= requests) return verdict(false, requests - usage.used, usage.windowEnd - now)
          usage.blockedUntil = now + block
          usage.windowEnd = usage.blockedUntil
          return verdict(true, 0, block)
        }
      })
    })
  )
}

const unlimited: RateLimitVerdict = { limited: false, headers: {} }

/** Rounded up, so that nobody comes back too early. */
const seconds = (millis: number): number => Math.ceil(millis / 1000)
