import { assert, describe, it } from "@effect/vitest"
import { canonicalize } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { MappingStoreError, StatementFailed, type Write, type WriteResult } from "../MappingStore.ts"
import { groupCommit } from "./GroupCommit.ts"

const originIp = canonicalize("192.0.2.1") ?? assert.fail("not an address")

const write = (at: number): Write => ({
  zoneId: ZoneId.make("zone"),
  changes: [{ type: "delete", originIp }],
  author: { tokenId: "0a1b2c", requestId: "request-1", generation: 1, operation: "delete" },
  at
})

const several = Array.from({ length: 100 }, (_, at) => write(at))

/** Where the test can tell the results apart: even ones were full. */
const resultOf = ({ at }: Write): WriteResult => at % 2 === 0 ? "full" : [undefined]

const failed = new MappingStoreError({ reason: new StatementFailed({ problem: "the disk is full" }) })

describe("groupCommit", () => {
  it.effect("commits what arrives together in one group, and gives everybody their own result", () =>
    Effect.gen(function*() {
      const groups: Array<number> = []
      const commit = yield* groupCommit((writes) => {
        groups.push(writes.length)
        return Effect.succeed(writes.map(resultOf))
      })
      const results = yield* Effect.forEach(several, commit, { concurrency: "unbounded" })
      assert.deepStrictEqual(results, several.map(resultOf))
      assert.isAtMost(groups.length, 2)
      assert.strictEqual(groups.reduce((sum, size) => sum + size, 0), 100)
    }))

  it.effect("collects the next group while one is written", () =>
    Effect.gen(function*() {
      const groups: Array<number> = []
      const begun = yield* Deferred.make<void>()
      const written = yield* Deferred.make<void>()
      const commit = yield* groupCommit(Effect.fnUntraced(function*(writes) {
        groups.push(writes.length)
        yield* Deferred.succeed(begun, undefined)
        yield* Deferred.await(written)
        return writes.map(resultOf)
      }))
      const first = yield* Effect.forkChild(commit(write(1)))
      yield* Deferred.await(begun)
      const others = yield* Effect.forkChild(Effect.forEach(several, commit, { concurrency: "unbounded" }), {
        startImmediately: true
      })
      yield* Deferred.succeed(written, undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(others)
      assert.deepStrictEqual(groups, [1, 100])
    }))

  it.effect("tells everybody in a group that failed, and goes on with the next", () =>
    Effect.gen(function*() {
      let working = false
      const commit = yield* groupCommit((writes) =>
        working ? Effect.succeed(writes.map(resultOf)) : Effect.fail(failed)
      )
      const errors = yield* Effect.forEach(several, (write) => Effect.flip(commit(write)), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(errors), new Set([failed]))
      working = true
      assert.deepStrictEqual(yield* commit(write(1)), [undefined])
    }))

  it.effect("goes on after a fault that nobody thought of", () =>
    Effect.gen(function*() {
      let working = false
      const commit = yield* groupCommit((writes) =>
        working ? Effect.succeed(writes.map(resultOf)) : Effect.die("a bug")
      )
      assert.isTrue(Exit.hasDies(yield* Effect.exit(commit(write(1)))))
      working = true
      assert.deepStrictEqual(yield* commit(write(1)), [undefined])
    }))

  it.effect("finishes what it has begun for those who have gone, and begins nothing more for them", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const proceed = yield* Deferred.make<void>()
      const written: Array<number> = []
      const commit = yield* groupCommit(Effect.fnUntraced(function*(writes) {
        yield* Deferred.succeed(begun, undefined)
        yield* Deferred.await(proceed)
        written.push(...writes.map(({ at }) => at))
        return writes.map(resultOf)
      }))
      const gone = yield* Effect.forkChild(commit(write(7)))
      yield* Deferred.await(begun)
      const waiting = yield* Effect.forkChild(commit(write(8)), { startImmediately: true })
      yield* Fiber.interruptAll([gone, waiting])
      yield* Deferred.succeed(proceed, undefined)
      yield* commit(write(9))
      assert.deepStrictEqual(written, [7, 9])
    }))
})
