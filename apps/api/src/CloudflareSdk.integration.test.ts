import { assert, layer } from "@effect/vitest"
import { apiErrors } from "@origin-regions/domain/ApiError"
import CloudflareGeneration1, { APIError as APIErrorGeneration1 } from "cloudflare-generation-1"
import CloudflareGeneration2, { APIError as APIErrorGeneration2 } from "cloudflare-generation-2"
import { Effect } from "effect"
import { ApiServer } from "./ApiServer.ts"
import { newZoneId, onFile } from "./fixtures/TestServer.ts"

// The SDK of 6.0 to 6.3 speaks generation 1 only, those from 6.4 on generation 2 only.
const sdks = Effect.map(ApiServer, ({ address }) => {
  const options = { apiToken: "t0ken", baseURL: `${address}/client/v4`, maxRetries: 0 }
  return {
    first: new CloudflareGeneration1(options).cache.originCloudRegions,
    firstByKey: new CloudflareGeneration1({
      ...options,
      apiToken: null,
      apiEmail: "a@example.com",
      apiKey: "k3y"
    }).cache.originCloudRegions,
    second: new CloudflareGeneration2(options).cache.originCloudRegions
  }
})

const placed = { vendor: "aws", region: "us-east-1" } as const

/** The status and the codes of the error that the SDK throws. */
const errorOf = (call: () => PromiseLike<unknown>) =>
  Effect.promise(async () => {
    try {
      await call()
      return "it was done"
    } catch (error) {
      if (error instanceof APIErrorGeneration1 || error instanceof APIErrorGeneration2) {
        const errors: ReadonlyArray<{ readonly code?: number | undefined }> = error.errors
        return { type: error.constructor.name, status: error.status as number, codes: errors.map(({ code }) => code) }
      }
      throw error
    }
  })

const bad = (code: number) => ({ type: "BadRequestError", status: 400, codes: [code] })
const absent = (code: number) => ({ type: "NotFoundError", status: 404, codes: [code] })

