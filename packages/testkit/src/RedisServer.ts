import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { debianRedis, installedRedis } from "./internal/DebianRedis.ts"
import { layerRealTime } from "./internal/RealTime.ts"
import { Leash } from "./Leash.ts"
import type { RedisServerError } from "./RedisServerError.ts"

/** A real Redis server, for tests: with nothing in it, and gone with the layer's scope, or with this process if that is killed. */
export class RedisServer extends Context.Service<RedisServer, {
  /** For `REDIS_URL`, with a password; the same after every start. */
  readonly url: Redacted.Redacted
  /** Starts it again after `stop` or `kill`, without what it had; nothing where it runs. */
  readonly start: Effect.Effect<void, RedisServerError>
  readonly stop: Effect.Effect<void, RedisServerError>
  /** SIGKILL. */
  readonly kill: Effect.Effect<void, RedisServerError>
  /** Until the scope closes it stands still: it takes connections and answers nothing. */
  readonly frozen: Effect.Effect<void, RedisServerError, Scope.Scope>
}>()("@origin-regions/testkit/RedisServer") {
  /** The server of Debian's package redis-server. */
  static readonly layer: Layer.Layer<RedisServer, RedisServerError> = Layer.effect(
    RedisServer,
    Effect.map(
      debianRedis,
      ({ address, frozen, kill, start, stop }) =>
        RedisServer.of({ url: Redacted.make(address), frozen, kill, start, stop })
    )
  ).pipe(Layer.provide([Leash.layer, layerRealTime]))

  /** Why this machine has none; undefined where it has. */
  static readonly missing: Effect.Effect<string | undefined> = Effect.match(installedRedis, {
    onSuccess: () => undefined,
    onFailure: ({ message }) => message
  })
}
