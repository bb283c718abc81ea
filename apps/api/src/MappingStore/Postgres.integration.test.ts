import { assert, describe, it, layer } from "@effect/vitest"
import { canonicalize } from "@origin-regions/domain/OriginIp"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { postgresProviders, PostgresServer } from "@origin-regions/testkit/PostgresServer"
import { Context, Duration, Effect, Layer, Redacted } from "effect"
import { call, collection, draft, onFile, post } from "../fixtures/TestServer.ts"
import { MappingStore, type Write } from "../MappingStore.ts"
import { mappingStoreContract } from "./MappingStoreContract.ts"
import * as Postgres from "./Postgres.ts"

const zone = ZoneId.make("zone")

const create = (ip: string): Write => ({
  zoneId: zone,
  changes: [{
    type: "create",
    mapping: {
      zoneId: zone,
      originIp: canonicalize(ip) ?? assert.fail("not an address"),
      vendor: Vendor.make("aws"),
      region: "us-east-1",
      modifiedAt: 1
    }
  }],
  author: { tokenId: "0a1b2c", requestId: "request-1", generation: 1, operation: "create" },
  at: 1
})

const layerOn = (url: Redacted.Redacted) => Postgres.layer({ url, timeout: Duration.seconds(30) })

const storeOn = (url: Redacted.Redacted) =>
  Effect.map(Layer.build(Layer.fresh(layerOn(url))), Context.get(MappingStore))

const providers = await Effect.runPromise(postgresProviders)

for (const { available, layer: server, name } of providers) {
  describe.skipIf(!available)(`Postgres by ${name}`, () => {
    layer(server, { excludeTestServices: true })((it) => {
      const newStore = Layer.fresh(
        Layer.unwrap(PostgresServer.use(({ newDatabase }) => Effect.map(newDatabase, layerOn)))
      )
      mappingStoreContract("PostgreSQL", (name, run) => {
        it.effect(name, () => Effect.provide(run(), newStore))
      })

      it.effect("serves the API", () =>
        Effect.gen(function*() {
          const databaseUrl = yield* PostgresServer.use(({ newDatabase }) => newDatabase)
          const serving = Effect.gen(function*() {
            const path = collection("zone")
            const answers = [yield* post(path, draft), yield* post(path, draft), yield* call({ path })]
            return answers.map(({ status }) => status)
          }).pipe(Effect.provide(Layer.fresh(onFile({ databaseUrl }))))
          assert.deepStrictEqual(yield* serving, [200, 400, 200])
          assert.deepStrictEqual(yield* serving, [400, 400, 200], "the next start finds what there was")
        }))

      it.effect("says in a sentence what the server has against it", () =>
        Effect.gen(function*() {
          const url = new URL(Redacted.value(yield* PostgresServer.use(({ newDatabase }) => newDatabase)))
          url.pathname = "none"
          const error = yield* Effect.flip(Effect.scoped(storeOn(Redacted.make(url.href))))
          assert.strictEqual(error.reason._tag, "CannotOpen")
          assert.match(error.message, /^The database of DATABASE_URL .*"none" does not exist\. Check/u)
        }))

      it.effect("shares a database with another process, in one order, and finds everything again", () =>
        Effect.gen(function*() {
          const url = yield* PostgresServer.use(({ newDatabase }) => newDatabase)
          const [first, second] = yield* Effect.all([storeOn(url), storeOn(url)], { concurrency: 2 })
          const results = yield* Effect.forEach(
            Array.from({ length: 200 }, (_, index) => index),
            (index) => (index % 2 === 0 ? first : second).write(create(`192.0.2.${index % 100}`)),
            { concurrency: "unbounded" }
          )
          assert.lengthOf(results.filter(([before]) => before === undefined), 100)
          const third = yield* storeOn(url)
          assert.lengthOf(yield* third.list(zone), 100)
          assert.lengthOf(yield* third.audit({ after: 0, limit: 1000 }), 100)
        }).pipe(Effect.scoped))
    })
  })
}

describe("Postgres", () => {
  it.live("says in a sentence that it can't reach its database, and never the password", () =>
    Effect.gen(function*() {
      const url = Redacted.make("postgres://user:s3cret@127.0.0.1:1/none")
      const error = yield* Effect.flip(Effect.scoped(storeOn(url)))
      assert.strictEqual(error.reason._tag, "CannotOpen")
      assert.include(error.message, "DATABASE_URL")
      assert.notInclude(error.message, "s3cret")
    }))
})
