import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as NodePath from "node:path"
import { promisify } from "node:util"
import { root } from "./Command.ts"

const once = "--rounds 1 --restarts 1 --requests 400 --addresses 200 --rate 100 --seconds 1 --warm-up 1"

interface Results {
  readonly throughput: Readonly<Record<string, ReadonlyArray<{ readonly rate: number }>>>
  readonly latency: Readonly<Record<string, ReadonlyArray<{ readonly p50: number; readonly p99: number }>>>
  readonly crashes: ReadonlyArray<{ readonly firstOutcome: number; readonly repeatedOutcomes: number }>
  readonly stops: ReadonlyArray<{ readonly firstOutcome: number; readonly repeatedCalls: number }>
}

layer(KafkaBroker.layer, { excludeTestServices: true, timeout: "2 minutes" })("npm run bench:delivery", (it) => {
  it.effect("measures both modes, a crash and a restart", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(
          process.execPath,
          [NodePath.join(root, "scripts/bench-delivery.ts"), ...once.split(" "), "--json"],
          { env: { PATH: process.env["PATH"], HOME: process.env["HOME"], KAFKA_BROKERS: brokers.join(",") } }
        )
      )
      const { crashes, latency, stops, throughput } = JSON.parse(stdout) as Results
      for (const mode of ["exactly-once", "at-least-once"]) {
        assert.isAbove(throughput[mode]?.[0]?.rate ?? 0, 0)
        assert.isAbove(latency[mode]?.[0]?.p50 ?? 0, 0)
        assert.isAtLeast(latency[mode]?.[0]?.p99 ?? 0, latency[mode]?.[0]?.p50 ?? Infinity)
      }
      const [crash, stop] = [crashes[0], stops[0]]
      assert.isAbove(crash?.firstOutcome ?? 0, 0)
      assert.isAbove(stop?.firstOutcome ?? 0, 0)
      assert.deepStrictEqual([crash?.repeatedOutcomes, stop?.repeatedCalls], [0, 0])
    }))
})
