import { assert, layer } from "@effect/vitest"
import { Leash } from "@origin-regions/testkit/Leash"
import { Effect } from "effect"
import { startStandIn } from "./StandIn.ts"

layer(Leash.layer, { excludeTestServices: true })("the API's stand-in", (it) => {
  it.effect("answers an upsert, and tells what came twice, out of turn, or at once", () =>
    Effect.gen(function*() {
      const { origin, report } = yield* startStandIn(20)
      const upsert = (ip: string, turn: number) =>
        Effect.promise(async () => {
          const response = await fetch(`${origin}/client/v4/zones/zone/cache/origin_cloud_regions`, {
            method: "PATCH",
            body: JSON.stringify({ ip, vendor: "aws", region: `region-${turn}` })
          })
          return response.json()
        })
      const { result } = (yield* upsert("10.0.0.1", 0)) as {
        readonly result: { readonly value: ReadonlyArray<Readonly<Record<string, string>>> }
      }
      assert.deepInclude(result.value[0], { "origin-ip": "10.0.0.1", vendor: "aws", region: "region-0" })
      for (const turn of [2, 1, 3, 3]) yield* upsert("10.0.0.1", turn)
      yield* Effect.all([upsert("10.0.0.2", 0), upsert("10.0.0.2", 1), upsert("10.0.0.3", 0)], {
        concurrency: "unbounded"
      })
      const { answered, calls, duplicates, overlapping } = yield* report
      assert.deepStrictEqual(
        { answered, calls, duplicates, overlapping },
        { answered: 8, calls: 8, duplicates: 1, overlapping: 1 }
      )
      // Turn 1 after turn 2; of two that are sent at once, either may come first.
      assert.oneOf((yield* report).reordered, [1, 2])
    }))

  it.effect("answers a batch, and counts each of its upserts", () =>
    Effect.gen(function*() {
      const { origin, report } = yield* startStandIn(1)
      const mappings = [0, 1].map((turn) => ({ ip: "10.0.0.1", vendor: "aws", region: `region-${turn}` }))
      const body = yield* Effect.promise(async () => {
        const response = await fetch(`${origin}/client/v4/zones/zone/cache/origin_cloud_regions/batch`, {
          method: "PATCH",
          body: JSON.stringify(mappings)
        })
        return response.json()
      })
      assert.deepNestedInclude(body, {
        "result.value.succeeded": mappings.map(({ ip, ...place }) => ({ "origin-ip": ip, ...place })),
        "result.value.failed": []
      })
      const { answered, calls, overlapping, reordered, requests } = yield* report
      assert.deepStrictEqual(
        { answered, calls, overlapping, reordered, requests },
        { answered: 2, calls: 2, overlapping: 1, reordered: 0, requests: 1 }
      )
    }))
})
