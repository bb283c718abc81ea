import { Deferred, type Duration, Effect, Option, PubSub, Result, Schema, type Scope, Stream } from "effect"
import { type ChildProcess as NodeChildProcess, spawn as spawnProcess } from "node:child_process"
import { createInterface } from "node:readline"
import { inRealTime } from "./internal/RealTime.ts"
import { Leash } from "./Leash.ts"

/** The command could not be started at all. */
export class NotSpawned extends Schema.TaggedError<NotSpawned>()("NotSpawned", {
  command: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.command} could not be started: ${this.problem}.`
  }
}

/** The process ended before it said what was waited for. */
export class Ended extends Schema.TaggedError<Ended>()("Ended", {
  command: Schema.String,
  exit: Schema.String,
  lastLines: Schema.String
}) {
  override get message() {
    return `${this.command} ended with ${this.exit}${this.lastLines === "" ? "." : `:\n${this.lastLines}`}`
  }
}

/** It runs, but never came to do what was waited for. */
export class NotReady extends Schema.TaggedError<NotReady>()("NotReady", {
  command: Schema.String,
  problem: Schema.String,
  lastLines: Schema.String
}) {
  override get message() {
    return `${this.command} is not ready: ${this.problem}. Its last lines:\n${this.lastLines}`
  }
}

export class ChildProcessError extends Schema.TaggedError<ChildProcessError>()("ChildProcessError", {
  reason: Schema.Union([NotSpawned, Ended, NotReady])
}) {
  override get message() {
    return this.reason.message
  }
}

/** How a process ended: `code` where it exited, `signal` where it was killed. */
export interface ChildExit {
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
}

export const describeExit = ({ code, signal }: ChildExit): string =>
  code === undefined ? `signal ${signal}` : `exit code ${code}`

export interface ChildProcessOptions {
  /** What a message calls it; default: the command. */
  readonly name?: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** All of the process's environment; nothing is inherited but where Node keeps compiled code. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly directory?: string
  /** A file descriptor that gets stdout and stderr as they are; `lines` is then empty. */
  readonly output?: number
  /** How long a polite stop may take when the scope closes, before SIGKILL. Default: 10 seconds. */
  readonly grace?: Duration.Input
}

/** A running process of ours. It ends with the scope it was spawned in, and also if we are killed. */
export interface ChildProcess {
  readonly pid: number
  /** Waits until the process has ended and all its output was read. */
  readonly exit: Effect.Effect<ChildExit>
  /** Fails when the process ends, however it ends. */
  readonly ended: Effect.Effect<never, ChildProcessError>
  readonly isRunning: Effect.Effect<boolean>
  /** Sends a signal; does nothing where the process has ended. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** SIGTERM, and SIGKILL after the grace; waits until it has ended. */
  readonly end: Effect.Effect<ChildExit>
  /** Lines of stdout and stderr, from the last thousand already written to the last one. */
  readonly lines: Stream.Stream<string>
  /** The first line that `pick` makes something of; fails if the process ends without one. */
  readonly firstLine: <A>(pick: (line: string) => Option.Option<A>) => Effect.Effect<A, ChildProcessError>
  /** Fails, with its last lines, for one who has waited long enough. */
  readonly notReady: (problem: string) => Effect.Effect<never, ChildProcessError>
}

/** How many lines a late reader of `lines` still gets, and how many of them an error shows. */
const keptLines = 1000
const shownLines = 25

const { NODE_COMPILE_CACHE } = process.env
/** A third of what a start of our programs costs. */
const compileCache = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }

interface Spawned {
  readonly node: NodeChildProcess
  readonly pid: number
  readonly exit: Deferred.Deferred<ChildExit>
}

// Not `effect/process`: it signals whole process groups, keeps no output for a late reader, and leaves a moment between
// the spawn and whatever would watch it.
const acquire = (
  { args, command, directory, environment, output }: ChildProcessOptions,
  hold: Leash["Service"]["hold"]
) =>
  Effect.callback<Spawned, ChildProcessError>((resume) => {
    const node = spawnProcess(command, args, {
      cwd: directory,
      // A process group of its own: Ctrl-C in a terminal reaches us alone, and we end things in their order.
      detached: true,
      env: { ...compileCache, ...environment },
      stdio: ["ignore", output ?? "pipe", output ?? "pipe"]
    })
    const { pid } = node
    if (pid === undefined) {
      node.once("error", (error) => {
        resume(Effect.fail(new ChildProcessError({ reason: new NotSpawned({ command, problem: error.message }) })))
      })
      return
    }
    const release = hold({ _tag: "Process", pid })
    node.once("exit", release)
    const exit = Deferred.makeUnsafe<ChildExit>()
    node.once("close", (code, signal) => {
      Deferred.doneUnsafe(exit, Effect.succeed({ code: code ?? undefined, signal: signal ?? undefined }))
    })
    resume(Effect.succeed({ node, pid, exit }))
  })

/** Spawns a process directly, with no shell between, so that signals reach it. */
export const spawn = Effect.fnUntraced(
  function*(options: ChildProcessOptions): Effect.fn.Return<ChildProcess, ChildProcessError, Scope.Scope | Leash> {
    const { hold } = yield* Leash
    const end = ({ exit, node }: Spawned) =>
      Effect.suspend(() => {
        node.kill("SIGTERM")
        // Where it is paused, SIGTERM waits for this.
        node.kill("SIGCONT")
        return Deferred.await(exit)
      }).pipe(
        Effect.timeoutOrElse({
          duration: options.grace ?? "10 seconds",
          orElse: () =>
            Effect.suspend(() => {
              node.kill("SIGKILL")
              return Deferred.await(exit)
            })
        }),
        inRealTime
      )
    const spawned = yield* Effect.acquireRelease(acquire(options, hold), end)
    const { exit, node, pid } = spawned

    // `undefined` marks the end, so that a reader who comes late ends too.
    const output = yield* PubSub.unbounded<string | undefined>({ replay: keptLines + 1 })
    const lastLines: Array<string> = []
    for (const stream of [node.stdout, node.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on("line", (line) => {
        PubSub.publishUnsafe(output, line)
        lastLines.push(line)
        if (lastLines.length > shownLines) lastLines.shift()
      })
    }
    node.once("close", () => PubSub.publishUnsafe(output, undefined))
    const lines = Stream.fromPubSub(output).pipe(
      Stream.takeWhile((line): line is string => line !== undefined)
    )

    const name = options.name ?? options.command
    const ended = Effect.flatMap(Deferred.await(exit), (exit) =>
      Effect.fail(
        new ChildProcessError({
          reason: new Ended({ command: name, exit: describeExit(exit), lastLines: lastLines.join("\n") })
        })
      ))

    return {
      pid,
      exit: Deferred.await(exit),
      ended,
      isRunning: Effect.sync(() => node.exitCode === null && node.signalCode === null),
      signal: (signal) => Effect.sync(() => void node.kill(signal)),
      end: end(spawned),
      lines,
      firstLine: (pick) =>
        Stream.runHead(Stream.filterMap(lines, (line) => Result.fromOption(pick(line), () => undefined))).pipe(
          Effect.flatMap(Option.match({ onSome: Effect.succeed, onNone: () => ended }))
        ),
      notReady: (problem) =>
        Effect.suspend(() =>
          Effect.fail(
            new ChildProcessError({
              reason: new NotReady({ command: name, problem, lastLines: lastLines.join("\n") })
            })
          )
        )
    }
  }
)
