import { PgConnection } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Layer, type Redacted } from "effect"
import { postgresProviders, PostgresServer } from "./PostgresServer.ts"

const providers = await Effect.runPromise(postgresProviders)

const query = (url: Redacted.Redacted, text: string) =>
  Effect.scoped(
    Effect.flatMap(PgConnection.make({ url }), (connection) => connection.query(text))
  ).pipe(Effect.map(({ rows }) => rows))

for (const { available, layer, name } of providers) {
  describe.skipIf(!available)(`PostgresServer by ${name}`, () => {
    it.live("serves, and comes back at its address with its data after a stop and after a kill", () =>
      Effect.gen(function*() {
        const server = yield* PostgresServer
        assert.strictEqual<string>(server.provider, name)
        const [url, other] = [yield* server.newDatabase, yield* server.newDatabase]
        yield* query(url, "CREATE TABLE facts AS SELECT 1 AS fact")
        for (const end of [server.stop, server.kill]) {
          yield* end
          assert.isTrue(Exit.isFailure(yield* Effect.exit(query(url, "SELECT 1"))))
          yield* server.start
          assert.deepStrictEqual(yield* query(url, "SELECT fact FROM facts"), [{ fact: 1 }])
        }
        assert.isTrue(Exit.isFailure(yield* Effect.exit(query(other, "SELECT fact FROM facts"))), "another database")
      }).pipe(Effect.provide(layer)))

    it.live("answers nothing while it is frozen, and then what it was asked meanwhile", () =>
      Effect.gen(function*() {
        const server = yield* PostgresServer
        const url = yield* server.newDatabase
        const connection = yield* PgConnection.make({ url })
        const question = yield* Effect.scoped(Effect.gen(function*() {
          yield* server.frozen
          const question = yield* Effect.forkChild(connection.query("SELECT 1 AS one"), { startImmediately: true })
          const refused = yield* Effect.flip(PgConnection.make({ url, connectTimeout: "1 second" }))
          assert.include(refused.message, "timed out")
          return question
        }))
        assert.deepStrictEqual((yield* Fiber.join(question)).rows, [{ one: 1 }])
      }).pipe(Effect.scoped, Effect.provide(layer)))
  })
}

describe("PostgresServer", () => {
  it.effect("says in one sentence that there is no image", () =>
    Effect.gen(function*() {
      const image = "127.0.0.1:9/no-such-image:1"
      const layer = PostgresServer.layerTestcontainers.pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ POSTGRES_IMAGE: image })))
      )
      const { message } = yield* Effect.flip(Effect.provide(PostgresServer, layer))
      assert.match(message, /set POSTGRES_IMAGE to another|No Docker daemon answers/u)
    }))
})
