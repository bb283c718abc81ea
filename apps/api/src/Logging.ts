import { loggerOf } from "@origin-regions/settings/LogFormat"
import { Effect, Layer, Logger, References } from "effect"
import { Settings } from "./Settings.ts"

/** Everything is logged on stdout, in the form and from the level that the settings say. */
export const layer: Layer.Layer<never, never, Settings> = Layer.unwrap(
  Effect.map(Settings, ({ logFormat, logLevel }) =>
    Layer.merge(
      Logger.layer([loggerOf(logFormat)]),
      Layer.succeed(References.MinimumLogLevel, logLevel)
    ))
)
