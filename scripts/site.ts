/** Builds the site of the documents; with `serve` it shows it instead, until Ctrl-C. */
import { Effect, Schema } from "effect"
import * as NodePath from "node:path"
import { build, createServer } from "vitepress"
import { root } from "./Command.ts"
import { print, runScript } from "./ScriptRuntime.ts"

const site = NodePath.join(root, "scripts/site")

/** What VitePress has not been able to do, in its words. */
class SiteFailed extends Schema.TaggedError<SiteFailed>()("SiteFailed", { problem: Schema.String }) {
  override get message() {
    return `There is no site: ${this.problem}`
  }
}

const attempt = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({
    try: evaluate,
    catch: (error) => new SiteFailed({ problem: error instanceof Error ? error.message : String(error) })
  })

/** On loopback only, and anew whenever a page changes. */
const serve = Effect.acquireRelease(
  attempt(() => createServer(site, { host: "127.0.0.1", port: 4173 })),
  (server) => Effect.promise(() => server.close())
).pipe(
  Effect.tap((server) => attempt(() => server.listen())),
  Effect.tap((server) => Effect.sync(() => server.printUrls()))
)

const main = Effect.gen(function*() {
  if (process.argv.includes("serve")) {
    yield* serve
    return yield* Effect.never
  }
  yield* attempt(() => build(site))
  yield* print("The site is in scripts/site/.vitepress/dist.")
  return 0
})

runScript(Effect.scoped(main), { interrupted: 0 })
