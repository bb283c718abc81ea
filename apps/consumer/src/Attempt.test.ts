import { assert, describe, it } from "@effect/vitest"
import { ApiClock } from "@origin-regions/api-client/ApiClock"
import {
  AlreadyExists,
  ApiError,
  type ApiErrorReason,
  BadCredential,
  InvalidResponse,
  NotFound,
  RateLimited,
  Rejected,
  Unavailable,
  Unreachable
} from "@origin-regions/api-client/ApiError"
import { ApiQuota } from "@origin-regions/api-client/ApiQuota"
import { type BatchItem, type CreateItem, OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { Mapping } from "@origin-regions/domain/Mapping"
import type { FinalSettlement, Settlement } from "@origin-regions/domain/MappingOutcome"
import { type Operation, requestTypes } from "@origin-regions/domain/Operation"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { Clock, Context, Duration, Effect, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import { Attempt, type AttemptResult } from "./Attempt.ts"
import { sourceRecord } from "./fixtures/ModelKafka.ts"
import { settableTime } from "./fixtures/SettableTime.ts"
import { PartitionProgress } from "./Progress.ts"
import { type AnsweredRequest, PublishedOutcomes } from "./PublishedOutcomes.ts"
import { RequestMemory } from "./RequestMemory.ts"
import { batchedOperation, newOwner, newTask, type Task } from "./Task.ts"

const mapping = Mapping.make({
  zone_id: "zone" as Mapping["zone_id"],
  origin_ip: "2001:db8::1" as Mapping["origin_ip"],
  vendor: "aws",
  region: "us-east-1",
  modified_on: "2026-11-24T10:00:00Z"
})

/** What the API answers, call by call. */
type Answers = Array<Mapping | ApiErrorReason>

const isBatchItem = (entry: [OriginIp, CreateItem]): entry is [OriginIp, BatchItem] =>
  entry[1]._tag === "Applied" || entry[1]._tag === "Failed"

/** An API that gives these answers to whatever it is asked, and remembers what that was. */
const makeAttempt = Effect.fnUntraced(function*(
  answers: Answers,
  requestDeadline: Duration.Input = "1 hour",
  batches: Array<ReadonlyMap<OriginIp, CreateItem> | ApiErrorReason> = [],
  published: FinalSettlement | undefined = undefined
) {
  const calls: Array<string> = []
  const lookedFor: Array<AnsweredRequest> = []
  const clock = new ApiClock(yield* Clock.Clock)
  const answer = (what: string) =>
    Effect.suspend(() => {
      calls.push(what)
      const next = answers.shift()
      if (next === undefined) return Effect.die(`one call too many: ${what}`)
      return "_tag" in next ? Effect.fail(new ApiError({ reason: next })) : Effect.succeed(next)
    })
  const answerToCreates = (what: string) =>
    Effect.suspend(() => {
      calls.push(what)
      const next = batches.shift()
      if (next === undefined) return Effect.die(`one call too many: ${what}`)
      return "_tag" in next ? Effect.fail(new ApiError({ reason: next })) : Effect.succeed(next)
    })
  const answerMany = (what: string) =>
    Effect.map(answerToCreates(what), (items) => new Map([...items].filter(isBatchItem)))
  const api = Layer.mock(OriginRegionsApi)({
    batchesCreates: () => true,
    createMany: (zoneId, mappings) =>
      Effect.mapError(
        answerToCreates(`create ${zoneId} ${mappings.map(({ origin_ip }) => origin_ip).join(", ")}`),
        ({ reason }) => new ApiError({ reason, beforeWrite: true })
      ),
    upsertMany: (zoneId, mappings) =>
      answerMany(
        `upsert ${zoneId} ${
          mappings.map(({ origin_ip, region, vendor }) => `${origin_ip} ${vendor} ${region}`).join(", ")
        }`
      ),
    deleteMany: (zoneId, addresses) => answerMany(`delete ${zoneId} ${addresses.join(", ")}`),
    create: ({ origin_ip, region, vendor, zone_id }) => answer(`create ${zone_id}/${origin_ip} ${vendor} ${region}`),
    upsert: ({ origin_ip, region, vendor, zone_id }) => answer(`upsert ${zone_id}/${origin_ip} ${vendor} ${region}`),
    delete: ({ origin_ip, zone_id }) => answer(`delete ${zone_id}/${origin_ip}`),
    get: ({ origin_ip, zone_id }) => answer(`get ${zone_id}/${origin_ip}`),
    getMany: (zoneId, addresses) =>
      Effect.map(
        answerMany(`look ${zoneId} ${addresses.join(", ")}`),
        (items) =>
          new Map([...items].map(([address, item]) => [address, item._tag === "Applied" ? item.mapping : null]))
      ),
    clock,
    quota: new ApiQuota({ calls: undefined, share: 1 }, yield* Clock.Clock, () => 0)
  })
  const context = yield* Layer.build(
    Attempt.layer({ requestDeadline: Duration.fromInputUnsafe(requestDeadline) }).pipe(
      Layer.provide([
        api,
        Layer.succeed(PublishedOutcomes, {
          find: (request, tell) =>
            Effect.sync(() => {
              lookedFor.push(request)
              tell("no broker answers")
              return published
            })
        })
      ])
    )
  )
  return { ...Context.get(context, Attempt), calls, clock, lookedFor }
})

/** Has it looked up what became of a request, and answers with the problems that were told meanwhile. */
const lookUp = Effect.fnUntraced(function*(result: AttemptResult) {
  if (result._tag !== "LookingUp") return assert.fail(`it is ${result._tag}`)
  const told: Array<string> = []
  yield* result.lookUp((problem) => told.push(problem))
  return told
})

/** A request that has not been sent before, or may have been from a time on. */
const taskOf = (event: object, attemptedSince?: number): Task => {
  const record = sourceRecord(0, 0, JSON.stringify(event))
  const progress = new PartitionProgress({ offset: 0, metadata: "" })
  const owner = newOwner(0, progress, new RequestMemory(10))
  const undone = progress.receive(0) ?? assert.fail("it was done before")
  undone.attemptedSince = attemptedSince
  return newTask({ owner, record, request: readRequest(record), undone, span: undefined })
}

const eventOf = (operation: Operation, data: object = {}, attributes: object = {}) => ({
  specversion: "1.0",
  id: "1",
  source: "/test",
  type: requestTypes[operation],
  data: { zone_id: "zone", ip: "2001:DB8::1", vendor: "aws", region: "us-east-1", ...data },
  ...attributes
})

const operations: ReadonlyArray<Operation> = ["create", "upsert", "delete"]

const succeeded = (result: "created" | "upserted" | "deleted" | "unchanged", found: Mapping | null = mapping) => ({
  _tag: "Settled" as const,
  settlement: { _tag: "Succeeded" as const, result, mapping: found, recovered: false }
})

const rejected = (rest: Omit<Extract<Settlement, { _tag: "Rejected" }>, "_tag">) => ({
  _tag: "Settled" as const,
  settlement: { _tag: "Rejected" as const, ...rest }
})

const said = (name: keyof typeof apiErrors) => ({ code: apiErrors[name].code, message: apiErrors[name].message })

/** `"waits"` stands for another attempt. `attempts` counts the calls that may have changed something. */
interface Row {
  readonly name: string
  readonly answers: Answers
  readonly expected: Readonly<Record<Operation, "waits" | AttemptResult>>
  readonly attempts: number
  readonly calls?: number
}

const forAll = <A>(expected: A): Readonly<Record<Operation, A>> => ({
  create: expected,
  upsert: expected,
  delete: expected
})

const missing = new NotFound(said("not_found"))

const rows: ReadonlyArray<Row> = [
  {
    name: "success",
    answers: [mapping],
    expected: { create: succeeded("created"), upsert: succeeded("upserted"), delete: succeeded("deleted") },
    attempts: 1
  },
  {
    name: "AlreadyExists, and the mapping is what was asked for",
    answers: [new AlreadyExists(said("already_exists")), mapping],
    expected: {
      ...forAll(rejected({
        ...said("already_exists"),
        conflict: { existing: { vendor: "aws", region: "us-east-1", modified_on: mapping.modified_on }, matches: true }
      })),
      delete: rejected({
        ...said("already_exists"),
        conflict: { existing: { vendor: "aws", region: "us-east-1", modified_on: mapping.modified_on }, matches: false }
      })
    },
    attempts: 1,
    calls: 2
  },
  ...[{ vendor: "gcp" }, { region: "us-west-1" }].map((other): Row => ({
    name: `AlreadyExists, and the mapping has ${Object.keys(other).join()} ${Object.values(other).join()}`,
    answers: [new AlreadyExists(said("already_exists")), { ...mapping, ...other }],
    expected: forAll(rejected({
      ...said("already_exists"),
      conflict: {
        existing: { vendor: "aws", region: "us-east-1", ...other, modified_on: mapping.modified_on },
        matches: false
      }
    })),
    attempts: 1,
    calls: 2
  })),
  {
    name: "AlreadyExists, and the call has read the mapping itself",
    answers: [new AlreadyExists({ ...said("already_exists"), existing: { ...mapping, region: "us-west-1" } })],
    expected: forAll(rejected({
      ...said("already_exists"),
      conflict: {
        existing: { vendor: "aws", region: "us-west-1", modified_on: mapping.modified_on },
        matches: false
      }
    })),
    attempts: 1
  },
  {
    name: "AlreadyExists, and the mapping has gone since",
    answers: [new AlreadyExists(said("already_exists")), missing],
    expected: forAll(rejected({ ...said("already_exists"), conflict: { existing: null, matches: false } })),
    attempts: 1,
    calls: 2
  },
  {
    name: "AlreadyExists, and the mapping can't be read",
    answers: [new AlreadyExists(said("already_exists")), new Unavailable({ status: 503, message: "busy" })],
    expected: forAll("waits"),
    attempts: 1,
    calls: 2
  },
  {
    name: "AlreadyExists, with a page about it",
    answers: [new AlreadyExists({ ...said("already_exists"), documentationUrl: "https://example.com/1145" }), missing],
    expected: forAll(rejected({
      ...said("already_exists"),
      documentationUrl: "https://example.com/1145",
      conflict: { existing: null, matches: false }
    })),
    attempts: 1,
    calls: 2
  },
  {
    name: "NotFound",
    answers: [missing],
    expected: { ...forAll(rejected(said("not_found"))), delete: succeeded("unchanged", null) },
    attempts: 1
  },
  ...(["limit_reached", "unknown_zone", "unsupported_region", "not_in_plan"] as const).map((name): Row => ({
    name: `Rejected (${name})`,
    answers: [new Rejected({ ...said(name), status: apiErrors[name].status, name })],
    expected: forAll(rejected(said(name))),
    attempts: 1
  })),
  {
    name: "Rejected, with a code that nobody knows and a page about it",
    answers: [
      new Rejected({
        code: 1999,
        message: "No.",
        documentationUrl: "https://example.com/1999",
        status: 400,
        name: "rejected_by_api"
      })
    ],
    expected: forAll(rejected({ code: 1999, message: "No.", documentationUrl: "https://example.com/1999" })),
    attempts: 1
  },
  {
    name: "BadCredential",
    answers: [new BadCredential(said("authentication_error"))],
    expected: forAll("waits"),
    attempts: 0
  },
  { name: "RateLimited", answers: [new RateLimited({ message: "slow" })], expected: forAll("waits"), attempts: 0 },
  ...[
    { status: 503, attempts: 1 },
    { status: 500, code: 1140, attempts: 1 },
    { status: 408, attempts: 1 },
    { status: 200, attempts: 1 },
    { status: 409, attempts: 0 },
    { status: 404, attempts: 0 }
  ].map(({ attempts, ...answer }): Row => ({
    name: `Unavailable (status ${answer.status})`,
    answers: [new Unavailable({ ...answer, message: "no" })],
    expected: forAll("waits"),
    attempts
  })),
  {
    name: "Unreachable, not sent",
    answers: [new Unreachable({ cause: "ECONNREFUSED", sent: false })],
    expected: forAll("waits"),
    attempts: 0
  },
  {
    name: "Unreachable, sent",
    answers: [new Unreachable({ cause: "ECONNRESET", sent: true })],
    expected: forAll("waits"),
    attempts: 1
  },
  {
    name: "InvalidResponse",
    answers: [new InvalidResponse({ status: 200, problem: "no mapping" })],
    expected: forAll("waits"),
    attempts: 1
  }
]

describe("An attempt", () => {
  it.effect.each(
    rows.flatMap((row) => operations.map((operation) => ({ ...row, operation, title: `${operation}: ${row.name}` })))
  )("$title", ({ answers, attempts, calls, expected, operation }) =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([...answers])
      const task = taskOf(eventOf(operation))
      const result = yield* attempt.make(task)
      if (expected[operation] === "waits") {
        assert.strictEqual(result._tag, "Waiting")
        assert.deepInclude(task, { attempts, failures: 1 })
      } else {
        assert.deepStrictEqual(result, expected[operation])
        assert.deepInclude(task, { attempts, failures: 0 })
      }
      const what = operation === "delete" ? "" : " aws us-east-1"
      assert.strictEqual(attempt.calls[0], `${operation} zone/2001:db8::1${what}`)
      assert.deepStrictEqual(attempt.calls.slice(1), calls === 2 ? ["get zone/2001:db8::1"] : [])
    }))

  it.effect("counts the calls of a request, and not those that changed nothing for sure", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([
        new Unreachable({ cause: "ECONNREFUSED", sent: false }),
        new Unavailable({ status: 502, message: "bad gateway" }),
        new RateLimited({ message: "slow" }),
        new AlreadyExists(said("already_exists")),
        new Unavailable({ status: 503, message: "busy" }),
        mapping
      ])
      const task = taskOf(eventOf("create"))
      for (const [attempts, failures] of [[0, 1], [1, 2], [1, 3], [2, 4]] as const) {
        assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
        assert.deepInclude(task, { attempts, failures })
      }
      assert.deepStrictEqual(yield* attempt.make(task), succeeded("created"))
      assert.deepInclude(task, { attempts: 3, failures: 4 })
    }))
})

