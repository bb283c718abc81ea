import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as NodePath from "node:path"

/** The repository's root, where every command of a script runs. */
export const root = NodePath.resolve(import.meta.dirname, "..")

export interface CommandOptions {
  /** A file that Node runs, from the root, and its arguments. */
  readonly script: readonly [file: string, ...args: ReadonlyArray<string>]
  /** On top of our own environment. */
  readonly environment?: Readonly<Record<string, string>>
  /** `show` passes everything through as it comes; `keep` gives it back as `output`. */
  readonly output: "show" | "keep"
}

export interface CommandResult {
  readonly exitCode: number
  /** stdout and stderr as they came; empty where they were shown. */
  readonly output: string
}

/** Runs a program of the repository to its end. Interrupted, it sends SIGTERM and waits until the program has gone. */
export const runCommand = ({ environment, output, script }: CommandOptions): Effect.Effect<CommandResult> =>
  Effect.callback((resume) => {
    const [file, ...args] = script
    const child = spawn(process.execPath, [NodePath.join(root, file), ...args], {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: output === "show" ? "inherit" : ["ignore", "pipe", "pipe"]
    })
    let kept = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (chunk: string) => {
        kept += chunk
      })
    }
    child.once("error", (error) => resume(Effect.succeed({ exitCode: 1, output: error.message })))
    child.once("close", (code) => resume(Effect.succeed({ exitCode: code ?? 1, output: kept })))
    return Effect.callback((stopped) => {
      if (child.exitCode !== null || child.signalCode !== null) return stopped(Effect.void)
      child.once("close", () => stopped(Effect.void))
      child.kill("SIGTERM")
    })
  })
