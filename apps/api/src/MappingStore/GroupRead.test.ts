import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { groupRead } from "./GroupRead.ts"

const several = Array.from({ length: 100 }, (_, index) => index)

/** A database that counts the reads of each of its transactions. */
const counting = () => {
  const sizes: Array<number> = []
  const transaction = <A>(body: () => A): A => {
    sizes.push(0)
    return body()
  }
  const read = <A>(value: () => A) => () => {
    const current = sizes.pop()
    if (current !== undefined) sizes.push(current + 1)
    return value()
  }
  return { sizes, transaction, read }
}

const failed = (cause: unknown) => `failed: ${String(cause)}`

describe("groupRead", () => {
  it.effect("reads what arrives together in one transaction, and gives everybody their own result", () =>
    Effect.gen(function*() {
      const { read, sizes, transaction } = counting()
      const grouped = yield* groupRead(transaction, failed)
      const results = yield* Effect.forEach(several, (index) => grouped(read(() => index)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(results, several)
      assert.deepStrictEqual(sizes, [100])
    }))

  it.effect("reads what comes alone without a transaction", () =>
    Effect.gen(function*() {
      const { read, sizes, transaction } = counting()
      const grouped = yield* groupRead(transaction, failed)
      for (const index of [1, 2, 3]) assert.strictEqual(yield* grouped(read(() => index)), index)
      assert.deepStrictEqual(sizes, [])
    }))

  it.effect("fails what fails, and nothing beside it", () =>
    Effect.gen(function*() {
      const grouped = yield* groupRead(counting().transaction, failed)
      const readOdd = (index: number) =>
        grouped(() => {
          if (index % 2 === 0) throw new Error(`${index} is even`)
          return index
        })
      const exits = yield* Effect.forEach(several, (index) => Effect.exit(readOdd(index)), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        exits,
        several.map((index) => index % 2 === 0 ? Exit.fail(`failed: Error: ${index} is even`) : Exit.succeed(index))
      )
    }))

  it.effect("tells everybody of a transaction that failed, and goes on with the next", () =>
    Effect.gen(function*() {
      let working = false
      const grouped = yield* groupRead((body) => {
        const result = body()
        if (!working) throw new Error("the file is gone")
        return result
      }, failed)
      const all = Effect.forEach(several, (index) => Effect.exit(grouped(() => index)), { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* all, several.map(() => Exit.fail("failed: Error: the file is gone")))
      working = true
      assert.deepStrictEqual(yield* all, several.map((index) => Exit.succeed(index)))
    }))
})
