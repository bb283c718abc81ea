import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { existsSync } from "node:fs"
import { processUsage } from "./ProcessUsage.ts"

const MEBIBYTE = 1024 * 1024

describe("processUsage", () => {
  it.effect.skipIf(!existsSync("/proc/self/stat"))(
    "tells what Node says of itself (Linux only)",
    () =>
      Effect.gen(function*() {
        const filled = Buffer.alloc(64 * MEBIBYTE, 1)
        const before = process.cpuUsage()
        const memory = process.memoryUsage.rss()
        const usage = Option.getOrThrow(yield* processUsage(process.pid))
        const after = process.cpuUsage()
        // It counts in hundredths of a second.
        assert.isAtLeast(usage.cpuSeconds, (before.user + before.system) / 1e6 - 0.02)
        assert.isAtMost(usage.cpuSeconds, (after.user + after.system) / 1e6 + 0.02)
        assert.approximately(usage.residentBytes, memory, 16 * MEBIBYTE)
        assert.isAtLeast(usage.peakResidentBytes, usage.residentBytes)
        assert.isAtLeast(usage.residentBytes, filled.length)
      })
  )

  it.effect("tells nothing of a process that there is not", () =>
    Effect.gen(function*() {
      assert.isTrue(Option.isNone(yield* processUsage(0)))
    }))
})
