import { assert, describe, it } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import { Leash } from "@origin-regions/testkit/Leash"
import { isPythonMissing, pythonEnvironment, skippedWithoutPython } from "@origin-regions/testkit/PythonEnvironment"
import { Config, Console, Effect, Layer, Option, Random } from "effect"
import { fileURLToPath } from "node:url"

const directory = fileURLToPath(new URL("../python/schemathesis", import.meta.url))

/** How many requests of each kind there are for an operation. More by hand: `API_SCHEMATHESIS_EXAMPLES=1000`. */
const exampleCount = Config.Int("API_SCHEMATHESIS_EXAMPLES").pipe(Config.withDefault(25))

/** Another one each time; that of a failure, to see it again. */
const seed = Effect.flatMap(
  Config.option(Config.Int("API_SCHEMATHESIS_SEED")),
  Option.match({ onSome: Effect.succeed, onNone: () => Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER) })
)

describe.skipIf(isPythonMissing)(`Schemathesis${skippedWithoutPython}`, () => {
  it.live.each([1, 2])("finds nothing in generation %s, with every check", (generation) =>
    Effect.gen(function*() {
      const { run, storage } = yield* pythonEnvironment(`${directory}/schemathesis.txt`)
      const { baseUrl, token } = yield* Api
      const document = new URL(`/openapi-v${generation}.json`, baseUrl).href
      const header = `Authorization: Bearer ${token}`
      const limits = ["--max-examples", String(yield* exampleCount), "--seed", String(yield* seed)]
      const { exit, output } = yield* run({
        args: ["-m", "schemathesis.cli", "run", document, "--header", header, "--no-color", ...limits],
        directory,
        environment: { HYPOTHESIS_STORAGE_DIRECTORY: storage }
      })
      const summary = output.slice(output.indexOf("SUMMARY"))
      yield* Console.log(`Generation ${generation}: ${summary.replaceAll(/\s*\n\s*/gu, " · ")}`)
      assert.strictEqual(exit.code, 0, output)
      assert.match(summary, /^ *Selected: (\d+)\/\1\n *Tested: \1$/mu)
      for (const phase of ["Examples", "Coverage", "Fuzzing", "Stateful"]) assert.include(summary, `✅ ${phase}`)
    }).pipe(Effect.provide(Layer.merge(Api.layer, Leash.layer))), { timeout: 0 })
})
