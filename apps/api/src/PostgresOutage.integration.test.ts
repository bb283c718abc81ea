import { PgConnection } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { Api } from "@origin-regions/testkit/Api"
import { postgresProviders, PostgresServer } from "@origin-regions/testkit/PostgresServer"
import { Context, Effect, Layer, Redacted, Schedule, type Scope } from "effect"
import { assertNothingLost, beside, send, type Sent, writing } from "./fixtures/AuditedWrites.ts"

const providers = await Effect.runPromise(postgresProviders)
const provider = providers.find(({ available }) => available)
const how = providers.map(({ name }) => name).join(", ")

const query = (url: Redacted.Redacted, text: string) =>
  Effect.scoped(Effect.flatMap(PgConnection.make({ url }), (connection) => connection.query(text))).pipe(
    Effect.map(({ rows }) => rows)
  )

/** A database of an operator for whom losing the last moments was fast enough. */
const newDatabase = Effect.gen(function*() {
  const url = yield* PostgresServer.use(({ newDatabase }) => newDatabase)
  const name = new URL(Redacted.value(url)).pathname.slice(1)
  yield* query(url, `ALTER DATABASE ${name} SET synchronous_commit = off`)
  return url
})

const apiOn = (url: Redacted.Redacted) =>
  Effect.map(
    Layer.build(Layer.fresh(Api.layerWith({
      environment: { DATABASE_URL: Redacted.value(url), API_REQUEST_TIMEOUT: "1 second" }
    }))),
    Context.get(Api)
  )

const untilHealth = (api: Api["Service"], expected: number) =>
  Effect.repeat(send(api, beside(api, "/health")), {
    until: ({ status }) => status === expected,
    schedule: Schedule.spaced("10 millis")
  })

/** Whatever happened to the database, every request got an answer of the contract. */
const assertAllAnswered = (sent: ReadonlyArray<Sent>) => {
  for (const { answer, id } of sent) {
    assert.isDefined(answer, id)
    if (answer.status < 500) continue
    const { errors, success } = JSON.parse(answer.text)
    assert.deepStrictEqual({ success, codes: errors.map(({ code }: { code: number }) => code) }, {
      success: false,
      codes: [apiErrors.internal_error.code]
    })
  }
}

/** Pauses it again and again, until it is caught between two statements of a transaction that has the turn. */
const pauseInTurn = (api: Api["Service"], url: Redacted.Redacted) =>
  Effect.repeat(
    Effect.gen(function*() {
      yield* api.pause
      const others =
        "FROM pg_stat_activity LEFT JOIN pg_locks ON pg_locks.pid = pg_stat_activity.pid AND locktype = 'advisory'"
      const connections = yield* Effect.repeat(
        query(url, `SELECT state, granted ${others} WHERE application_name = 'origin-regions-api' AND state <> 'idle'`),
        { until: (rows) => rows.every(({ state }) => state === "idle in transaction") }
      )
      const hasTurn = connections.some(({ granted }) => granted === true)
      if (!hasTurn) yield* api.resume
      return hasTurn
    }),
    { until: (hasTurn) => hasTurn }
  )

const onOwnServer = <A, E>(test: Effect.Effect<A, E, PostgresServer | Scope.Scope>) =>
  Effect.scoped(test).pipe(
    Effect.provide(provider?.layer ?? Layer.effect(PostgresServer, Effect.die(new Error("there is no server"))))
  )

describe.skipIf(provider === undefined)(`The API, when PostgreSQL fails (by ${provider?.name ?? how})`, () => {
  it.live("loses nothing that it acknowledged, says how it is, and goes on by itself", () =>
    onOwnServer(Effect.gen(function*() {
      const server = yield* PostgresServer
      const api = yield* apiOn(yield* newDatabase)
      const { done, failed, sent, stop } = yield* writing(api, "zone")
      for (const end of [server.kill, server.stop]) {
        yield* done(100)
        yield* end
        yield* failed(20)
        yield* untilHealth(api, 503)
        yield* server.start
        yield* done(100)
        yield* untilHealth(api, 200)
      }
      yield* stop
      assertAllAnswered(sent)
      yield* assertNothingLost(api, sent)
    })))

  it.live("answers in time while the server hangs, goes on by itself, and can be stopped", () =>
    onOwnServer(Effect.gen(function*() {
      const server = yield* PostgresServer
      const api = yield* apiOn(yield* newDatabase)
      const { done, failed, sent, stop } = yield* writing(api, "zone")
      yield* done(100)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* server.frozen
        // What was under way, and what came when nothing could be done.
        yield* failed(48)
        const reads = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => send(api, `${api.baseUrl}/zones/zone/cache/origin_cloud_regions`),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(new Set(reads.map(({ status }) => status)), new Set([500]))
        yield* untilHealth(api, 503)
      }))
      yield* done(100)
      yield* untilHealth(api, 200)
      yield* stop
      assertAllAnswered(sent)
      const last = yield* writing(api, "last")
      yield* last.done(100)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* server.frozen
        yield* api.stop
      }))
      yield* api.start
      yield* last.stop
      yield* assertNothingLost(api, [...sent, ...last.sent])
    })))

  it.live("goes on where another process on the same database hangs in the middle of a write", () =>
    onOwnServer(Effect.gen(function*() {
      const url = yield* newDatabase
      const [hanging, api] = yield* Effect.all([apiOn(url), apiOn(url)])
      const { done, sent, stop } = yield* writing(hanging, "hanging")
      yield* done(100)
      yield* pauseInTurn(hanging, url)
      const others = yield* writing(api, "zone")
      yield* others.done(100)
      yield* hanging.resume
      yield* done(100)
      yield* Effect.all([stop, others.stop])
      assertAllAnswered(sent)
      assertAllAnswered(others.sent)
      yield* assertNothingLost(api, [...sent, ...others.sent])
    })))
})
