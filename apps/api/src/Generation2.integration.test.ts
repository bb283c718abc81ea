import { assert, describe, it, layer } from "@effect/vitest"
import { type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Schema } from "effect"
import {
  type Answer,
  assertFailure,
  auditOf,
  bearer,
  call,
  newZoneId,
  onFile,
  resultOf
} from "./fixtures/TestServer.ts"
import * as Generation1 from "./Generation1.ts"
import { BatchOutcome, Deleted, EntryPage, OneEntry, Regions } from "./Generation2.ts"
import { supportedRegions } from "./SupportedRegions.ts"

const collection = (zone: string) => `/client/v4/zones/${zone}/origin/cloud_regions`
const collection1 = (zone: string) => `/client/v4/zones/${zone}/cache/origin_cloud_regions`

const newZone = Effect.map(newZoneId, collection)

const draft = { origin_ip: "192.0.2.1", vendor: "aws", region: "us-east-1" }

const put = (zone: string, body: typeof draft) => call({ method: "PUT", path: `${zone}/${body.origin_ip}`, body })

const remove = (path: string) => call({ method: "DELETE", path })

const pageOf = (answer: Answer) => {
  resultOf(EntryPage, answer)
  return Schema.decodeUnknownSync(EntryPage)(answer.body)
}

layer(onFile(), { excludeTestServices: true })("ApiServer, generation 2", (it) => {
  it.effect("upserts, gets and deletes a mapping by any spelling", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      const put1 = yield* call({
        method: "PUT",
        path: `${zone}/2001:0db8::1`,
        body: { ...draft, origin_ip: "2001:DB8::1" }
      })
      const stored = resultOf(OneEntry, put1)
      assert.deepStrictEqual<unknown>(stored, {
        origin_ip: "2001:db8::1",
        vendor: "aws",
        region: "us-east-1",
        modified_on: stored.modified_on
      })
      assert.deepStrictEqual(resultOf(OneEntry, yield* call({ path: `${zone}/2001%3Adb8::0001` })), stored)
      const replaced = resultOf(
        OneEntry,
        yield* put(zone, { origin_ip: "2001:db8::1", vendor: "gcp", region: "us-central1" })
      )
      assert.strictEqual(replaced.vendor, "gcp")
      assert.deepStrictEqual(resultOf(Deleted, yield* remove(`${zone}/2001:DB8::1`)), { origin_ip: "2001:db8::1" })
      assertFailure(yield* remove(`${zone}/2001:db8::1`), ["not_found"])
      assertFailure(yield* call({ path: `${zone}/2001:db8::1` }), ["not_found"])
    }))

  it.effect("lists by the page, and nothing past the end", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      const info = { page: 1, per_page: 20, count: 0, total_count: 0, total_pages: 0 }
      assert.deepStrictEqual(pageOf(yield* call({ path: zone })).result_info, info)
      const all = Array.from({ length: 45 }, (_, index) => ({ ...draft, origin_ip: `192.0.2.${index + 100}` }))
      yield* call({ method: "PUT", path: `${zone}/batch`, body: all })
      const first = pageOf(yield* call({ path: zone }))
      assert.deepStrictEqual(
        first.result.map(({ origin_ip }) => origin_ip),
        all.slice(0, 20).map((item) => item.origin_ip)
      )
      assert.deepStrictEqual(first.result_info, { page: 1, per_page: 20, count: 20, total_count: 45, total_pages: 3 })
      const third = pageOf(yield* call({ path: `${zone}?page=3` }))
      assert.deepStrictEqual(
        third.result.map(({ origin_ip }) => origin_ip),
        all.slice(40).map((item) => item.origin_ip)
      )
      assert.deepStrictEqual(third.result_info, { page: 3, per_page: 20, count: 5, total_count: 45, total_pages: 3 })
      assert.lengthOf(pageOf(yield* call({ path: `${zone}?per_page=100&x=1` })).result, 45)
      const beyond = pageOf(yield* call({ path: `${zone}?page=999&per_page=1` }))
      assert.deepStrictEqual(beyond.result, [])
      assert.deepStrictEqual(beyond.result_info, { page: 999, per_page: 1, count: 0, total_count: 45, total_pages: 45 })
    }))

  it.effect.each([
    "per_page=0",
    "per_page=101",
    "per_page=",
    "per_page=ten",
    "per_page=1e1",
    "per_page=-1",
    "page=0",
    "page=1.5",
    "page=99999999999",
    "page=1&page=2"
  ])("refuses a page of %s", (query) =>
    Effect.gen(function*() {
      assertFailure(yield* call({ path: `${yield* newZone}?${query}` }), ["invalid_per_page"])
    }))

  const refused: ReadonlyArray<readonly [string, string, unknown, ApiErrorName]> = [
    ["no body", "192.0.2.1", undefined, "invalid_ip"],
    ["no address in the body", "192.0.2.1", { vendor: "aws", region: "us-east-1" }, "invalid_ip"],
    ["a NUL byte in the address", "192.0.2.1", { ...draft, origin_ip: "192.0.2.1\0" }, "invalid_ip"],
    ["a NUL byte in the path", "192.0.2.1%00", draft, "invalid_ip"],
    [
      "an address only in the prototype",
      "192.0.2.1",
      JSON.parse(`{"__proto__":${JSON.stringify(draft)}}`),
      "invalid_ip"
    ],
    ["two dots as path", "..", draft, "invalid_ip"],
    ["the field of another generation", "192.0.2.1", { ...draft, origin_ip: undefined, ip: "192.0.2.1" }, "invalid_ip"],
    ["an address that is none in the path", "192.0.2", draft, "invalid_ip"],
    ["another address in the path", "192.0.2.2", draft, "ip_mismatch"],
    ["another address and no vendor", "192.0.2.2", { origin_ip: "192.0.2.1" }, "ip_mismatch"],
    ["the mapped form in the path", "::ffff:192.0.2.1", draft, "ip_mismatch"],
    ["no vendor", "192.0.2.1", { origin_ip: "192.0.2.1", region: "us-east-1" }, "unsupported_region"],
    ["another cloud's region", "192.0.2.1", { ...draft, region: "westeurope" }, "unsupported_region"]
  ]
  it.effect.each(refused)("refuses PUT with %s", ([, address, body, name]) =>
    Effect.gen(function*() {
      const zone = yield* newZone
      const path = `${zone}/${address}`
      assertFailure(yield* call({ method: "PUT", path, ...(body === undefined ? {} : { body }) }), [name])
      assert.strictEqual(pageOf(yield* call({ path: zone })).result_info.total_count, 0)
    }))

  it.effect("does batches item by item", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      const path = `${zone}/batch`
      const put = resultOf(
        BatchOutcome,
        yield* call({ method: "PUT", path, body: [draft, { ...draft, origin_ip: "x" }, { origin_ip: "192.0.2.2" }] })
      )
      assert.deepStrictEqual<unknown>(put, {
        succeeded: [draft],
        failed: [
          { origin_ip: "x", error: apiErrors.invalid_ip.message },
          { origin_ip: "192.0.2.2", error: apiErrors.unsupported_region.message }
        ]
      })
      const deleted = resultOf(
        BatchOutcome,
        yield* call({ method: "DELETE", path, body: ["192.0.2.1", "192.0.2.2"] })
      )
      assert.deepStrictEqual<unknown>(deleted, {
        succeeded: [draft],
        failed: [{ origin_ip: "192.0.2.2", error: apiErrors.not_found.message }]
      })
      for (const method of ["PUT", "DELETE"]) {
        assertFailure(yield* call({ method, path }), ["invalid_ip"])
        assertFailure(yield* call({ method, path, body: [] }), ["invalid_ip"])
        assertFailure(yield* call({ method, path, body: Array.from({ length: 101 }, () => draft) }), ["invalid_ip"])
        assert.strictEqual((yield* call({ method, path, body: Array.from({ length: 100 }, () => draft) })).status, 200)
      }
    }))

  it.effect("tells what it supports", () =>
    Effect.gen(function*() {
      const answer = yield* call({ path: `${yield* newZone}/supported_regions` })
      assert.deepStrictEqual(resultOf(Regions, answer), supportedRegions)
    }))

  it.effect("shares its mappings and its log with generation 1", () =>
    Effect.gen(function*() {
      const zone = yield* newZoneId
      yield* put(collection(zone), draft)
      const body = { ip: "192.0.2.1", vendor: "gcp", region: "us-central1" }
      assertFailure(yield* call({ method: "POST", path: collection1(zone), body }), ["already_exists"])
      const all = resultOf(Generation1.AllEntries, yield* call({ method: "PATCH", path: collection1(zone), body }))
      const [entry] = pageOf(yield* call({ path: collection(zone) })).result
      assert.strictEqual(entry?.modified_on, all.value[0]?.modified_on)
      assert.strictEqual(entry?.region, "us-central1")
      yield* remove(`${collection(zone)}/192.0.2.1`)
      const entries = auditOf(yield* call({ path: `/audit?zone=${zone}` }))
      assert.deepStrictEqual(
        entries.map(({ generation, operation }) => [generation, operation]),
        [[2, "upsert"], [1, "upsert"], [2, "delete"]]
      )
    }))

  it.effect.each<readonly [string, string]>([
    ["POST", ""],
    ["PATCH", ""],
    ["GET", "/batch"],
    ["PATCH", "/batch"],
    ["POST", "/192.0.2.1"],
    ["PUT", "/supported_regions"],
    ["DELETE", "/supported_regions"],
    ["GET", "/192.0.2.0/24"],
    ["GET", "/%"],
    ["PUT", "/%C0%AF"],
    ["DELETE", "/fe80::1%eth0"],
    ["GET", "/../cloud_regions"],
    ["OPTIONS", ""],
    ["TRACE", "/192.0.2.1"]
  ])("has no route for %s %s", ([method, path]) =>
    Effect.gen(function*() {
      assertFailure(yield* call({ method, path: `${yield* newZone}${path}`, body: draft }), [
        "unknown_zone",
        "no_route"
      ])
    }))

  it.effect("lets nobody in without a credential", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      for (const [method, path] of [["GET", ""], ["PUT", "/192.0.2.1"], ["DELETE", "/batch"]] as const) {
        assertFailure(yield* call({ method, path: `${zone}${path}`, headers: {} }), ["missing_credential"])
      }
      assertFailure(yield* call({ path: collection("z".repeat(33)), headers: bearer }), ["unknown_zone", "no_route"])
    }))
})

describe("API_GENERATIONS", () => {
  it.live.each([[1, collection1, collection], [2, collection, collection1]] as const)(
    "serves generation %s alone where it says so",
    ([generation, served, off]) =>
      Effect.gen(function*() {
        const zone = ZoneId.make("zone")
        assert.strictEqual((yield* call({ path: served(zone) })).status, 200)
        for (const path of ["", "/192.0.2.1", "/batch", "/supported_regions"]) {
          assertFailure(yield* call({ path: `${off(zone)}${path}` }), ["unknown_zone", "no_route"])
        }
        assertFailure(yield* call({ path: `/openapi-v${3 - generation}.json` }), ["unknown_zone", "no_route"])
        assert.strictEqual((yield* call({ path: "/docs" })).headers.location, `/docs/v${generation}`)
      }).pipe(Effect.provide(onFile({ generations: [generation] })))
  )
})
