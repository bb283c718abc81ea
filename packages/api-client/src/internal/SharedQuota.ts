import { createClient } from "@redis/client"
import { Clock, Duration, Effect, Latch, Redacted, Schema } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { ApiQuota, type QuotaOptions } from "../ApiQuota.ts"
import type { ApiCredential } from "../ApiSettings.ts"
import { ANSWER_MILLIS, NOT_YET, PoolMember } from "./PoolMember.ts"
import { type PoolRequest, quotaPoolScript, readPoolAnswer } from "./QuotaPoolScript.ts"

/** How long it takes until Redis is tried again. */
const SPACING = Duration.seconds(1)

/** How long a process that ends waits for giving back what it has leased. */
const LEAVE_TIMEOUT = Duration.millis(500)

const ANSWER_TIMEOUT = Duration.millis(ANSWER_MILLIS)

class RedisUnusable extends Schema.TaggedError<RedisUnusable>()("RedisUnusable", { cause: Schema.Defect() }) {
  override get message() {
    // A name with several addresses, all refused, has no text of its own.
    const causes: ReadonlyArray<unknown> = this.cause instanceof AggregateError ? this.cause.errors : [this.cause]
    return causes.map((cause) => cause instanceof Error ? cause.message : String(cause)).join("; ")
  }
}

/** Asks Redis, and waits for its answer as long as the pool's side of it may take. */
const ask = <A>(question: () => Promise<A>): Effect.Effect<A, RedisUnusable> =>
  Effect.tryPromise({ try: question, catch: (cause) => new RedisUnusable({ cause }) }).pipe(
    Effect.timeoutOrElse({
      duration: ANSWER_TIMEOUT,
      orElse: () => Effect.fail(new RedisUnusable({ cause: new Error("no answer within a second") }))
    })
  )

interface SharedQuotaOptions {
  readonly quota: QuotaOptions | undefined
  readonly credential: ApiCredential
  readonly baseUrl: URL
  /** Counts the calls that have no answer yet. */
  readonly underWay: () => number
}

/** The key of a token's pool, which is also the channel that a refusal is told on: all who call one API with one credential have the same. */
export const poolKey = (credential: ApiCredential, { host }: URL): string => {
  const secret = credential._tag === "Token"
    ? Redacted.value(credential.token)
    : `${credential.email}:${Redacted.value(credential.key)}`
  return `origin-regions:quota:${host}:${createHash("sha256").update(secret).digest("hex")}`
}

/** The quota of a process; pooled in Redis where the options say so, for as long as the scope is open. Where Redis fails, calls do not. */
export const makeSharedQuota = Effect.fnUntraced(function*(options: SharedQuotaOptions) {
  const clock = yield* Clock.Clock
  const redis = options.quota?.redis
  if (redis === undefined) return new ApiQuota(options.quota, clock, options.underWay)
  const member = new PoolMember(randomUUID(), clock, options.underWay)
  const quota = new ApiQuota(options.quota, clock, options.underWay, member)
  const key = poolKey(options.credential, options.baseUrl)

  const tellProblem = (problem: string) => {
    const isNew = member.problem === undefined || member.problem === NOT_YET
    member.problem = problem
    return isNew
      ? Effect.logWarning(
        `The quota's pool in Redis is out of reach (${problem}): this member keeps to its share by partitions until it is back`
      )
      : Effect.void
  }

  yield* session(redis, key, member, quota).pipe(
    Effect.scoped,
    Effect.catch(({ message }) => tellProblem(message)),
    Effect.andThen(Effect.sleep(SPACING)),
    Effect.forever,
    Effect.forkScoped
  )
  return quota
})

/** One connection to Redis, from its beginning to its failure. */
const session = Effect.fnUntraced(
  function*(redis: Redacted.Redacted, key: string, member: PoolMember, quota: ApiQuota) {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() =>
        createClient({
          url: Redacted.value(redis),
          socket: { connectTimeout: ANSWER_MILLIS, reconnectStrategy: false },
          disableOfflineQueue: true
        })
      ),
      (client) => Effect.sync(() => client.isOpen && client.destroy())
    )
    const wanted = yield* Latch.make(false)
    let hasEnded: Error | undefined
    client.on("error", (error: Error) => {
      hasEnded = error
      wanted.openUnsafe()
    })

    yield* ask(() => client.connect())
    const server = /^run_id:(\w+)/m.exec(yield* ask(() => client.info("server")))?.[1] ?? ""
    yield* ask(() => client.subscribe(key, (message) => member.refused(Number(message), true)))
    const script = yield* ask(() => client.scriptLoad(quotaPoolScript()))
    const time = yield* ask(() => client.time())
    member.connected(Number(time[0]) * 1000 + Number(time[1]) / 1000)

    const exchange = (request: PoolRequest) =>
      ask(() => client.evalSha(script, { keys: [key], arguments: [JSON.stringify(request)] })).pipe(
        Effect.flatMap((answer) => Effect.mapError(readPoolAnswer(answer), (cause) => new RedisUnusable({ cause }))),
        Effect.onError(() => Effect.sync(() => member.answered(undefined))),
        Effect.tap((answer) => Effect.sync(() => member.answered(answer)))
      )
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => exchange(member.request(server, quota.known, true))).pipe(
        Effect.timeoutOption(LEAVE_TIMEOUT),
        Effect.ignore
      )
    )
    member.wake = () => wanted.openUnsafe()

    while (true) {
      const answer = yield* exchange(member.request(server, quota.known))
      if (member.problem !== undefined && !("late" in answer)) {
        member.problem = undefined
        yield* Effect.logInfo("The quota is pooled in Redis, with all who use the token")
      }
      yield* Effect.timeoutOption(wanted.await, Duration.millis(member.nextMillis))
      wanted.closeUnsafe()
      if (hasEnded !== undefined) return yield* new RedisUnusable({ cause: hasEnded })
    }
  }
)
