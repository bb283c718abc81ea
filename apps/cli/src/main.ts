#!/usr/bin/env node
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Logger, References, Runtime } from "effect"
import { runCommandLine } from "./CommandLine.ts"

const args = process.argv.slice(2)

// Whoever read us has had enough, as in `watch | head`.
process.stdout.on("error", () => process.exit(0))

runCommandLine(process.env)(args).pipe(
  // A wrong command line was told already.
  Effect.catchTag("ShowHelp", ({ errors }) => Effect.succeed(errors.length === 0 ? 0 : 2)),
  Effect.catch((error) => Effect.as(Console.error(error.message), Runtime.getErrorExitCode(error))),
  // Whatever goes wrong is told by an error; --log-level shows how it came.
  Effect.provide([
    NodeServices.layer,
    Layer.succeed(References.MinimumLogLevel, "None"),
    Logger.layer([Logger.consolePretty()]),
    Layer.succeed(Logger.LogToStderr, true)
  ]),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => {
      if (Exit.isSuccess(exit)) return onExit(Number(exit.value ?? 0))
      // Ctrl-C is how watching ends.
      if (Cause.hasInterruptsOnly(exit.cause)) return onExit(args[0] === "watch" ? 0 : 130)
      return Runtime.defaultTeardown(exit, onExit)
    }
  })
)
