#!/usr/bin/env node
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { layerEnvironment } from "@origin-regions/settings/EnvironmentFile"
import * as Tracing from "@origin-regions/telemetry/Tracing"
import { Cause, Console, Effect, Exit, Layer, Runtime } from "effect"
import { ApiServer } from "./ApiServer.ts"
import * as Logging from "./Logging.ts"
import { Settings } from "./Settings.ts"

const telling = Layer.unwrap(Effect.map(Settings, ({ traces }) => Tracing.layer(traces))).pipe(
  Layer.provideMerge(Logging.layer)
)

Layer.launch(ApiServer.layer).pipe(
  Effect.tapDefect((defect) => Effect.logFatal("Crashed", defect)),
  Effect.provide(telling.pipe(Layer.provideMerge(Settings.layer), Layer.provide(layerEnvironment(process.env)))),
  // Whatever can be expected to keep it from starting is a message for the person who starts it.
  Effect.tapError((error) => Console.error(error.message)),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) =>
      Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
  })
)
