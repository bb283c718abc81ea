import { describe, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { spawn } from "./ChildProcess.ts"
import { canLimitFileSizes, limitFileSizes } from "./FileSizeLimit.ts"
import { Leash } from "./Leash.ts"

const writer = `
const { appendFileSync, mkdtempSync, rmSync } = require("node:fs")
const directory = mkdtempSync(require("node:path").join(require("node:os").tmpdir(), "origin-regions-"))
let said
const say = (what) => { if (what !== said) console.log(said = what) }
setInterval(() => {
  try { appendFileSync(directory + "/file", "x".repeat(100)); say("written") } catch (error) { say(error.code) }
}, 5)
process.on("SIGTERM", () => { rmSync(directory, { recursive: true }); process.exit() })
`

describe.skipIf(!canLimitFileSizes)("A limit of file sizes", () => {
  it.effect("makes a process' writing fail, and can be lifted", () =>
    Effect.gen(function*() {
      const child = yield* spawn({
        command: process.execPath,
        args: ["--eval", writer],
        environment: { PATH: process.env["PATH"] }
      })
      const line = (text: string) => child.firstLine((line) => line === text ? Option.some(line) : Option.none())
      yield* line("written")
      yield* limitFileSizes(child.pid, 150)
      yield* line("EFBIG")
      yield* limitFileSizes(child.pid, undefined)
      yield* Stream.runDrain(
        Stream.takeUntil(Stream.drop(Stream.filter(child.lines, (text) => text === "written"), 1), () => true)
      )
      yield* child.signal("SIGTERM")
      yield* child.exit
      yield* limitFileSizes(child.pid, undefined)
    }).pipe(Effect.provide(Leash.layer)))
})
