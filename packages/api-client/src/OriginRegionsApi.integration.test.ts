import { assert, layer } from "@effect/vitest"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import { Vendor } from "@origin-regions/domain/Vendor"
import { Api } from "@origin-regions/testkit/Api"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Context, Duration, Effect, Layer, Redacted, Result } from "effect"
import type { ApiErrorReason } from "./ApiError.ts"
import { type ApiCredential, type ApiGeneration, ApiSettings } from "./ApiSettings.ts"
import { BATCH_LIMIT, type BatchItem, OriginRegionsApi } from "./OriginRegionsApi.ts"

const settings = Effect.fnUntraced(function*(generation: ApiGeneration, credential?: ApiCredential) {
  const { baseUrl, token } = yield* Api
  return ApiSettings.of({
    baseUrl: new URL(baseUrl),
    credential: credential ?? { _tag: "Token", token: Redacted.make(token) },
    generation,
    timeout: Duration.seconds(30),
    connections: 32,
    quota: undefined
  })
})

interface Row {
  readonly generation: ApiGeneration
  /** What the server serves. */
  readonly served: string
  /** The generation that is spoken. */
  readonly spoken: 1 | 2
}

const rows: ReadonlyArray<Row> = [
  { generation: 1, served: "1,2", spoken: 1 },
  { generation: 2, served: "1,2", spoken: 2 },
  { generation: "auto", served: "1", spoken: 1 },
  { generation: "auto", served: "1,2", spoken: 2 }
]

/** The client of the server under test, which stays at hand. */
const clientOf = ({ generation, served }: Omit<Row, "spoken">) =>
  OriginRegionsApi.layerNoDeps.pipe(
    Layer.provide(Layer.effect(ApiSettings, settings(generation))),
    Layer.provideMerge(
      Api.layerWith({ environment: { API_KEYS: "ops@example.com:a-key-of-some-length", API_GENERATIONS: served } })
    )
  )

