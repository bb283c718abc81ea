import { assert, describe, it } from "@effect/vitest"
import { Leash } from "@origin-regions/testkit/Leash"
import { isPythonMissing, pythonEnvironment, skippedWithoutPython } from "@origin-regions/testkit/PythonEnvironment"
import { Context, Duration, Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import { ApiServer } from "./ApiServer.ts"
import { onFile } from "./fixtures/TestServer.ts"

const directory = fileURLToPath(new URL("../python/sdk", import.meta.url))

const baseUrlOf = (server: ReturnType<typeof onFile>) =>
  Effect.map(Layer.build(server), (context) => `${Context.get(context, ApiServer).address}/client/v4`)

/** A limit that nobody waits long for. */
const rateLimit = { requests: 2, window: Duration.hours(1), block: Duration.seconds(1) }

describe.skipIf(isPythonMissing)(`Cloudflare's Python SDK${skippedWithoutPython}`, () => {
  it.live.each([1, 2])(
    "does everything in generation %s, and raises what it should",
    (generation) =>
      Effect.gen(function*() {
        const { run } = yield* pythonEnvironment(`${directory}/cloudflare-generation-${generation}.txt`)
        const { exit, output } = yield* run({
          args: ["-W", "error", "-m", "unittest", "--verbose", `generation_${generation}`],
          directory,
          environment: {
            CLOUDFLARE_BASE_URL: yield* baseUrlOf(onFile()),
            CLOUDFLARE_API_TOKEN: "t0ken",
            LIMITED_BASE_URL: yield* baseUrlOf(onFile({ rateLimit }))
          }
        })
        assert.match(output, /^Ran [1-9]\d* tests in .*\n\nOK$/mu)
        assert.strictEqual(exit.code, 0, output)
      }).pipe(Effect.provide(Leash.layer)),
    { timeout: 600_000 }
  )
})
