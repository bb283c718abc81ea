import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { uniqueGroup, uniqueTopic, uniqueZoneId } from "./Names.ts"

describe("Names", () => {
  it.effect("are never the same twice, whatever the seed", () =>
    Effect.gen(function*() {
      const names = Effect.all([uniqueTopic, uniqueGroup, uniqueZoneId])
      const first = yield* Random.withSeed(names, "seed")
      const second = yield* Random.withSeed(names, "seed")
      assert.strictEqual(new Set([...first, ...second]).size, 6)
      // What Kafka allows in a topic's name.
      assert.match(first[0], /^[a-zA-Z0-9._-]{1,249}$/u)
    }))
})
