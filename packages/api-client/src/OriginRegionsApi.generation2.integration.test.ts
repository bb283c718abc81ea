import { assert, describe, it } from "@effect/vitest"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Clock, Effect, Fiber, Result } from "effect"
import type { ServerResponse } from "node:http"
import type { ApiError } from "./ApiError.ts"
import { bodyOf, connect, httpServer } from "./fixtures/LoopbackServer.ts"
import type { OriginRegionsApi } from "./OriginRegionsApi.ts"

type Api = OriginRegionsApi["Service"]

const zone = ZoneId.make("zone-1")
const address = { zone_id: zone, origin_ip: OriginIp.make("2001:db8::1") }
const other = OriginIp.make("192.0.2.1")
const place = { vendor: Vendor.make("aws"), region: Region.make("us-east-1") }
const desired = { ...address, ...place }
const entry = { origin_ip: "2001:db8::1", ...place, modified_on: "2026-11-24T10:00:00Z" }
const mapping = { ...desired, modified_on: entry.modified_on }

const collection = "/client/v4/zones/zone-1/origin/cloud_regions"
const one = `${collection}/2001:db8::1`

const success = (result: unknown, more: object = {}) =>
  JSON.stringify({ success: true, errors: [], messages: [], result, ...more })

const failure = (name: keyof typeof apiErrors) => {
  const { code, message, status } = apiErrors[name]
  return {
    status,
    body: JSON.stringify({ success: false, errors: [{ code, message }], messages: [], result: null })
  }
}

const answer = (response: ServerResponse, { body, status }: { readonly status: number; readonly body: string }) => {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(body)
}

/** Starts a call, with the server that it goes to. */
const start = Effect.fnUntraced(
  function*<A>(use: (api: Api) => Effect.Effect<A, ApiError>, generation: 2 | "auto" = 2) {
    const server = yield* httpServer
    const fiber = yield* Effect.forkChild(Effect.result(use(yield* connect(server.url, { generation }))))
    /** Waits for the next request, which must be this one. */
    const expect = Effect.fnUntraced(function*(line: string) {
      const { request, response } = yield* server.next
      assert.strictEqual(`${request.method} ${request.url}`, line)
      return { request, response }
    })
    const meet = Effect.fnUntraced(function*(line: string, reply: { readonly status: number; readonly body: string }) {
      const { request, response } = yield* expect(line)
      const body = yield* bodyOf(request)
      answer(response, reply)
      return body
    })
    return { expect, meet, result: Fiber.join(fiber) }
  }
)

const ok = (body: string) => ({ status: 200, body })

const succeeds = Effect.fnUntraced(function*<A, E>(result: Effect.Effect<Result.Result<A, E>>, expected: unknown) {
  const settled = yield* result
  assert.deepStrictEqual<unknown>(Result.isSuccess(settled) ? settled.success : settled.failure, expected)
})

const fails = Effect.fnUntraced(function*<A, E>(result: Effect.Effect<Result.Result<A, E>>) {
  const settled = yield* result
  return Result.isFailure(settled) ? settled.failure : assert.fail("it succeeded")
})

