import { assert, describe, it } from "@effect/vitest"
import { spawn } from "@origin-regions/testkit/ChildProcess"
import { Leash } from "@origin-regions/testkit/Leash"
import { Effect, Schema } from "effect"
import { pathToFileURL } from "node:url"

const Told = Schema.Struct({
  pid: Schema.Int,
  options: Schema.Array(Schema.String),
  arguments: Schema.Array(Schema.String),
  setting: Schema.optionalKey(Schema.String),
  youngBytes: Schema.Int
})

const decode = Schema.decodeOption(Schema.fromJsonString(Told))

const program = `
import { getHeapSpaceStatistics } from "node:v8"
import { startFrugally } from ${JSON.stringify(pathToFileURL(`${import.meta.dirname}/FrugalStart.ts`).href)}
startFrugally()
const kept = []
for (let index = 0; index < 3_000_000; index++) kept[index % 300_000] = { index, more: [index] }
const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")
console.log(JSON.stringify({
  pid: process.pid,
  options: process.execArgv.filter((option) => !option.includes("\\n")),
  arguments: process.argv.slice(1),
  setting: process.env.SETTING,
  youngBytes: young.space_size
}))
`

/** What a program that starts frugally tells of itself. */
const told = Effect.fnUntraced(function*(...options: ReadonlyArray<string>) {
  const child = yield* spawn({
    command: process.execPath,
    args: [...options, "--input-type=module", "--eval", program, "one", "two"],
    environment: { PATH: process.env["PATH"], SETTING: "kept" }
  })
  return { pid: child.pid, told: yield* child.firstLine(decode) }
})

/** More than it is to have, less than it would have. */
const MUCH = 48 * 1024 * 1024

describe("A frugal start", () => {
  it.effect("is the same process with the same settings, options and arguments, and little room for what is new", () =>
    Effect.gen(function*() {
      const { pid, told: { options, youngBytes, ...told_ } } = yield* told("--enable-source-maps")
      assert.deepStrictEqual(told_, { pid, arguments: ["one", "two"], setting: "kept" })
      assert.includeMembers([...options], ["--max-semi-space-size=16", "--enable-source-maps"])
      assert.isBelow(youngBytes, MUCH)
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  it.effect("leaves a process alone that a debugger listens to", () =>
    Effect.gen(function*() {
      const { told: { options, youngBytes } } = yield* told("--inspect=127.0.0.1:0")
      assert.notInclude([...options], "--max-semi-space-size=16")
      assert.isAbove(youngBytes, MUCH)
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))
})
