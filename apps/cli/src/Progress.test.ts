import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Deferred, Effect, Stdio } from "effect"
import { vi } from "vitest"
import { progressLine, showingProgress } from "./Progress.ts"

const bar = (done: number, all: number) => progressLine({ doing: "Sending", done, all })

describe("progressLine", () => {
  it("has a bar where the end is known", () => {
    assert.strictEqual(progressLine({ doing: "Checking", done: 12_345, all: undefined }), "Checking 12,345")
    assert.strictEqual(bar(0, 2_000), `Sending ${"─".repeat(30)} 0 of 2,000`)
    assert.strictEqual(bar(1_000, 2_000), `Sending ${"━".repeat(15)}${"─".repeat(15)} 1,000 of 2,000`)
    assert.strictEqual(bar(2_000, 2_000), `Sending ${"━".repeat(30)} 2,000 of 2,000`)
  })
})

describe("showingProgress", () => {
  it.live.each<readonly [string, boolean]>([["xterm", true], ["dumb", false]])(
    "on a terminal %s",
    ([term, shows]) =>
      Effect.gen(function*() {
        const shown = yield* Deferred.make<void>()
        const writing = vi.spyOn(process.stderr, "write").mockImplementation(() => {
          Deferred.doneUnsafe(shown, Effect.void)
          return true
        })
        yield* (shows ? Deferred.await(shown) : Effect.void).pipe(
          showingProgress(() => ({ doing: "Sending", done: 1, all: 2 })),
          Effect.provide(Stdio.layerTest({ stderrIsTerminal: Effect.succeed(true) })),
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ TERM: term })),
          Effect.ensuring(Effect.sync(() => writing.mockRestore()))
        )
        assert.strictEqual(yield* Deferred.isDone(shown), shows)
      })
  )
})