describe("A create", () => {
  it.effect("looks, and then writes what isn't there", () =>
    Effect.gen(function*() {
      const { meet, result } = yield* start(({ create }) => create(desired))
      yield* meet(`GET ${one}`, failure("not_found"))
      const body = yield* meet(`PUT ${one}`, ok(success(entry)))
      assert.deepStrictEqual<unknown>(JSON.parse(body), { origin_ip: "2001:db8::1", ...place })
      yield* succeeds(result, mapping)
    }))

  it.effect("leaves what is there alone, and says what it is", () =>
    Effect.gen(function*() {
      const { meet, result } = yield* start(({ create }) => create(desired))
      yield* meet(`GET ${one}`, ok(success({ ...entry, region: "eu-west-1" })))
      const { mayHaveBeenApplied, reason } = yield* fails(result)
      const { code, message } = apiErrors.already_exists
      assert.deepInclude(reason, {
        _tag: "AlreadyExists",
        code,
        message,
        existing: { ...mapping, region: "eu-west-1" }
      })
      assert.isFalse(mayHaveBeenApplied)
    }))

  it.effect("has changed nothing when its look fails, however it fails", () =>
    Effect.gen(function*() {
      const reset = yield* start(({ create }) => create(desired))
      const { response } = yield* reset.expect(`GET ${one}`)
      response.destroy()
      const lost = yield* fails(reset.result)
      assert.deepInclude(lost.reason, { _tag: "Unreachable", sent: true })
      assert.isFalse(lost.mayHaveBeenApplied)

      const down = yield* start(({ create }) => create(desired))
      yield* down.meet(`GET ${one}`, { status: 503, body: "" })
      const unavailable = yield* fails(down.result)
      assert.strictEqual(unavailable.category, "retry")
      assert.isFalse(unavailable.mayHaveBeenApplied)
    }))

  it.effect("may have been done when the answer to its write is lost", () =>
    Effect.gen(function*() {
      const { expect, meet, result } = yield* start(({ create }) => create(desired))
      yield* meet(`GET ${one}`, failure("not_found"))
      const { response } = yield* expect(`PUT ${one}`)
      response.destroy()
      assert.isTrue((yield* fails(result)).mayHaveBeenApplied)
    }))

  it.effect("writes nothing where the process stood still after the look", () =>
    Effect.gen(function*() {
      // A clock that moves, and no timer that ends: what a stopped process has when it goes on.
      const clock = yield* Clock.Clock
      let now = 0n
      const frozen: Clock.Clock = Object.assign(Object.create(clock), {
        monotonicTimeNanosUnsafe: () => now,
        sleep: () => Effect.never
      })
      const { expect, result } = yield* start(({ create }) => create(desired)).pipe(
        Effect.provideService(Clock.Clock, frozen)
      )
      const { response } = yield* expect(`GET ${one}`)
      now = 2_000_000_001n
      answer(response, failure("not_found"))
      const { mayHaveBeenApplied, reason } = yield* fails(result)
      assert.deepInclude(reason, { _tag: "Unreachable", sent: false })
      assert.isFalse(mayHaveBeenApplied)
    }))
})

describe("A delete", () => {
  it.effect("looks, so that it can tell what was deleted", () =>
    Effect.gen(function*() {
      const { meet, result } = yield* start((api) => api.delete(address))
      yield* meet(`GET ${one}`, ok(success(entry)))
      yield* meet(`DELETE ${one}`, ok(success({ origin_ip: "2001:db8::1" })))
      yield* succeeds(result, mapping)
    }))

  it.effect("finds nothing, at the look or after it", () =>
    Effect.gen(function*() {
      const absent = yield* start((api) => api.delete(address))
      yield* absent.meet(`GET ${one}`, failure("not_found"))
      assert.strictEqual((yield* fails(absent.result)).reason._tag, "NotFound")

      const gone = yield* start((api) => api.delete(address))
      yield* gone.meet(`GET ${one}`, ok(success(entry)))
      yield* gone.meet(`DELETE ${one}`, failure("not_found"))
      assert.strictEqual((yield* fails(gone.result)).reason._tag, "NotFound")
    }))
})

describe("A list", () => {
  const page = (entries: ReadonlyArray<unknown>, pages: number) =>
    ok(success(entries, {
      result_info: { page: 1, per_page: 100, count: entries.length, total_count: 2, total_pages: pages }
    }))

  it.effect("is read page by page, and tells each address once", () =>
    Effect.gen(function*() {
      const { meet, result } = yield* start(({ list }) => list(zone))
      yield* meet(`GET ${collection}?page=1&per_page=100`, page([{ ...entry, origin_ip: other }], 2))
      yield* meet(`GET ${collection}?page=2&per_page=100`, page([{ ...entry, origin_ip: other }, entry], 2))
      yield* succeeds(result, [{ ...mapping, origin_ip: other }, mapping])
    }))

  it.effect("ends with an empty page, whatever the API says of more", () =>
    Effect.gen(function*() {
      const { meet, result } = yield* start(({ list }) => list(zone))
      yield* meet(`GET ${collection}?page=1&per_page=100`, page([entry], 9))
      yield* meet(`GET ${collection}?page=2&per_page=100`, page([], 9))
      yield* succeeds(result, [mapping])
    }))

  it.effect.each([
    success([entry]),
    success([entry], { result_info: {} }),
    success([{}], { result_info: { total_pages: 1 } })
  ])("is none in %j", (body) =>
    Effect.gen(function*() {
      const { meet, result } = yield* start(({ list }) => list(zone))
      yield* meet(`GET ${collection}?page=1&per_page=100`, ok(body))
      assert.strictEqual((yield* fails(result)).reason._tag, "InvalidResponse")
    }))
})