describe("What is decided without a call", () => {
  const expired = "2020-01-01T00:00:00Z"
  const future = "2100-01-01T00:00:00Z"
  const nothing = { ip: 7, vendor: "nobody", region: 7 }

  it.effect.each<
    { readonly name: string; readonly event: object; readonly tag: Settlement["_tag"]; readonly code?: number }
  >([
    {
      name: "malformed",
      event: eventOf("create", { ...nothing, zone_id: "" }, { expirytime: expired }),
      tag: "Malformed"
    },
    {
      name: "malformed by its type",
      event: eventOf("create", {}, { type: "x", expirytime: expired }),
      tag: "Malformed"
    },
    { name: "expired", event: eventOf("create", nothing, { expirytime: expired }), tag: "Failed" },
    {
      name: "expired, though it could be applied",
      event: eventOf("delete", {}, { expirytime: expired }),
      tag: "Failed"
    },
    { name: "1146", event: eventOf("create", nothing, { expirytime: future }), tag: "Rejected", code: 1146 },
    { name: "1146 of a delete", event: eventOf("delete", nothing), tag: "Rejected", code: 1146 },
    { name: "1157", event: eventOf("create", { ...nothing, ip: "192.0.2.1" }), tag: "Rejected", code: 1157 },
    { name: "1157 by its region", event: eventOf("upsert", { region: null }), tag: "Rejected", code: 1157 }
  ])("$name, in this order", ({ code, event, tag }) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 24))
      const attempt = yield* makeAttempt([])
      const task = taskOf(event)
      const result = yield* attempt.make(task)
      if (result._tag !== "Settled") return assert.fail(`it is ${result._tag}`)
      assert.strictEqual(result.settlement._tag, tag)
      if (result.settlement._tag === "Rejected") assert.strictEqual(result.settlement.code, code)
      if (result.settlement._tag === "Failed") {
        assert.deepStrictEqual(result.settlement, {
          _tag: "Failed",
          name: "expired",
          message: "The request expired at 2020-01-01T00:00:00.000Z."
        })
      }
      assert.deepStrictEqual([attempt.calls, task.attempts], [[], 0])
    }))

  it.effect("is expired at the moment of its expiry time, and not before", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([mapping])
      const task = taskOf(eventOf("create", {}, { expirytime: "1970-01-01T00:00:10Z" }))
      yield* TestClock.setTime(10_000)
      assert.deepInclude(yield* attempt.make(task), { _tag: "Settled" })
      assert.isEmpty(attempt.calls)
      yield* TestClock.setTime(9999)
      assert.deepStrictEqual(yield* attempt.make(task), succeeded("created"))
    }))

  it.effect("is checked before every attempt", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([new Unavailable({ status: 503, message: "busy" }), missing])
      const task = taskOf(eventOf("create", {}, { expirytime: "1970-01-01T00:00:10Z" }))
      assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* attempt.make(task), {
        settlement: { _tag: "Failed", name: "expired", message: "The request expired at 1970-01-01T00:00:10.000Z." }
      })
      assert.strictEqual(task.attempts, 1)
    }))
})

