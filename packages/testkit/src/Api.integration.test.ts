import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { Api } from "./Api.ts"
import { uniqueZoneId } from "./Names.ts"

const call = (api: Api["Service"], method: string, path: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(`${api.baseUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${api.token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return response.status
  })

const mapping = { ip: "192.0.2.1", vendor: "aws", region: "us-east-1" }

describe("Api", () => {
  it.effect("is the real server, and keeps its address and its mappings over a restart and a kill", () =>
    Effect.gen(function*() {
      const api = yield* Api
      const collection = `/zones/${yield* uniqueZoneId}/cache/origin_cloud_regions`
      assert.strictEqual(yield* call(api, "POST", collection, mapping), 200)
      yield* api.restart
      assert.strictEqual(yield* call(api, "GET", `${collection}/192.0.2.1`), 200)
      yield* api.kill
      assert.match(
        String(yield* Effect.flip(Effect.tryPromise(() => fetch(api.baseUrl)))),
        /fetch failed|UnknownError/u
      )
      yield* api.start
      assert.strictEqual(yield* call(api, "GET", `${collection}/192.0.2.1`), 200)
      assert.strictEqual(yield* call(api, "GET", `${collection}/192.0.2.2`), 404)
    }).pipe(Effect.provide(Api.layer)))

  it.effect("keeps a database that it is given", () =>
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(`${tmpdir()}/testkit-`)),
        (path) => Effect.promise(() => rm(path, { recursive: true }))
      )
      const collection = `/zones/${yield* uniqueZoneId}/cache/origin_cloud_regions`
      const layer = () => Layer.fresh(Api.layerWith({ databasePath: `${directory}/api.sqlite` }))
      yield* Api.use((api) => call(api, "POST", collection, mapping)).pipe(Effect.provide(layer()))
      const status = yield* Api.use((api) => call(api, "GET", `${collection}/192.0.2.1`)).pipe(Effect.provide(layer()))
      assert.strictEqual(status, 200)
    }).pipe(Effect.scoped))

  it.effect("says what the server said when it refuses to start", () =>
    Effect.gen(function*() {
      const refused = Api.layerWith({ environment: { LOG_FORMAT: "loud" } })
      const error = yield* Effect.flip(Effect.provide(Api, refused))
      assert.match(error.message, /^The API ended with exit code 2:\n.*LOG_FORMAT/su)
    }))
})