describe("API_GENERATION=auto", () => {
  const someAddress = `${collection}/192.0.2.1`
  const someAddress1 = "/client/v4/zones/zone-1/cache/origin_cloud_regions/192.0.2.1"

  it.effect("asks once, for all calls that wait for it", () =>
    Effect.gen(function*() {
      const both = yield* start(
        ({ upsert }) => Effect.all([upsert(desired), upsert(desired)], { concurrency: 2 }),
        "auto"
      )
      yield* both.meet(`GET ${someAddress}`, failure("not_found"))
      yield* both.meet(`PUT ${one}`, ok(success(entry)))
      yield* both.meet(`PUT ${one}`, ok(success(entry)))
      yield* succeeds(both.result, [mapping, mapping])
    }))

  it.effect("is told of a zone that neither generation knows, and forgets nothing and learns nothing by it", () =>
    Effect.gen(function*() {
      const unknown = yield* start(
        ({ get, upsert }) => Effect.andThen(Effect.ignore(upsert(desired)), get(address)),
        "auto"
      )
      yield* unknown.meet(`GET ${someAddress}`, failure("unknown_zone"))
      yield* unknown.meet(`GET ${someAddress1}`, failure("unknown_zone"))
      yield* unknown.meet(`GET ${someAddress}`, failure("not_found"))
      yield* unknown.meet(`GET ${one}`, ok(success(entry)))
      yield* succeeds(unknown.result, mapping)
    }))

  it.effect("answers a call for another zone by asking for that zone", () =>
    Effect.gen(function*() {
      const second = { ...address, zone_id: ZoneId.make("zone-2") }
      const { meet, result } = yield* start(
        ({ get, upsert }) => Effect.andThen(Effect.forkChild(upsert(desired), { startImmediately: true }), get(second)),
        "auto"
      )
      yield* meet(`GET ${someAddress}`, failure("unknown_zone"))
      yield* meet(`GET ${someAddress1}`, failure("unknown_zone"))
      yield* meet(`GET ${someAddress.replace("zone-1", "zone-2")}`, failure("not_found"))
      yield* meet(`GET ${one.replace("zone-1", "zone-2")}`, ok(success(entry)))
      yield* succeeds(result, { ...mapping, zone_id: second.zone_id })
    }))

  it.effect("has written nothing when it can't find out", () =>
    Effect.gen(function*() {
      const { expect, result } = yield* start(({ upsert }) => upsert(desired), "auto")
      const { response } = yield* expect(`GET ${someAddress}`)
      response.destroy()
      const error = yield* fails(result)
      assert.deepInclude(error.reason, { _tag: "Unreachable", sent: true })
      assert.isFalse(error.mayHaveBeenApplied)
    }))

  it.effect("goes on asking for those who wait, when the call that began it is interrupted", () =>
    Effect.gen(function*() {
      const { meet, result } = yield* start(({ get }) =>
        Effect.gen(function*() {
          const first = yield* Effect.forkChild(get(address), { startImmediately: true })
          const second = yield* Effect.forkChild(get(address), { startImmediately: true })
          yield* Fiber.interrupt(first)
          return yield* Fiber.join(second)
        }), "auto")
      yield* meet(`GET ${someAddress}`, failure("not_found"))
      yield* meet(`GET ${one}`, ok(success(entry)))
      yield* succeeds(result, mapping)
    }))
})