describe("Waiting", () => {
  const busy = new Unavailable({ status: 503, code: 1140, message: "busy" })

  it.effect("grows with each failure, up to 30 seconds, and is jittered", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt(Array.from({ length: 12 }, () => busy))
      const task = taskOf(eventOf("upsert"))
      const delays: Array<number> = []
      for (let failure = 0; failure < 12; failure++) {
        const result = yield* attempt.make(task)
        if (result._tag !== "Waiting") return assert.fail(`it is ${result._tag}`)
        delays.push(Duration.toMillis(result.delay))
      }
      delays.forEach((delay, failure) => assert.isAtMost(delay, Math.min(200 * 2 ** failure, 30_000)))
      assert.isAbove(Math.max(...delays), 3000)
      assert.strictEqual(new Set(delays).size, 12)
    }).pipe(Random.withSeed("seed")))

  it.effect("takes at least as long as the API asks for", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([new RateLimited({ message: "slow", retryAfter: Duration.seconds(42) })])
      const result = yield* attempt.make(taskOf(eventOf("upsert")))
      if (result._tag !== "Waiting") return assert.fail(`it is ${result._tag}`)
      assert.isTrue(Duration.isGreaterThanOrEqualTo(result.delay, Duration.seconds(42)))
      assert.strictEqual(result.error.reason._tag, "RateLimited")
    }))

  it.effect("ends in giving up once the deadline has passed since the first attempt", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([busy, busy, busy, missing], "1 hour")
      yield* TestClock.setTime(Date.UTC(2026, 10, 24))
      const task = taskOf(eventOf("create"))
      assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
      yield* TestClock.adjust("3599 seconds")
      assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* attempt.make(task), {
        _tag: "Settled",
        settlement: {
          _tag: "Failed",
          name: "gave_up",
          message: "Given up after 1h: busy (code 1140)",
          lastStatus: 503,
          lastCode: 1140
        }
      })
      assert.strictEqual(task.attempts, 3)
    }))

  it.effect.each([-7_200_000, 7_200_000])(
    "ends at that deadline, though the time of day is set by %i ms meanwhile",
    (millis) =>
      Effect.gen(function*() {
        const time = yield* settableTime
        const attempt = yield* Effect.provideService(
          makeAttempt([busy, busy, busy, missing], "1 hour"),
          Clock.Clock,
          time.clock
        )
        const task = taskOf(eventOf("create"))
        assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
        time.set(millis)
        yield* TestClock.adjust("3599 seconds")
        assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* attempt.make(task))._tag, "Settled")
      })
  )

  it.effect.each<{ readonly reason: ApiErrorReason; readonly last: object }>([
    { reason: new Unreachable({ cause: "ECONNREFUSED", sent: false }), last: {} },
    { reason: new Unavailable({ status: 502, message: "bad gateway" }), last: { lastStatus: 502 } },
    { reason: new RateLimited({ message: "slow", code: 971 }), last: { lastCode: 971 } },
    { reason: new RateLimited({ message: "slow" }), last: {} },
    { reason: new InvalidResponse({ status: 201, problem: "no mapping" }), last: { lastStatus: 201 } }
  ])("gives up with what was last known of $reason._tag", ({ last, reason }) =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([reason, reason, missing], "1 second")
      const task = taskOf(eventOf("create"))
      yield* attempt.make(task)
      yield* TestClock.adjust("1 second")
      const message = `Given up after 1s: ${new ApiError({ reason }).message}`
      assert.deepStrictEqual(yield* attempt.make(task), {
        _tag: "Settled",
        settlement: { _tag: "Failed", name: "gave_up", message, ...last }
      })
    }))

  it.effect("does not end while the credential is bad: no request is given up for that", () =>
    Effect.gen(function*() {
      const bad = new BadCredential(said("authentication_error"))
      const attempt = yield* makeAttempt([bad, bad, mapping], "1 second")
      const task = taskOf(eventOf("create"))
      for (let time = 0; time < 2; time++) {
        const result = yield* attempt.make(task)
        if (result._tag !== "Waiting") return assert.fail(`it is ${result._tag}`)
        assert.deepStrictEqual(result.delay, Duration.seconds(10))
        yield* TestClock.adjust("30 days")
      }
      assert.deepStrictEqual(yield* attempt.make(task), succeeded("created"))
    }))
})

