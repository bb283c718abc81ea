/** Builds the site of the documents; `serve` shows it, too, until Ctrl-C. */
import { Effect, Schema } from "effect"
import * as NodePath from "node:path"
import { build, serve } from "vitepress"
import { root } from "./Command.ts"
import { print, runScript } from "./ScriptRuntime.ts"

const site = NodePath.join(root, "scripts/site")

class BuildFailed extends Schema.TaggedError<BuildFailed>()("BuildFailed", { cause: Schema.Defect }) {
  override get message() {
    return `The site could not be built: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

const main = Effect.gen(function*() {
  yield* Effect.tryPromise({ try: () => build(site), catch: (cause) => new BuildFailed({ cause }) })
  if (!process.argv.includes("serve")) {
    yield* print("The site is in scripts/site/.vitepress/dist.")
    return 0
  }
  yield* Effect.promise(() => serve({ root: site, port: 4173 }))
  return yield* Effect.never
})

runScript(main, { interrupted: 0 })
