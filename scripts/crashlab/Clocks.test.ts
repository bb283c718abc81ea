import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { spawn } from "@origin-regions/testkit/ChildProcess"
import { Leash } from "@origin-regions/testkit/Leash"
import { Effect, Layer, Option } from "effect"
import { Clocks } from "./Clocks.ts"

const DAY = 86_400_000

/** Says the day, by both ways to ask for it, and how many days of monotonic time have passed. */
const clockwork = `
setInterval(() => console.log(
  Math.floor(Date.now() / ${DAY}), Math.floor(new Date().getTime() / ${DAY}), Math.floor(performance.now() / ${DAY}),
  new Date(0).getTime(), new Date() instanceof Date
), 5)
`

const test = layer(Clocks.layer.pipe(Layer.provideMerge(Layer.merge(Leash.layer, NodeServices.layer))), {
  excludeTestServices: true
})

test("The clocks of the laboratory", (it) => {
  it.effect("can be set while a process runs, each by itself, and leave monotonic time alone", () =>
    Effect.gen(function*() {
      const { api, ofPlace } = yield* Clocks
      const { environment, set, shift } = ofPlace(0)
      yield* set(-10_000 * DAY)
      const child = yield* spawn({
        command: process.execPath,
        args: ["--eval", clockwork],
        environment: { PATH: process.env["PATH"], ...environment }
      })
      const says = (days: (day: number) => boolean) =>
        child.firstLine((line) => {
          const [one = 0, other = 0, ...rest] = line.split(" ")
          return days(Number(one)) ? Option.some([Number(other) - Number(one), ...rest]) : Option.none()
        })
      assert.deepStrictEqual(yield* says((day) => day < 15_000), [0, "0", "0", "true"])
      yield* set(10_000 * DAY)
      assert.deepStrictEqual(yield* says((day) => day > 25_000), [0, "0", "0", "true"])
      yield* set(0)
      assert.deepStrictEqual(yield* says((day) => day > 15_000 && day < 25_000), [0, "0", "0", "true"])
      assert.deepStrictEqual([shift(), api.shift(), ofPlace(1).shift()], [0, 0, 0])
    }))
})