/** When the mapping was changed; in whole seconds, it may as well have been up to 999 ms later. */
const CHANGED = Date.UTC(2026, 10, 24, 10)
const lost = new Unreachable({ cause: "ECONNRESET", sent: true })
const exists = new AlreadyExists(said("already_exists"))
const full = new Rejected({ ...said("limit_reached"), status: apiErrors.limit_reached.status, name: "limit_reached" })

const recovered = (result: "created" | "upserted" | "deleted", found: Mapping | null = mapping) => ({
  _tag: "Settled" as const,
  settlement: { _tag: "Succeeded" as const, result, mapping: found, recovered: true }
})

const conflict = (found: Mapping, matches: boolean) =>
  rejected({
    ...said("already_exists"),
    conflict: {
      existing: { vendor: found.vendor, region: found.region, modified_on: found.modified_on },
      matches
    }
  })

describe("A request that may have been applied by an owner before us", () => {
  const other = { ...mapping, region: "us-west-2" }

  it.effect.each<{
    readonly name: string
    readonly operation: Operation
    readonly since: number
    readonly answers: Answers
    readonly expected: AttemptResult
  }>([
    {
      name: "create, 1145, a mapping from before",
      operation: "create",
      since: CHANGED + 1_000,
      answers: [exists, mapping],
      expected: conflict(mapping, true)
    },
    {
      name: "create, 1145, a mapping of the same second",
      operation: "create",
      since: CHANGED + 999,
      answers: [exists, mapping],
      expected: recovered("created")
    },
    {
      name: "create, 1145, a newer mapping",
      operation: "create",
      since: CHANGED - 5_000,
      answers: [exists, mapping],
      expected: recovered("created")
    },
    {
      name: "create, done now",
      operation: "create",
      since: CHANGED,
      answers: [mapping],
      expected: succeeded("created")
    },
    {
      name: "create, 1164, and it was applied",
      operation: "create",
      since: CHANGED,
      answers: [full, mapping],
      expected: recovered("created")
    },
    {
      name: "create, 1164, and it was not applied",
      operation: "create",
      since: CHANGED,
      answers: [full, missing],
      expected: rejected(said("limit_reached"))
    },
    {
      name: "upsert, done again",
      operation: "upsert",
      since: CHANGED,
      answers: [mapping],
      expected: succeeded("upserted")
    },
    {
      name: "upsert, 1164, and it was applied",
      operation: "upsert",
      since: CHANGED,
      answers: [full, mapping],
      expected: recovered("upserted")
    },
    {
      name: "upsert, 1164, and the mapping is another",
      operation: "upsert",
      since: CHANGED,
      answers: [full, other],
      expected: rejected(said("limit_reached"))
    },
    {
      name: "delete, 404",
      operation: "delete",
      since: CHANGED,
      answers: [missing],
      expected: recovered("deleted", null)
    },
    {
      name: "delete, done now",
      operation: "delete",
      since: CHANGED,
      answers: [mapping],
      expected: succeeded("deleted")
    }
  ])("$name", ({ answers, expected, operation, since }) =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([...answers])
      assert.deepStrictEqual(yield* attempt.make(taskOf(eventOf(operation), since)), expected)
      assert.lengthOf(attempt.calls, answers.length)
      assert.deepStrictEqual(
        attempt.calls.slice(1),
        answers.slice(1).map(() => "get zone/2001:db8::1")
      )
    }))

  it.effect("create, 1145, and then the mapping has gone: it waits for a moment, and is tried again", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([exists, missing, mapping])
      const task = taskOf(eventOf("create"), CHANGED)
      assert.deepInclude(yield* attempt.make(task), { _tag: "Waiting", delay: Duration.seconds(1) })
      assert.deepStrictEqual(yield* attempt.make(task), succeeded("created"))
      assert.strictEqual(task.attempts, 2)
    }))

  it.effect.each<
    { readonly operation: Operation; readonly found: Mapping | NotFound; readonly expected: AttemptResult | "expired" }
  >([
    { operation: "create", found: mapping, expected: recovered("created") },
    { operation: "create", found: { ...mapping, modified_on: "2026-11-24T09:59:59Z" }, expected: "expired" },
    { operation: "create", found: missing, expected: "expired" },
    { operation: "upsert", found: mapping, expected: recovered("upserted") },
    { operation: "upsert", found: other, expected: "expired" },
    { operation: "delete", found: missing, expected: recovered("deleted", null) },
    { operation: "delete", found: mapping, expected: "expired" }
  ])(
    "expired, $operation: the mapping is read before it may fail",
    ({ expected, found, operation }) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(CHANGED)
        const attempt = yield* makeAttempt([new Unavailable({ status: 503, message: "busy" }), found])
        const task = taskOf(eventOf(operation, {}, { expirytime: "2020-01-01T00:00:00Z" }), CHANGED)
        assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
        const result = yield* attempt.make(task)
        if (expected === "expired") assert.deepInclude(result, { settlement: expiredIn2020 })
        else assert.deepStrictEqual(result, expected)
        assert.deepStrictEqual(attempt.calls, ["get zone/2001:db8::1", "get zone/2001:db8::1"])
        assert.strictEqual(task.attempts, 0)
      })
  )

  it.effect("given up: the mapping is read, for as long as that takes", () =>
    Effect.gen(function*() {
      const busy = new Unavailable({ status: 503, message: "busy" })
      const attempt = yield* makeAttempt([busy, busy, busy, busy, mapping], "1 second")
      const task = taskOf(eventOf("create"), CHANGED)
      assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
      assert.deepStrictEqual(yield* attempt.make(task), recovered("created"))
      assert.deepStrictEqual(
        attempt.calls.map((call) => call.split(" ")[0]),
        ["create", "create", "get", "create", "get"]
      )
    }))

  it.effect("without a word of when it may have been sent counts as sent long ago", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([exists, mapping])
      const task = taskOf(eventOf("create"))
      task.inDoubt = true
      assert.deepStrictEqual(yield* attempt.make(task), recovered("created"))
    }))
})

