import { Effect, Schema } from "effect"
import { execFile } from "node:child_process"

/** A program of the machine did not end well, or could not be started. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `${this.command} failed:\n${this.output}`
  }
}

export interface ExternalCommandOptions {
  readonly directory: string
  /** On top of our own environment. */
  readonly environment?: Readonly<Record<string, string>>
}

/** What npm tells the programs that it runs would have another npm work on this repository. */
const isOfNpm = (name: string) => /^(npm_(config_local_prefix|lifecycle|package)|INIT_CWD$)/.test(name)

/** Runs a program of the machine to its end, and yields its stdout. Interrupted, it ends the program. */
export const runExternal = (
  { directory, environment }: ExternalCommandOptions,
  command: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<string, CommandFailed> =>
  Effect.callback((resume) => {
    const ours = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOfNpm(name)))
    const child = execFile(
      command,
      args,
      { cwd: directory, encoding: "utf8", env: { ...ours, ...environment }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) =>
        resume(
          error === null
            ? Effect.succeed(stdout)
            : Effect.fail(
              new CommandFailed({ command: [command, ...args].join(" "), output: stdout + (stderr || error.message) })
            )
        )
    )
    return Effect.sync(() => child.kill())
  })
