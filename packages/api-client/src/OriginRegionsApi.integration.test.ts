import { assert, layer } from "@effect/vitest"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import { Vendor } from "@origin-regions/domain/Vendor"
import { Api } from "@origin-regions/testkit/Api"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Context, Duration, Effect, Layer, Redacted, Result } from "effect"
import type { ApiErrorReason } from "./ApiError.ts"
import { type ApiCredential, ApiSettings } from "./ApiSettings.ts"
import { OriginRegionsApi } from "./OriginRegionsApi.ts"

const settings = Effect.fnUntraced(function*(credential?: ApiCredential) {
  const { baseUrl, token } = yield* Api
  return ApiSettings.of({
    baseUrl: new URL(baseUrl),
    credential: credential ?? { _tag: "Token", token: Redacted.make(token) },
    timeout: Duration.seconds(30),
    connections: 32
  })
})

/** The client of the server under test, which stays at hand. */
const client = OriginRegionsApi.layerNoDeps.pipe(
  Layer.provide(Layer.effect(ApiSettings, settings())),
  Layer.provideMerge(Api.layerWith({ environment: { API_KEYS: "ops@example.com:a-key-of-some-length" } }))
)

const clientWith = (credential: ApiCredential) =>
  Layer.build(Layer.fresh(OriginRegionsApi.layerNoDeps)).pipe(
    Effect.map(Context.get(OriginRegionsApi)),
    Effect.provideServiceEffect(ApiSettings, settings(credential))
  )

const aws = { vendor: Vendor.make("aws"), region: Region.make("us-east-1") }
const gcp = { vendor: Vendor.make("gcp"), region: Region.make("us-central1") }

const mappingOf = Effect.fnUntraced(function*(ip: string) {
  return { zone_id: yield* uniqueZoneId, origin_ip: OriginIp.make(ip) }
})

const numbered = (index: number) => OriginIp.make(`198.51.${index >> 8}.${index & 255}`)

const said = (reason: ApiErrorReason, tag: ApiErrorReason["_tag"], entry: { code: number; message: string }) => {
  assert.strictEqual(reason._tag, tag)
  assert.deepInclude(reason, { code: entry.code, message: entry.message })
}