const expiredIn2020: Settlement = {
  _tag: "Failed",
  name: "expired",
  message: "The request expired at 2020-01-01T00:00:00.000Z."
}

describe("A request whose answer was lost", () => {
  it.effect.each<{ readonly name: string; readonly reason: ApiErrorReason }>([
    { name: "a reset connection", reason: lost },
    { name: "a 500", reason: new Unavailable({ status: 500, code: 1140, message: "oops" }) },
    { name: "a 502 of a proxy", reason: new Unavailable({ status: 502, message: "bad gateway" }) },
    { name: "an answer that says nothing", reason: new InvalidResponse({ status: 200, problem: "no mapping" }) }
  ])("by $name is recovered where it was applied", ({ reason }) =>
    Effect.gen(function*() {
      for (
        const [operation, answers, expected] of [
          ["create", [exists, mapping], recovered("created")],
          ["delete", [missing], recovered("deleted", null)],
          ["upsert", [mapping], succeeded("upserted")]
        ] as const
      ) {
        const attempt = yield* makeAttempt([reason, ...answers])
        const task = taskOf(eventOf(operation))
        task.undone.attemptedSince = CHANGED
        assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
        assert.isTrue(task.inDoubt)
        assert.deepStrictEqual(yield* attempt.make(task), expected)
        assert.strictEqual(task.attempts, 2)
      }
    }))

  it.effect("is not in doubt where nothing was sent, or nothing done for sure", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([
        new Unreachable({ cause: "ECONNREFUSED", sent: false }),
        new RateLimited({ message: "slow" }),
        new BadCredential(said("authentication_error")),
        new Unavailable({ status: 404, message: "not here" }),
        exists,
        mapping
      ])
      const task = taskOf(eventOf("create"))
      task.undone.attemptedSince = CHANGED
      for (let time = 0; time < 4; time++) {
        assert.strictEqual((yield* attempt.make(task))._tag, "Waiting")
        assert.isFalse(task.inDoubt)
      }
      assert.deepStrictEqual(yield* attempt.make(task), conflict(mapping, true))
    }))
})

