import { spawn } from "@origin-regions/testkit/ChildProcess"
import { Effect, Stream } from "effect"
import { appendFileSync, chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs"
import * as NodePath from "node:path"
import { root } from "../Command.ts"
import type { Substitution } from "./SnippetSystem.ts"

/** What came of commands. */
export interface ShellResult {
  /** `undefined` where they still run, or were ended by a signal. */
  readonly exitCode: number | undefined
  /** stdout and stderr, as a terminal shows them. */
  readonly output: string
}

/** Longer than a command takes on a busy machine. */
const PATIENCE = "4 minutes"

/** What takes minutes, or would run these very pages. */
const TOO_LONG = "'test'*|'run test'*|'run bench'*|'run crashlab'*|'run check'*|'run build'*"

const program = (app: string) => NodePath.join(root, "apps", app, "src/main.ts")

/** The commands that pages use as if they were installed; npm runs the repository's tasks, from wherever the page is. */
const commands = {
  "origin-regions": `exec ${process.execPath} ${program("cli")} "$@"`,
  node: `exec ${process.execPath} "$@"`,
  npm: `case "$*" in ${TOO_LONG}) echo "npm $* is not for a snippet: mark it with <!-- not run: why -->"; exit 1;; esac
PATH=\${PATH#*:} exec npm --silent --prefix ${root} "$@"`,
  npx: `case "$1" in
@origin-regions/api) program=${program("api")};;
@origin-regions/cli) program=${program("cli")};;
@origin-regions/consumer) program=${program("consumer")};;
*) echo "there is no package $1"; exit 1;;
esac
shift
exec ${process.execPath} $program "$@"`
}

const makePrograms = (directory: string): void => {
  mkdirSync(directory)
  for (const [name, script] of Object.entries(commands)) {
    writeFileSync(NodePath.join(directory, name), `#!/bin/sh\n${script}\n`)
    chmodSync(NodePath.join(directory, name), 0o755)
  }
}

/** Programs on a page import our packages as if they were installed. */
const linkPackages = (directory: string): void => {
  mkdirSync(directory, { recursive: true })
  for (const folder of ["apps", "packages"]) {
    for (const name of readdirSync(NodePath.join(root, folder))) {
      symlinkSync(NodePath.join(root, folder, name), NodePath.join(directory, name))
    }
  }
}

/**
 * A terminal for the commands of one page, in a directory that has nothing but the examples: they run one after the other, and what some export the next ones have. What stays ends
 * with the scope.
 */
export const makeShellSession = (directory: string, environment: Readonly<Record<string, string>>) => {
  const programs = NodePath.join(directory, ".programs")
  makePrograms(programs)
  linkPackages(NodePath.join(directory, "node_modules/@origin-regions"))
  const exported = NodePath.join(directory, ".exported")
  writeFileSync(exported, "")
  symlinkSync(NodePath.join(root, "examples"), NodePath.join(directory, "examples"))

  const substitutions: Array<Substitution> = []
  const substituted = (text: string): string =>
    substitutions.reduce((text, [written, real]) => text.replaceAll(written, real), text)

  const inherited = Object.fromEntries(["HOME", "TMPDIR", "LANG"].map((name) => [name, process.env[name]]))
  const launch = (text: string) =>
    Effect.acquireRelease(
      spawn({
        command: "/bin/sh",
        // Both outputs in one, so that their lines come in the order in which they were written.
        args: ["-ec", `exec 2>&1\n. ./.exported\n${substituted(text)}\nexport -p > .exported`],
        environment: { ...inherited, ...environment, PATH: `${programs}:${process.env["PATH"] ?? ""}` },
        directory
      }),
      ({ isRunning, pid }) =>
        // The shell, and all that it has started.
        Effect.flatMap(isRunning, (running) => Effect.sync(() => void (running && process.kill(-pid, "SIGTERM"))))
    )

  return {
    /** A text of the page, with what is real here. */
    substituted,
    /** What is newer counts first. */
    substitute: (newer: ReadonlyArray<Substitution>) => void substitutions.unshift(...newer),
    write: (file: string, text: string) => writeFileSync(NodePath.join(directory, file), `${substituted(text)}\n`),
    /** For all that is run from now on, as if it had been exported; `undefined` unsets. */
    set: (variables: Readonly<Record<string, string | undefined>>) => {
      for (const [name, value] of Object.entries(variables)) {
        appendFileSync(exported, value === undefined ? `unset ${name}\n` : `export ${name}='${value}'\n`)
      }
    },
    /** Runs commands to their end. */
    run: (text: string) =>
      Effect.scoped(Effect.gen(function*() {
        const { exit, lines } = yield* launch(text)
        const output = yield* Stream.runCollect(lines)
        return { exitCode: (yield* exit).code, output: output.join("\n") } satisfies ShellResult as ShellResult
      })),
    /** Starts commands that stay, and yields when they have said what ends with the line that has `last` in it. */
    runUntil: Effect.fnUntraced(function*(text: string, last: string) {
      const { ended, lines, notReady } = yield* launch(text)
      const output: Array<string> = []
      yield* lines.pipe(
        Stream.takeUntil((line) => line.includes(last)),
        Stream.runForEach((line) => Effect.sync(() => output.push(line))),
        Effect.timeoutOrElse({
          duration: PATIENCE,
          orElse: () => notReady(`it has not said “${last}” within ${PATIENCE}`)
        })
      )
      if (output.at(-1)?.includes(last) !== true) return yield* ended
      return { exitCode: undefined, output: output.join("\n") } satisfies ShellResult as ShellResult
    })
  }
}
