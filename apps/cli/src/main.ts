#!/usr/bin/env node
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Logger, References, Runtime } from "effect"
import { runCommandLine } from "./CommandLine.ts"

const args = process.argv.slice(2)

/** `watch`, behind the options that stand before a command. */
const isWatching = args.find((each, index) => !each.startsWith("-") && args[index - 1] !== "--log-level") === "watch"

/** Once all is written. Left to itself, Node has been seen to spin for ever instead of ending, as a request of its own did not come to an end (24.21). */
const end = (code: number) => process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))

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
    teardown: (exit) => {
      if (Exit.isSuccess(exit)) return end(Number(exit.value ?? 0))
      // Ctrl-C is how watching ends.
      if (Cause.hasInterruptsOnly(exit.cause)) return end(isWatching ? 0 : 130)
      return Runtime.defaultTeardown(exit, end)
    }
  })
)
