import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "./ChildProcess.ts"
import { Leash } from "./Leash.ts"
import { halvesOf, INSPECTED, makeLiveMemory } from "./LiveMemory.ts"

const MEBIBYTE = 1024 * 1024

const measured = (...mebibytes: ReadonlyArray<number>) =>
  mebibytes.map((each) => ({ live: each * MEBIBYTE, resident: 0 }))

describe("makeLiveMemory", () => {
  it.live("tells what a process still has in use, and not what it has dropped", () =>
    Effect.gen(function*() {
      const program = `const kept = Buffer.alloc(${64 * MEBIBYTE}, 1)
        for (let index = 0; index < 100; index++) Buffer.alloc(${MEBIBYTE}, 1)
        setInterval(() => kept, 1000)`
      const { lines } = yield* spawn({
        command: process.execPath,
        args: ["--eval", program],
        environment: { NODE_OPTIONS: INSPECTED }
      })
      const { live, resident } = yield* yield* makeLiveMemory(lines)
      assert.isAtLeast(live, 64 * MEBIBYTE)
      assert.isBelow(live, 96 * MEBIBYTE)
      assert.isAtLeast(resident, live)
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))
})

describe("halvesOf", () => {
  it("compares medians, without the first tenth and whatever a single measurement says", () => {
    const { description, first, second } = halvesOf("live", measured(90, 10, 11, 80, 12, 11, 20, 21, 22, 20))
    assert.deepStrictEqual([first, second], [12 * MEBIBYTE, 20 * MEBIBYTE])
    assert.strictEqual(
      description,
      "live memory: 12 MiB in the first half, 20 MiB in the second (medians): 90, 10, 11, 80, 12, 11, 20, 21, 22, 20"
    )
  })
})
