import { Config, ConfigProvider, Effect, Option } from "effect"
import { type Declarations, variablesOf } from "./Setting.ts"

/** Environment variables, as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The variables of these settings, as Effect's configuration has them. */
export const configuredEnvironment = Effect.fnUntraced(function*(declared: Declarations) {
  const provider = yield* ConfigProvider.ConfigProvider
  const environment: Record<string, string> = {}
  for (const name of variablesOf(declared)) {
    // Text always parses; only a broken provider fails.
    const value = yield* Effect.orDie(Config.option(Config.String(name)).parse(provider))
    if (Option.isSome(value)) environment[name] = value.value
  }
  return environment
})
