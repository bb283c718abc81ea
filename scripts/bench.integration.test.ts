import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as NodePath from "node:path"
import { promisify } from "node:util"
import { systemNames, systems } from "./bench/Systems.ts"
import { root } from "./Command.ts"

interface Measured {
  readonly system: string
  readonly rounds: ReadonlyArray<Readonly<Record<string, number | null>>>
}

/** Runs it on the broker of the tests. */
const bench = Effect.fnUntraced(function*(args: string) {
  const { brokers } = yield* KafkaBroker
  return yield* Effect.promise(() =>
    promisify(execFile)(process.execPath, [NodePath.join(root, "scripts/bench.ts"), ...args.split(" ")], {
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        JAVA_HOME: process.env["JAVA_HOME"],
        KAFKA_BROKERS: brokers.join(",")
      }
    })
  )
})

const small = "--rounds 1 --requests 480 --addresses 60 --concurrency 32 --latency 5"

layer(KafkaBroker.layer, { excludeTestServices: true, timeout: "4 minutes" })("npm run bench", (it) => {
  it.effect("measures every system that can be had, and prints a table", () =>
    Effect.gen(function*() {
      const { stderr, stdout } = yield* bench(small)
      for (const name of systemNames) {
        const { title } = systems[name]
        if (name === "parallel-consumer" && stderr.includes(`${title} is left out: `)) continue
        assert.include(stdout, `\n${title} `)
        assert.match(stderr, new RegExp(`, ${title.replace(/[()+]/g, "\\$&")}: .*"done":480,`))
      }
    }), 240_000)

  it.effect("tells calls made twice and out of turn", () =>
    Effect.gen(function*() {
      const { stdout } = yield* bench(`${small} --systems exactly-once,at-least-once,each-batch --keys skewed --json`)
      const { results } = JSON.parse(stdout) as { readonly results: ReadonlyArray<Measured> }
      assert.deepStrictEqual(results.map(({ system }) => system), ["exactly-once", "at-least-once", "each-batch"])
      for (const { rounds, system } of results) {
        const [round] = rounds
        assert.strictEqual(round?.["done"], 480)
        if (system === "each-batch") assert.isAbove(round?.["overlapping"] ?? 0, 0)
        else {
          const { duplicateCalls, overlapping, reordered, repeatedOutcomes } = round ?? {}
          assert.deepStrictEqual([duplicateCalls, overlapping, reordered, repeatedOutcomes], [0, 0, 0, 0])
        }
      }
    }), 240_000)

  it.effect("measures an even load", () =>
    Effect.gen(function*() {
      const { stdout } = yield* bench(
        `${small} --systems exactly-once,bare-loop --paced 100 --seconds 1 --warm-up 1 --json`
      )
      const { results } = JSON.parse(stdout) as { readonly results: ReadonlyArray<Measured> }
      for (const { rounds: [round] } of results) {
        assert.strictEqual(round?.["missing"], 0)
        assert.isAbove(round?.["p50"] ?? 0, 5)
        assert.isAtLeast(round?.["p999"] ?? 0, round?.["p99"] ?? Infinity)
      }
      assert.strictEqual(results[0]?.rounds[0]?.["duplicateCalls"], 0)
    }), 240_000)
})