layer(client, { excludeTestServices: true })("OriginRegionsApi and the real API", (it) => {
  it.effect.each(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "::"])(
    "lives through the life of %s",
    (ip) =>
      Effect.gen(function*() {
        const api = yield* OriginRegionsApi
        const address = yield* mappingOf(ip)

        const created = yield* api.create({ ...address, ...aws })
        assert.deepInclude(created, { ...address, ...aws })
        assert.match(created.modified_on ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/u)
        assert.deepStrictEqual(yield* api.get(address), created)

        said((yield* Effect.flip(api.create({ ...address, ...gcp }))).reason, "AlreadyExists", apiErrors.already_exists)
        assert.deepStrictEqual(yield* api.get(address), created)

        const replaced = yield* api.upsert({ ...address, ...gcp })
        assert.deepInclude(replaced, { ...address, ...gcp })
        assert.deepStrictEqual(yield* api.list(address.zone_id), [replaced])

        assert.deepInclude(yield* api.delete(address), { ...address, ...gcp })
        said((yield* Effect.flip(api.get(address))).reason, "NotFound", apiErrors.not_found)
        said((yield* Effect.flip(api.delete(address))).reason, "NotFound", apiErrors.nothing_to_delete)
        assert.deepStrictEqual(yield* api.list(address.zone_id), [])
      })
  )

  it.effect("creates by upsert", () =>
    Effect.gen(function*() {
      const api = yield* OriginRegionsApi
      const address = yield* mappingOf("192.0.2.1")
      const other = { ...address, origin_ip: OriginIp.make("192.0.2.2") }
      yield* api.upsert({ ...other, ...aws })
      const upserted = yield* api.upsert({ ...address, ...gcp })
      assert.deepStrictEqual(yield* api.get(address), upserted)
      assert.lengthOf(yield* api.list(address.zone_id), 2)
    }))

  it.effect("is told of a region that doesn't exist", () =>
    Effect.gen(function*() {
      const api = yield* OriginRegionsApi
      const address = yield* mappingOf("192.0.2.1")
      for (const write of [api.create, api.upsert]) {
        const { reason } = yield* Effect.flip(write({ ...address, vendor: aws.vendor, region: Region.make("moon-1") }))
        said(reason, "Rejected", apiErrors.unsupported_region)
        assert.deepInclude(reason, { status: 400, name: "unsupported_region" })
      }
    }))

  it.effect("reads the supported regions", () =>
    Effect.gen(function*() {
      const { vendors } = yield* (yield* OriginRegionsApi).supportedRegions(yield* uniqueZoneId)
      assert.sameMembers(Object.keys(vendors), ["aws", "azure", "gcp", "oci"])
      assert.isTrue(vendors["aws"]?.some(({ name }) => name === "us-east-1"))
    }))

  it.effect("creates an address once, however many try at once", () =>
    Effect.gen(function*() {
      const api = yield* OriginRegionsApi
      const address = yield* mappingOf("2001:db8::1")
      const results = yield* Effect.forEach(
        Array.from({ length: 200 }),
        () => Effect.result(api.create({ ...address, ...aws })),
        { concurrency: "unbounded" }
      )
      const failures = results.flatMap((result) => Result.isFailure(result) ? [result.failure.reason._tag] : [])
      assert.lengthOf(failures, 199)
      assert.deepStrictEqual(new Set(failures), new Set(["AlreadyExists"]))
    }))

  it.effect("meets a full zone, and still replaces in it", () =>
    Effect.gen(function*() {
      const api = yield* OriginRegionsApi
      const { zone_id } = yield* mappingOf("192.0.2.1")
      yield* Effect.forEach(
        Array.from({ length: 3_500 }, (_, index) => numbered(index)),
        (origin_ip) => api.create({ zone_id, origin_ip, ...aws }),
        { concurrency: 32, discard: true }
      )
      assert.lengthOf(yield* api.list(zone_id), 3_500)
      const beyond = { zone_id, origin_ip: OriginIp.make("2001:db8::1") }
      for (const write of [api.create, api.upsert]) {
        const { reason } = yield* Effect.flip(write({ ...beyond, ...aws }))
        said(reason, "Rejected", apiErrors.limit_reached)
        assert.deepInclude(reason, { status: 403, name: "limit_reached" })
      }
      const replaced = yield* api.upsert({ zone_id, origin_ip: numbered(1_234), ...gcp })
      assert.deepInclude(replaced, { origin_ip: numbered(1_234), ...gcp })
    }))

  it.effect("is let in by an e-mail address and a key", () =>
    Effect.gen(function*() {
      const key = Redacted.make("a-key-of-some-length")
      const api = yield* clientWith({ _tag: "Key", email: "ops@example.com", key })
      assert.deepStrictEqual(yield* api.list(yield* uniqueZoneId), [])
    }))

  it.effect("is told that its credential is wrong", () =>
    Effect.gen(function*() {
      const api = yield* clientWith({ _tag: "Token", token: Redacted.make("another-token") })
      const { reason } = yield* Effect.flip(api.list(yield* uniqueZoneId))
      said(reason, "BadCredential", apiErrors.authentication_error)
      const key = Redacted.make("another-key")
      const other = yield* clientWith({ _tag: "Key", email: "ops@example.com", key })
      assert.strictEqual((yield* Effect.flip(other.list(yield* uniqueZoneId))).category, "credential")
    }))
})

layer(client, { excludeTestServices: true })("OriginRegionsApi and an API that goes away", (it) => {
  it.effect("finds it again, and knows that nothing was sent meanwhile", () =>
    Effect.gen(function*() {
      const server = yield* Api
      const api = yield* OriginRegionsApi
      const address = yield* mappingOf("192.0.2.1")
      const created = yield* api.create({ ...address, ...aws })
      for (const end of [server.stop, server.kill]) {
        yield* end
        const error = yield* Effect.flip(api.upsert({ ...address, ...gcp }))
        assert.deepInclude(error.reason, { _tag: "Unreachable", sent: false })
        yield* server.start
        assert.deepStrictEqual(yield* api.get(address), created)
      }
    }))
})
