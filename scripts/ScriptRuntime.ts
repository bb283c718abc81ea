import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, References, Runtime } from "effect"

interface ScriptOptions {
  /** The exit code after Ctrl-C or SIGTERM. Default: 130. */
  readonly interrupted?: number
}

/**
 * Runs a script; what it yields is its exit code. A failure is told by its message alone on stderr; logs are silent. The first Ctrl-C or SIGTERM, or
 * the end of the process that started us, interrupts it; another Ctrl-C ends it at once.
 */
export const runScript = <E extends { readonly message: string }>(
  script: Effect.Effect<number, E, NodeServices.NodeServices>,
  { interrupted = 130 }: ScriptOptions = {}
): void => {
  process.channel?.unref()
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))
  Effect.runFork(endAtOnceIfAskedAgain)
  script.pipe(
    Effect.catch((error) => Effect.as(printError(error.message), Runtime.getErrorExitCode(error))),
    Effect.provide([NodeServices.layer, Layer.succeed(References.MinimumLogLevel, "None")]),
    NodeRuntime.runMain({
      teardown: (exit) => {
        if (Exit.isSuccess(exit)) return end(Number(exit.value))
        if (Cause.hasInterruptsOnly(exit.cause)) return end(interrupted)
        return Runtime.defaultTeardown(exit, end)
      }
    })
  )
}

/** Once all is written. Left to itself, Node has been seen to spin for ever instead of ending, as a request of its own did not come to an end (24.21). */
const end = (code: number) => process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))

const ctrlC = Effect.callback<void>((resume) => {
  const listener = () => resume(Effect.void)
  process.once("SIGINT", listener)
  return Effect.sync(() => process.removeListener("SIGINT", listener))
})

/** Without a terminal one Ctrl-C can come from several sides at once: those within a second are one. */
const endAtOnceIfAskedAgain = ctrlC.pipe(
  Effect.andThen(Effect.sleep("1 second")),
  Effect.andThen(ctrlC),
  Effect.andThen(Effect.sync(() => process.exit(130)))
)

/** A line on stdout: a result. */
export const print = (line: string): Effect.Effect<void> => Console.log(line)

/** A line on stderr, where everything goes that is for a person and not a result. */
export const printError = (line: string): Effect.Effect<void> => Console.error(line)
