import { Effect } from "effect"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"

/** Runs a script's command with the arguments of this process; its exit code is 2 where they are wrong or ask for help. */
export const runCommandLine = <const Name extends string, Input, Context, E, R>(
  command: Command.Command<Name, Input, Context, E, R>
) =>
  Command.runWith(command, { version: "" })(process.argv.slice(2)).pipe(
    Effect.as(0),
    Effect.catchTag("ShowHelp", () => Effect.succeed(2)),
    Effect.provide(CliConfig.layer({ builtIns: [GlobalFlag.Help] }))
  )

/** A flag for a whole number from 1 on. */
export const wholeNumber = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withDescription(description),
    Flag.filter((value) => value >= 1, () => "a whole number from 1")
  )

/** A flag for how many of something. */
export const count = (name: string, fallback: number, description: string) =>
  wholeNumber(name, `${description} (default: ${fallback})`).pipe(Flag.withDefault(fallback))