describe("A change of our own", () => {
  it.effect("moves the API's clock past it, so that what comes next is not taken for it", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([
        { ...mapping, modified_on: "2026-11-24T10:00:00.123456Z" },
        { ...mapping, modified_on: "2026-11-24T10:00:00.200Z" },
        { ...mapping, modified_on: null }
      ])
      yield* attempt.make(taskOf(eventOf("create")))
      assert.strictEqual(attempt.clock.reached(), CHANGED + 124)
      yield* attempt.make(taskOf(eventOf("upsert")))
      assert.strictEqual(attempt.clock.reached(), CHANGED + 201)
      yield* attempt.make(taskOf(eventOf("upsert")))
      assert.strictEqual(attempt.clock.reached(), CHANGED + 201)
    }))
})

const at = (ip: OriginIp): Mapping => ({ ...mapping, origin_ip: ip, modified_on: null })
const there = (mapping: Mapping | null): BatchItem => ({ _tag: "Applied", mapping })
const applied = (ip: OriginIp): BatchItem => there(at(ip))

describe("Attempts together", () => {
  const first = "192.0.2.1" as OriginIp
  const second = "192.0.2.2" as OriginIp
  const third = "192.0.2.3" as OriginIp
  const addresses = [first, second, third]
  const tasksFor = (operation: Operation, attributes: object = {}, attemptedSince?: number) =>
    addresses.map((ip) => taskOf(eventOf(operation, { ip }, attributes), attemptedSince))
  const failed: BatchItem = { _tag: "Failed", message: "anything" }
  const busy = new Unavailable({ status: 503, code: 1140, message: "busy" })

  it.effect.each(
    [
      ["upsert", "upserted", "upsert zone 192.0.2.1 aws us-east-1, 192.0.2.2 aws us-east-1, 192.0.2.3 aws us-east-1"],
      ["delete", "deleted", "delete zone 192.0.2.1, 192.0.2.2, 192.0.2.3"]
    ] as const
  )("settle each %s by one call, without a time", ([operation, result, call]) =>
    Effect.gen(function*() {
      const items = new Map(addresses.toReversed().map((ip) => [ip, applied(ip)]))
      const attempt = yield* makeAttempt([], undefined, [items])
      const tasks = tasksFor(operation)
      assert.deepStrictEqual(
        yield* attempt.makeTogether(tasks),
        addresses.map((ip) => succeeded(result, at(ip)))
      )
      assert.deepStrictEqual(attempt.calls, [call])
      assert.deepStrictEqual(tasks.map(({ attempts, inDoubt }) => [attempts, inDoubt]), addresses.map(() => [1, false]))
    }))

  it.effect("take an upsert for what was asked, and a delete for what is known, where the API doesn't say what was done", () =>
    Effect.gen(function*() {
      const nothing = new Map(addresses.map((ip): [OriginIp, BatchItem] => [ip, { _tag: "Applied", mapping: null }]))
      const attempt = yield* makeAttempt([], undefined, [nothing, nothing])
      assert.deepStrictEqual(
        yield* attempt.makeTogether(tasksFor("upsert")),
        addresses.map((ip) => succeeded("upserted", at(ip)))
      )
      assert.deepStrictEqual(
        yield* attempt.makeTogether(tasksFor("delete")),
        addresses.map(() => succeeded("deleted", null))
      )
    }))

  it.effect("let an item that fails go alone, and no other one", () =>
    Effect.gen(function*() {
      const items = new Map([[first, applied(first)], [second, failed], [third, applied(third)]])
      const attempt = yield* makeAttempt([], undefined, [items])
      const tasks = tasksFor("upsert")
      const [one, two, three] = yield* attempt.makeTogether(tasks)
      assert.deepStrictEqual(tasks.map(({ attempts }) => attempts), [1, 0, 1])
      assert.deepStrictEqual([one, three], [succeeded("upserted", at(first)), succeeded("upserted", at(third))])
      assert.deepStrictEqual(two, { _tag: "GoesAlone" })
    }))

  it.effect.each([
    new Rejected({ ...said("limit_reached"), status: 403, name: "limit_reached" }),
    new Rejected({ ...said("unknown_zone"), status: 400, name: "unknown_zone" }),
    new NotFound(said("not_found"))
  ])("let each go alone where all are refused (%s)", (reason) =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([], undefined, [reason])
      const tasks = tasksFor("upsert")
      assert.deepStrictEqual(yield* attempt.makeTogether(tasks), addresses.map(() => ({ _tag: "GoesAlone" })))
      assert.deepStrictEqual(tasks.map(({ attempts, inDoubt }) => [attempts, inDoubt]), addresses.map(() => [0, false]))
    }))

  it.effect("wait for the same time where the call fails, and are in doubt where it may have been applied", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([], undefined, [busy, new Unreachable({ cause: "x", sent: false })])
      for (const isInDoubt of [true, false]) {
        const tasks = tasksFor("upsert")
        const results = yield* attempt.makeTogether(tasks)
        const delays = new Set(
          results.map((result) => result._tag === "Waiting" ? result.delay : assert.fail(result._tag))
        )
        assert.strictEqual(delays.size, 1)
        assert.deepStrictEqual(
          tasks.map(({ failures, inDoubt }) => [failures, inDoubt]),
          addresses.map(() => [1, isInDoubt])
        )
      }
    }))

  it.effect("create what is not there, tell what is, and let alone what could not be looked at", () =>
    Effect.gen(function*() {
      const found = { ...at(second), modified_on: "2026-11-24T00:00:00Z" }
      const exists = new AlreadyExists({ ...said("already_exists"), existing: found })
      const attempt = yield* makeAttempt([], undefined, [
        new Map<OriginIp, CreateItem>([[first, applied(first)], [second, exists], [third, failed]])
      ])
      const tasks = tasksFor("create")
      const alone = yield* makeAttempt([new AlreadyExists({ ...said("already_exists"), existing: found })])
      const [, asAlone] = tasksFor("create")
      if (asAlone === undefined) return assert.fail("no task")
      assert.deepStrictEqual(yield* attempt.makeTogether(tasks), [
        succeeded("created", at(first)),
        yield* alone.make(asAlone),
        { _tag: "GoesAlone" }
      ])
      assert.deepStrictEqual(attempt.calls, ["create zone 192.0.2.1, 192.0.2.2, 192.0.2.3"])
      assert.deepStrictEqual(
        tasks.map(({ attempts, inDoubt }) => [attempts, inDoubt]),
        [[1, false], [asAlone.attempts, false], [0, false]]
      )
    }))

  it.effect("tell what is there, and put the others in doubt, where the write that they were in has failed", () =>
    Effect.gen(function*() {
      const exists = new AlreadyExists({ ...said("already_exists"), existing: { ...at(first), region: "other" } })
      const error = new ApiError({ reason: new Unreachable({ cause: "x", sent: true }) })
      const unwritten: CreateItem = { _tag: "Unwritten", error }
      const attempt = yield* makeAttempt([], undefined, [
        new Map<OriginIp, CreateItem>([[first, exists], [second, unwritten], [third, unwritten]])
      ])
      const tasks = tasksFor("create")
      const [one, two, three] = yield* attempt.makeTogether(tasks)
      assert.strictEqual(one?._tag === "Settled" ? one.settlement._tag : one?._tag, "Rejected")
      if (two?._tag !== "Waiting" || three?._tag !== "Waiting") return assert.fail("they are settled")
      assert.strictEqual(two.delay, three.delay)
      assert.deepStrictEqual(tasks.map(({ inDoubt }) => inDoubt), [false, true, true])
    }))

  it.effect("wait each for its own reason, in doubt only where there was a write", () =>
    Effect.gen(function*() {
      const lost = new ApiError({ reason: new Unreachable({ cause: "x", sent: true }) })
      const few = new ApiError({ reason: new RateLimited({ message: "few" }), beforeWrite: true })
      const attempt = yield* makeAttempt([], undefined, [
        new Map<OriginIp, CreateItem>([
          [first, { _tag: "Unwritten", error: lost }],
          [second, { _tag: "Unwritten", error: few }],
          [third, applied(third)]
        ])
      ])
      const tasks = tasksFor("create")
      const results = yield* attempt.makeTogether(tasks)
      assert.deepStrictEqual(
        results.map((result) => result._tag === "Waiting" ? result.error : result._tag),
        [lost, few, "Settled"]
      )
      assert.deepStrictEqual(tasks.map(({ inDoubt }) => inDoubt), [true, false, false])
    }))

  it.effect("are in no doubt where a look of creates has failed", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([], undefined, [new Unreachable({ cause: "x", sent: true })])
      const tasks = tasksFor("create")
      const results = yield* attempt.makeTogether(tasks)
      assert.deepStrictEqual(results.map(({ _tag }) => _tag), addresses.map(() => "Waiting"))
      assert.deepStrictEqual(tasks.map(({ attempts, inDoubt }) => [attempts, inDoubt]), addresses.map(() => [0, false]))
    }))

  it.effect("leave out what has expired", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([], undefined, [new Map([[second, applied(second)], [third, applied(third)]])])
      yield* TestClock.setTime(Date.UTC(2026, 10, 24))
      const [expired] = tasksFor("upsert", { expirytime: "2020-01-01T00:00:00Z" })
      const [, ...live] = tasksFor("upsert")
      if (expired === undefined) return assert.fail("no task")
      const results = yield* attempt.makeTogether([expired, ...live])
      assert.deepStrictEqual(
        results.map((result) => result._tag === "Settled" ? result.settlement._tag : result._tag),
        ["Failed", "Succeeded", "Succeeded"]
      )
      assert.deepStrictEqual(attempt.calls, ["upsert zone 192.0.2.2 aws us-east-1, 192.0.2.3 aws us-east-1"])
    }))

  it.effect("are given up at their deadline by one look at all, and by one more each where it has not told", () =>
    Effect.gen(function*() {
      const recovered = { ...at(first), modified_on: "2026-11-24T00:00:00Z" }
      const attempt = yield* makeAttempt([missing], "1 hour", [
        busy,
        busy,
        new Map([[first, there(recovered)], [third, there({ ...recovered, region: "other" })]])
      ])
      yield* TestClock.setTime(Date.UTC(2026, 10, 24))
      const tasks = tasksFor("upsert")
      yield* attempt.makeTogether(tasks)
      yield* TestClock.adjust("1 hour")
      const results = yield* attempt.makeTogether(tasks)
      assert.deepStrictEqual(results[0], {
        _tag: "Settled",
        settlement: { _tag: "Succeeded", result: "upserted", mapping: recovered, recovered: true }
      })
      for (const result of results.slice(1)) assert.deepInclude(result, { _tag: "Settled" })
      assert.deepStrictEqual(
        results.slice(1).map((result) => result._tag === "Settled" ? result.settlement._tag : result._tag),
        ["Failed", "Failed"]
      )
      assert.deepStrictEqual(attempt.calls.slice(2), [`look zone ${addresses.join(", ")}`, `get zone/${second}`])
    }))

  it.effect("wait all where the look at what there is fails", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([], "1 hour", [busy, busy, busy])
      const tasks = tasksFor("delete")
      yield* attempt.makeTogether(tasks)
      yield* TestClock.adjust("1 hour")
      const results = yield* attempt.makeTogether(tasks)
      assert.deepStrictEqual(results.map(({ _tag }) => _tag), addresses.map(() => "Waiting"))
      assert.lengthOf(attempt.calls, 3)
    }))

  it.effect("that have expired in doubt are decided by one look, and nothing is written", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([], "1 hour", [
        new Map([[first, there(at(first))], [second, there(null)], [third, there(null)]])
      ])
      yield* TestClock.setTime(Date.UTC(2026, 10, 24))
      const results = yield* attempt.makeTogether(tasksFor("upsert", { expirytime: "2020-01-01T00:00:00Z" }, 0))
      assert.deepStrictEqual(
        results.map((result) => result._tag === "Settled" ? result.settlement._tag : result._tag),
        ["Succeeded", "Failed", "Failed"]
      )
      assert.deepStrictEqual(attempt.calls, [`look zone ${addresses.join(", ")}`])
    }))
})