layer(onFile(), { excludeTestServices: true })("Cloudflare's SDK", (it) => {
  it.effect("6.0 does everything in generation 1", () =>
    Effect.gen(function*() {
      const { first, firstByKey } = yield* sdks
      const zone_id = yield* newZoneId
      yield* Effect.promise(async () => {
        const empty = await first.list({ zone_id })
        assert.deepStrictEqual([empty.value, empty.modified_on], [[], null])
        const created = await first.create({ zone_id, ip: "2001:DB8::1", ...placed })
        assert.strictEqual(created.value["origin-ip"], "2001:db8::1")
        assert.deepStrictEqual((await firstByKey.get("2001:db8::1", { zone_id })).value, created.value)
        const edited = await first.edit({ zone_id, ip: "192.0.2.1", vendor: "gcp", region: "us-central1" })
        assert.lengthOf(edited.value, 2)
        const bulk = await first.bulkEdit({
          zone_id,
          body: [{ ip: "192.0.2.2", ...placed }, { ip: "192.0.2", ...placed }]
        })
        assert.deepStrictEqual(bulk.value.succeeded.map((item) => item["origin-ip"]), ["192.0.2.2"])
        assert.deepStrictEqual(bulk.value.failed.map((item) => item["origin-ip"]), ["192.0.2"])
        const gone = await first.bulkDelete({ zone_id }, { body: ["192.0.2.2", "192.0.2.9"] })
        assert.deepStrictEqual([gone.value.succeeded.length, gone.value.failed.length], [1, 1])
        assert.strictEqual((await first.delete("2001:db8::1", { zone_id })).value["origin-ip"], "2001:db8::1")
        assert.lengthOf((await first.list({ zone_id })).value, 1)
        assert.lengthOf((await first.supportedRegions({ zone_id })).vendors["aws"] ?? [], 34)
      })
    }))

  it.effect("6.0 throws what it should in generation 1", () =>
    Effect.gen(function*() {
      const { first } = yield* sdks
      const zone_id = yield* newZoneId
      yield* Effect.promise(() => first.create({ zone_id, ip: "192.0.2.1", ...placed }))
      const noRoute = { type: "BadRequestError", status: 400, codes: [7003, 7000] }
      assert.deepStrictEqual(yield* errorOf(() => first.create({ zone_id, ip: "192.0.2.1", ...placed })), bad(1145))
      assert.deepStrictEqual(yield* errorOf(() => first.create({ zone_id, ip: "192.0.2", ...placed })), bad(1146))
      assert.deepStrictEqual(
        yield* errorOf(() => first.edit({ zone_id, ip: "192.0.2.1", vendor: "aws", region: "westeurope" })),
        bad(1157)
      )
      assert.deepStrictEqual(yield* errorOf(() => first.get("192.0.2.9", { zone_id })), absent(1142))
      assert.deepStrictEqual(yield* errorOf(() => first.delete("192.0.2.9", { zone_id })), absent(1163))
      assert.deepStrictEqual(yield* errorOf(() => first.bulkDelete({ zone_id })), bad(1146))
      // This version sends what it is given as it is.
      assert.deepStrictEqual(yield* errorOf(() => first.get("192.0.2.0/24", { zone_id })), noRoute)
      assert.deepStrictEqual(yield* errorOf(() => first.get("fe80::1%eth0", { zone_id })), noRoute)
    }))

  it.effect("7.3 does everything in generation 2", () =>
    Effect.gen(function*() {
      const { second } = yield* sdks
      const zone_id = yield* newZoneId
      yield* Effect.promise(async () => {
        const put = (origin_ip: string) => second.update(origin_ip, { zone_id, origin_ip, ...placed })
        const stored = await put("2001:DB8::1")
        assert.strictEqual(stored.origin_ip, "2001:db8::1")
        assert.deepStrictEqual(await second.get("2001:db8::1", { zone_id }), stored)
        const body = Array.from({ length: 44 }, (_, index) => ({ origin_ip: `192.0.2.${index}`, ...placed }))
        const bulk = await second.bulkUpdate({ zone_id, body })
        assert.deepStrictEqual([bulk.succeeded.length, bulk.failed], [44, []])
        const listed = []
        for await (const { origin_ip } of second.list({ zone_id })) listed.push(origin_ip)
        assert.lengthOf(new Set(listed), 45)
        const gone = await second.bulkDelete({ zone_id }, { body: ["192.0.2.0", "192.0.2.0"] })
        assert.deepStrictEqual(gone.failed.map(({ error }) => error), [apiErrors.not_found.message])
        assert.deepStrictEqual(await second.delete("2001:db8::1", { zone_id }), { origin_ip: "2001:db8::1" })
        assert.lengthOf((await second.supportedRegions({ zone_id })).vendors["oci"] ?? [], 46)
      })
    }))

  it.effect("7.3 throws what it should in generation 2", () =>
    Effect.gen(function*() {
      const { second } = yield* sdks
      const zone_id = yield* newZoneId
      const put = (path: string, origin_ip: string) =>
        errorOf(() => second.update(path, { zone_id, origin_ip, ...placed }))
      assert.deepStrictEqual(yield* put("192.0.2.1", "192.0.2.2"), bad(1146))
      assert.deepStrictEqual(yield* put("192.0.2.0/24", "192.0.2.0/24"), bad(1146))
      assert.deepStrictEqual(yield* put("fe80::1%eth0", "fe80::1%eth0"), bad(1146))
      assert.deepStrictEqual(yield* errorOf(() => second.list({ zone_id, per_page: 101 })), bad(1146))
      assert.deepStrictEqual(yield* errorOf(() => second.bulkDelete({ zone_id })), bad(1146))
      assert.deepStrictEqual(yield* errorOf(() => second.get("192.0.2.1", { zone_id })), absent(1142))
      assert.deepStrictEqual(yield* errorOf(() => second.delete("192.0.2.1", { zone_id })), absent(1142))
    }))
})