const clientWith = (generation: ApiGeneration, credential?: ApiCredential) =>
  Layer.build(Layer.fresh(OriginRegionsApi.layerNoDeps)).pipe(
    Effect.map(Context.get(OriginRegionsApi)),
    Effect.provideServiceEffect(ApiSettings, settings(generation, credential))
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

for (const row of rows) {
  layer(clientOf(row), { excludeTestServices: true })(
    `API_GENERATION=${row.generation}, of an API with ${row.served}`,
    (it) => {
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

            said(
              (yield* Effect.flip(api.create({ ...address, ...gcp }))).reason,
              "AlreadyExists",
              apiErrors.already_exists
            )
            assert.deepStrictEqual(yield* api.get(address), created)

            const replaced = yield* api.upsert({ ...address, ...gcp })
            assert.deepInclude(replaced, { ...address, ...gcp })
            assert.deepStrictEqual(yield* api.list(address.zone_id), [replaced])

            assert.deepInclude(yield* api.delete(address), { ...address, ...gcp })
            said((yield* Effect.flip(api.get(address))).reason, "NotFound", apiErrors.not_found)
            said(
              (yield* Effect.flip(api.delete(address))).reason,
              "NotFound",
              row.spoken === 1 ? apiErrors.nothing_to_delete : apiErrors.not_found
            )
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
            const { reason } = yield* Effect.flip(
              write({ ...address, vendor: aws.vendor, region: Region.make("moon-1") })
            )
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

      // Not so in generation 2: it has no create.
      if (row.spoken === 1) {
        it.effect(
          "creates an address once, however many try at once",
          () =>
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
            })
        )
      }

      it.effect("meets a full zone, and still replaces in it", () =>
        Effect.gen(function*() {
          const api = yield* OriginRegionsApi
          const { zone_id } = yield* mappingOf("192.0.2.1")
          for (let first = 0; first < 3_500; first += BATCH_LIMIT) {
            yield* api.upsertMany(
              zone_id,
              Array.from({ length: BATCH_LIMIT }, (_, index) => ({ origin_ip: numbered(first + index), ...aws }))
            )
          }
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

      it.effect("writes and deletes many at once, and tells of each", () =>
        Effect.gen(function*() {
          const api = yield* OriginRegionsApi
          const { zone_id } = yield* mappingOf("192.0.2.1")
          const addresses = ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"].map((ip) => OriginIp.make(ip))
          const applied = (origin_ip: OriginIp) => ({
            _tag: "Applied" as const,
            mapping: { zone_id, origin_ip, ...aws, modified_on: null }
          })
          const upserted = yield* api.upsertMany(zone_id, [
            ...addresses.map((origin_ip) => ({ origin_ip, ...aws })),
            { origin_ip: numbered(0), ...aws, region: Region.make("moon-1") }
          ])
          assert.deepStrictEqual(
            upserted,
            new Map<OriginIp, BatchItem>([
              ...addresses.map((origin_ip) => [origin_ip, applied(origin_ip)] as const),
              [numbered(0), { _tag: "Failed" as const, message: apiErrors.unsupported_region.message }]
            ])
          )
          assert.sameMembers((yield* api.list(zone_id)).map(({ origin_ip }) => origin_ip), addresses)

          const deleted = yield* api.deleteMany(zone_id, [numbered(0), ...addresses])
          assert.strictEqual(deleted.get(numbered(0))?._tag, "Failed")
          for (const address of addresses) assert.deepStrictEqual(deleted.get(address), applied(address))
          assert.deepStrictEqual(yield* api.list(zone_id), [])
        }))

      it.effect("creates many where it can: what is not there, and nothing else", () =>
        Effect.gen(function*() {
          const api = yield* OriginRegionsApi
          const { origin_ip, zone_id } = yield* mappingOf("2001:db8::1")
          const there = Array.from({ length: 250 }, (_, index) => numbered(2 * index))
          for (let from = 0; from < there.length; from += BATCH_LIMIT) {
            yield* api.upsertMany(
              zone_id,
              there.slice(from, from + BATCH_LIMIT).map((each) => ({ origin_ip: each, ...gcp }))
            )
          }
          const before = yield* api.list(zone_id)
          assert.strictEqual(api.batchesCreates(), row.spoken === 2)
          const asked = [origin_ip, ...Array.from({ length: 98 }, (_, index) => numbered(5 * index))]
          const items = yield* api.createMany(zone_id, [
            ...asked.map((each) => ({ origin_ip: each, ...aws })),
            { origin_ip: numbered(1), ...aws, region: Region.make("moon-1") }
          ])
          assert.lengthOf([...items], 100)
          const after = new Map((yield* api.list(zone_id)).map((mapping) => [mapping.origin_ip, mapping]))
          for (const mapping of before) assert.deepStrictEqual(after.get(mapping.origin_ip), mapping)
          if (row.spoken === 1) {
            for (const item of items.values()) assert.strictEqual(item._tag, "Failed")
            assert.strictEqual(after.size, before.length)
            return
          }
          assert.strictEqual(items.get(numbered(1))?._tag, "Failed")
          for (const each of asked) {
            const existing = before.find((mapping) => mapping.origin_ip === each)
            assert.deepInclude(
              items.get(each),
              existing === undefined
                ? { _tag: "Applied", mapping: { zone_id, origin_ip: each, ...aws, modified_on: null } }
                : { _tag: "AlreadyExists", existing }
            )
            assert.deepInclude(after.get(each), existing === undefined ? aws : gcp)
          }
        }))

      it.effect("reads what is at many addresses, and what is not", () =>
        Effect.gen(function*() {
          const api = yield* OriginRegionsApi
          const { origin_ip, zone_id } = yield* mappingOf("2001:db8::1")
          const there = Array.from({ length: 150 }, (_, index) => numbered(2 * index))
          for (const group of [there.slice(0, BATCH_LIMIT), there.slice(BATCH_LIMIT)]) {
            yield* api.upsertMany(zone_id, group.map((each) => ({ origin_ip: each, ...gcp })))
          }
          const asked = [origin_ip, ...Array.from({ length: 99 }, (_, index) => numbered(3 * index))]
          const found = yield* api.getMany(zone_id, asked)
          assert.sameMembers([...found.keys()], asked)
          for (const each of asked) {
            const mapping = there.includes(each) ? yield* api.get({ zone_id, origin_ip: each }) : null
            assert.deepStrictEqual(
              found.get(each),
              mapping !== null && row.spoken === 1 ? { ...mapping, modified_on: null } : mapping
            )
          }
        }))

      it.effect("refuses a batch that is none", () =>
        Effect.gen(function*() {
          const api = yield* OriginRegionsApi
          const { reason } = yield* Effect.flip(api.deleteMany(yield* uniqueZoneId, []))
          said(reason, "Rejected", apiErrors.invalid_ip)
        }))

      it.effect("is let in by an e-mail address and a key", () =>
        Effect.gen(function*() {
          const key = Redacted.make("a-key-of-some-length")
          const api = yield* clientWith(row.generation, { _tag: "Key", email: "ops@example.com", key })
          assert.deepStrictEqual(yield* api.list(yield* uniqueZoneId), [])
        }))

      it.effect("is told that its credential is wrong", () =>
        Effect.gen(function*() {
          const api = yield* clientWith(row.generation, { _tag: "Token", token: Redacted.make("another-token") })
          const { reason } = yield* Effect.flip(api.list(yield* uniqueZoneId))
          said(reason, "BadCredential", apiErrors.authentication_error)
          const key = Redacted.make("another-key")
          const other = yield* clientWith(row.generation, { _tag: "Key", email: "ops@example.com", key })
          assert.strictEqual((yield* Effect.flip(other.list(yield* uniqueZoneId))).category, "credential")
        }))
    }
  )
}

layer(clientOf({ generation: 1, served: "1,2" }), { excludeTestServices: true })(
  "OriginRegionsApi and an API that goes away",
  (it) => {
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
  }
)

layer(Api.layerWith({ environment: { API_GENERATIONS: "1" } }), { excludeTestServices: true })(
  "OriginRegionsApi and an API whose generation 1 goes away",
  (it) => {
    it.effect("goes on with generation 2", () =>
      Effect.gen(function*() {
        const { baseUrl, databasePath, stop, token } = yield* Api
        const { port } = new URL(baseUrl)
        const api = yield* clientWith("auto")
        const address = yield* mappingOf("2001:db8::1")
        const created = yield* api.create({ ...address, ...aws })
        yield* stop
        yield* Effect.gen(function*() {
          assert.strictEqual((yield* Api).baseUrl, baseUrl)
          assert.deepStrictEqual(yield* api.get(address), created)
          assert.deepInclude(yield* api.upsert({ ...address, ...gcp }), gcp)
        }).pipe(
          Effect.provide(
            Api.layerWith({ port: Number(port), databasePath, token, environment: { API_GENERATIONS: "2" } })
          )
        )
      }))
  }
)