/** The second of two: the first was at offset 0. */
const again = (settlement: FinalSettlement | undefined, attemptedSince?: number) => {
  const task = { ...taskOf(eventOf("create"), attemptedSince), record: sourceRecord(0, 1, "") }
  task.owner.memory.remember(task.identity ?? "", { offset: 0, timestamp: 5, settlement })
  return task
}

describe("The same request again", () => {
  const created: FinalSettlement = { _tag: "Succeeded", result: "created", mapping, recovered: false }

  it.effect("is told what became of it before, and nothing is asked of the API", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([])
      const task = again(created)
      assert.deepStrictEqual(yield* attempt.make(task), {
        _tag: "Settled",
        settlement: { ...created, replayed: true }
      })
      assert.strictEqual(task.attempts, 0)
      assert.isUndefined(batchedOperation(task, true))
      assert.deepStrictEqual(attempt.lookedFor, [])
    }))

  it.effect("is told so too where it has expired meanwhile", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([])
      const task = again(created)
      yield* TestClock.setTime(Date.UTC(2026, 10, 24))
      const late = taskOf(eventOf("create", {}, { expirytime: "2020-01-01T00:00:00Z" }))
      const result = yield* attempt.make({ ...task, request: late.request })
      assert.deepStrictEqual(result, { _tag: "Settled", settlement: { ...created, replayed: true } })
    }))

  it.effect("is looked for among the outcomes where somebody else has settled it, once", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([], undefined, [], created)
      const task = again(undefined)
      assert.deepStrictEqual(yield* lookUp(yield* attempt.make(task)), ["no broker answers"])
      for (let times = 0; times < 2; times++) {
        assert.deepStrictEqual(yield* attempt.make(task), {
          _tag: "Settled",
          settlement: { ...created, replayed: true }
        })
      }
      assert.deepStrictEqual(
        attempt.lookedFor.map(({ key, offset, partition, timestamp }) => [key, partition, offset, timestamp]),
        [
          ["zone/2001:db8::1", 0, 0, 5]
        ]
      )
    }))

  it.effect("is made where nobody knows any more what became of it", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([mapping])
      const task = again(undefined)
      yield* lookUp(yield* attempt.make(task))
      assert.deepStrictEqual(yield* attempt.make(task), succeeded("created", mapping))
      assert.strictEqual(task.attempts, 1)
    }))

  it.effect("is told so too where a commit says that it may have been sent", () =>
    Effect.gen(function*() {
      const attempt = yield* makeAttempt([])
      assert.deepStrictEqual(yield* attempt.make(again(created, 0)), {
        _tag: "Settled",
        settlement: { ...created, replayed: true }
      })
    }))
})
