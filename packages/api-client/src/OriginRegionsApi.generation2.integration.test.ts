import { assert, describe, it } from "@effect/vitest"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Clock, Effect, Fiber, Result } from "effect"
import type { ServerResponse } from "node:http"
import { AlreadyExists, type ApiError } from "./ApiError.ts"
import type { QuotaOptions } from "./ApiQuota.ts"
import { bodyOf, connect, httpServer } from "./fixtures/LoopbackServer.ts"
import type { CreateItem, OriginRegionsApi } from "./OriginRegionsApi.ts"

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

interface Reply {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

const answer = (response: ServerResponse, { body, headers = {}, status }: Reply) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(body)
}

/** Starts a call, with the server that it goes to. */
const start = Effect.fnUntraced(
  function*<A>(
    use: (api: Api) => Effect.Effect<A, ApiError>,
    generation: 2 | "auto" = 2,
    settings: { readonly quota?: QuotaOptions } = {}
  ) {
    const server = yield* httpServer
    const fiber = yield* Effect.forkChild(Effect.result(use(yield* connect(server.url, { generation, ...settings }))))
    /** Waits for the next request, which must be this one. */
    const expect = Effect.fnUntraced(function*(line: string) {
      const { request, response } = yield* server.next
      assert.strictEqual(`${request.method} ${request.url}`, line)
      return { request, response }
    })
    const meet = Effect.fnUntraced(function*(line: string, reply: Reply) {
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

/** The `number`th address in the order of the API's lists. */
const numbered = (number: number) => OriginIp.make(`10.${100 + Math.floor(number / 100)}.0.${100 + (number % 100)}`)

const entryOf = (origin_ip: OriginIp) => ({ ...entry, origin_ip })

const mappingOf = (origin_ip: OriginIp) => ({ ...mapping, origin_ip })

/** What the API says to a page of so many mappings, of which these are on it. */
const pageOf = (page: number, perPage: number, total: number, addresses: ReadonlyArray<OriginIp>) =>
  ok(success(addresses.map(entryOf), {
    result_info: {
      page,
      per_page: perPage,
      count: addresses.length,
      total_count: total,
      total_pages: Math.ceil(total / perPage)
    }
  }))

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => numbered(from + index))

const wanted = (addresses: ReadonlyArray<OriginIp>) => addresses.map((origin_ip) => ({ origin_ip, ...place }))

const existing = (origin_ip: OriginIp) =>
  new AlreadyExists({ ...said("already_exists"), existing: mappingOf(origin_ip) })

const said = (name: keyof typeof apiErrors) => ({ code: apiErrors[name].code, message: apiErrors[name].message })

const applied = (origin_ip: OriginIp): CreateItem => ({ _tag: "Applied", mapping: mappingOf(origin_ip) })

/** The call that lets a batch of creates be, as they come in any order. */
const batchAnswer = (addresses: ReadonlyArray<OriginIp>) =>
  ok(success({ succeeded: addresses.map(entryOf), failed: [] }))

const writtenIn = (body: string) =>
  (JSON.parse(body) as ReadonlyArray<{ readonly origin_ip: string }>).map((
    { origin_ip }
  ) => origin_ip)

describe("Creates together", () => {
  const first = `GET ${collection}?page=1&per_page=100`

  it.effect("look once where a page has all that there is, and write what isn't there by one call", () =>
    Effect.gen(function*() {
      const [one, two, three] = [numbered(1), numbered(2), numbered(3)] as const
      const { meet, result } = yield* start(({ createMany }) => createMany(zone, wanted([one, two, three])))
      yield* meet(first, pageOf(1, 100, 2, [numbered(0), two]))
      const body = yield* meet(`PUT ${collection}/batch`, batchAnswer([one, three]))
      assert.deepStrictEqual(writtenIn(body), [one, three])
      yield* succeeds(result, new Map([[two, existing(two)], [one, applied(one)], [three, applied(three)]]))
    }))

  it.effect("write nothing where all is there", () =>
    Effect.gen(function*() {
      const { meet, result } = yield* start(({ createMany }) => createMany(zone, wanted([numbered(0)])))
      yield* meet(first, pageOf(1, 100, 1, [numbered(0)]))
      yield* succeeds(result, new Map([[numbered(0), existing(numbered(0))]]))
    }))

  it.effect("read on by pages that overlap", () =>
    Effect.gen(function*() {
      const asked = [numbered(150), ...range(400, 410)]
      const { meet, result } = yield* start(({ createMany }) => createMany(zone, wanted(asked)))
      yield* meet(first, pageOf(1, 100, 250, range(0, 100)))
      yield* meet(`GET ${collection}?page=2&per_page=99`, pageOf(2, 99, 250, range(99, 198)))
      yield* meet(`GET ${collection}?page=3&per_page=98`, pageOf(3, 98, 250, range(196, 250)))
      const body = yield* meet(`PUT ${collection}/batch`, batchAnswer(range(400, 410)))
      assert.deepStrictEqual(writtenIn(body), range(400, 410))
      yield* succeeds(
        result,
        new Map([
          [numbered(150), existing(numbered(150))] as const,
          ...range(400, 410).map((each) => [each, applied(each)] as const)
        ])
      )
    }))

  it.effect("look one by one at what lies between two pages that have moved apart", () =>
    Effect.gen(function*() {
      const asked = [numbered(150), ...range(400, 410)]
      const { meet, result } = yield* start(({ createMany }) => createMany(zone, wanted(asked)))
      yield* meet(first, pageOf(1, 100, 250, range(0, 100)))
      // A hundred of the first page have been deleted since: what was behind it has moved to it.
      yield* meet(`GET ${collection}?page=2&per_page=99`, pageOf(2, 99, 150, range(199, 250)))
      yield* meet(`GET ${collection}?page=3&per_page=98`, pageOf(3, 98, 150, []))
      yield* meet(`GET ${collection}/${numbered(150)}`, ok(success(entryOf(numbered(150)))))
      yield* meet(`PUT ${collection}/batch`, batchAnswer(range(400, 410)))
      const settled = yield* result
      assert.deepStrictEqual(
        Result.isSuccess(settled) ? settled.success.get(numbered(150)) : settled.failure,
        existing(numbered(150))
      )
    }))

  it.effect.each(
    [
      ["it takes fewer calls", range(0, 100), 5_000],
      ["the list is in no order that is known", range(0, 100).toReversed(), 150]
    ] as const
  )("look one by one where %s", ([, page, total]) =>
    Effect.gen(function*() {
      const asked = [numbered(600), numbered(601)]
      const { meet, result } = yield* start(({ createMany }) => createMany(zone, wanted([...asked, numbered(5)])))
      yield* meet(first, pageOf(1, 100, total, page))
      yield* meet(`GET ${collection}/${numbered(600)}`, failure("not_found"))
      yield* meet(`GET ${collection}/${numbered(601)}`, ok(success(entryOf(numbered(601)))))
      yield* meet(`PUT ${collection}/batch`, batchAnswer([numbered(600)]))
      yield* succeeds(
        result,
        new Map([
          [numbered(601), existing(numbered(601))],
          [numbered(5), existing(numbered(5))],
          [numbered(600), applied(numbered(600))]
        ])
      )
    }))

  it.effect("leave out those that there are not enough calls left to look at", () =>
    Effect.gen(function*() {
      const quota = { calls: undefined, share: 1 }
      const asked = range(400, 410)
      const { meet, result } = yield* start(
        (api) =>
          Effect.andThen(Effect.sync(() => api.quota.own(1)), api.createMany(zone, wanted([numbered(5), ...asked]))),
        2,
        { quota }
      )
      yield* meet(first, {
        ...pageOf(1, 100, 2_000, range(0, 100)),
        headers: { ratelimit: "\"default\";r=10;t=60" }
      })
      const settled = yield* result
      if (Result.isFailure(settled)) return assert.fail(settled.failure.message)
      assert.deepStrictEqual(settled.success.get(numbered(5)), existing(numbered(5)))
      for (const each of asked) {
        const item = settled.success.get(each)
        if (item?._tag !== "Unwritten") return assert.fail(item?._tag)
        assert.deepStrictEqual([item.error.category, item.error.mayHaveBeenApplied], ["wait", false])
      }
    }))

  it.effect("have written nothing when the look fails", () =>
    Effect.gen(function*() {
      const { expect, result } = yield* start(({ createMany }) => createMany(zone, wanted(range(0, 2))))
      const { response } = yield* expect(first)
      response.destroy()
      const error = yield* fails(result)
      assert.deepInclude(error.reason, { _tag: "Unreachable", sent: true })
      assert.isFalse(error.mayHaveBeenApplied)
    }))

  it.effect("may have been done when the answer to the write is lost, but for what was there", () =>
    Effect.gen(function*() {
      const [there, absent] = [numbered(0), numbered(1)] as const
      const { expect, meet, result } = yield* start(({ createMany }) => createMany(zone, wanted([there, absent])))
      yield* meet(first, pageOf(1, 100, 1, [there]))
      const { response } = yield* expect(`PUT ${collection}/batch`)
      response.destroy()
      const settled = yield* result
      if (Result.isFailure(settled)) return assert.fail(settled.failure.message)
      assert.deepStrictEqual(settled.success.get(there), existing(there))
      const item = settled.success.get(absent)
      assert.isTrue(item?._tag === "Unwritten" && item.error.mayHaveBeenApplied)
    }))

  /** A clock that moves as the test says. */
  const settable = Effect.map(Clock.Clock, (clock) => {
    const time = { now: 0n }
    const frozen: Clock.Clock = Object.assign(Object.create(clock), {
      monotonicTimeNanosUnsafe: () => time.now,
      sleep: () => Effect.never
    })
    return { time, frozen }
  })

  it.effect("write nothing where the process stood still after the look", () =>
    Effect.gen(function*() {
      const { frozen, time } = yield* settable
      const { expect, result } = yield* start(({ createMany }) => createMany(zone, wanted(range(0, 2)))).pipe(
        Effect.provideService(Clock.Clock, frozen)
      )
      const { response } = yield* expect(first)
      time.now = 2_000_000_001n
      answer(response, pageOf(1, 100, 0, []))
      const { mayHaveBeenApplied, reason } = yield* fails(result)
      assert.deepInclude(reason, { _tag: "Unreachable", sent: false })
      assert.isFalse(mayHaveBeenApplied)
    }))

  it.effect("write nothing where the look has taken too long", () =>
    Effect.gen(function*() {
      const { time, ticking } = yield* Effect.map(Clock.Clock, (clock) => {
        const time = { now: 0n }
        const wakers = new Set<() => void>()
        const ticking: Clock.Clock = Object.assign(Object.create(clock), {
          monotonicTimeNanosUnsafe: () => time.now,
          sleep: () => Effect.callback<void>((resume) => void wakers.add(() => resume(Effect.void)))
        })
        return {
          time: {
            /** Moves on in steps in which the process is seen to be at work. */
            moveOn: Effect.gen(function*() {
              for (let step = 0; step < 5; step++) {
                time.now += 500_000_000n
                const all = [...wakers]
                wakers.clear()
                for (const wake of all) wake()
                while (wakers.size === 0) yield* Effect.yieldNow
              }
            })
          },
          ticking
        }
      })
      const asked = range(0, 2)
      const { expect, result } = yield* start(({ createMany }) => createMany(zone, wanted(asked))).pipe(
        Effect.provideService(Clock.Clock, ticking)
      )
      const { response } = yield* expect(first)
      yield* time.moveOn
      answer(response, pageOf(1, 100, 1, range(0, 1)))
      const settled = yield* result
      if (Result.isFailure(settled)) return assert.fail(settled.failure.message)
      assert.deepStrictEqual(settled.success.get(numbered(0)), existing(numbered(0)))
      assert.strictEqual(settled.success.get(numbered(1))?._tag, "Failed")
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

  it.effect("knows whether creates can go together once it has asked", () =>
    Effect.gen(function*() {
      const both = yield* start(
        (api) =>
          Effect.gen(function*() {
            const before = api.batchesCreates()
            yield* api.get(address)
            return [before, api.batchesCreates()]
          }),
        "auto"
      )
      yield* both.meet(`GET ${someAddress}`, failure("not_found"))
      yield* both.meet(`GET ${one}`, ok(success(entry)))
      yield* succeeds(both.result, [false, true])
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

  it.effect.each(
    [
      ["that neither generation knows", ["unknown_zone", "unknown_zone"]],
      ["that the API refuses to be asked about", ["limit_reached"]]
    ] as const
  )("answers a call for another zone than one %s by asking for that zone", ([, errors]) =>
    Effect.gen(function*() {
      const second = { ...address, zone_id: ZoneId.make("zone-2") }
      const { meet, result } = yield* start(
        ({ get, upsert }) => Effect.andThen(Effect.forkChild(upsert(desired), { startImmediately: true }), get(second)),
        "auto"
      )
      for (const [index, error] of errors.entries()) {
        yield* meet(`GET ${index === 0 ? someAddress : someAddress1}`, failure(error))
      }
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
