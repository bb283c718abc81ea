import { Effect, Schedule, type Scope, Stream } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import * as NodePath from "node:path"
import { type ChildProcess, type ChildProcessError, describeExit, spawn } from "../ChildProcess.ts"
import { Leash } from "../Leash.ts"
import { PostgresServerError, ServerMissing } from "../PostgresServerError.ts"
import { temporaryDirectory } from "./Directories.ts"
import { freePort } from "./Ports.ts"
import { notRunning, type Postgres, probe, username } from "./Postgres.ts"
import { awaitReady } from "./Readiness.ts"
import { type Run, supervise } from "./Supervision.ts"

/** Where Debian's packages put the servers, each major version in a folder of its own. */
const versions = "/usr/lib/postgresql"

/** The folder of the newest server's programs. */
export const installedPrograms = Effect.suspend(() => {
  const found = existsSync(versions)
    ? readdirSync(versions).toSorted((a, b) => Number(b) - Number(a))
      .map((version) => NodePath.join(versions, version, "bin"))
      .find((path) => existsSync(NodePath.join(path, "initdb")))
    : undefined
  return found === undefined
    ? Effect.fail(new PostgresServerError({ reason: new ServerMissing({ directory: versions }) }))
    : Effect.succeed(found)
})

const isRoot = process.getuid?.() === 0

/** PostgreSQL refuses to run as root; Debian's package brings this user. */
const asServerUser = isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []

const run = ([command = "", ...args]: ReadonlyArray<string>, directory: string) =>
  spawn({ name: "PostgreSQL", command, args, directory, environment: { PATH: process.env["PATH"] } })

/** Runs a command to its end. */
const complete = Effect.fnUntraced(
  function*(command: ReadonlyArray<string>, directory: string) {
    const child = yield* run(command, directory)
    const exit = yield* child.exit
    if (exit.code === 0) return
    const lines = yield* Stream.runCollect(child.lines)
    return yield* notRunning(
      `could not be prepared: ${command.join(" ")} ended with ${describeExit(exit)}`,
      lines.join("\n")
    )
  },
  Effect.scoped,
  (effect) => Effect.mapError(effect, fromChild)
)

const fromChild = (error: ChildProcessError | PostgresServerError) =>
  error._tag === "ChildProcessError" ? notRunning(`failed: ${error.message}`) : error

/** One letter for what a process is at: T where it is stopped, Z where it has ended; undefined where there is none. */
const stateOf = (pid: number): string | undefined => {
  try {
    return /^\d+ \(.*\) (\S)/su.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1]
  } catch {
    return undefined
  }
}

const until = (fact: () => boolean) =>
  Effect.repeat(Effect.sync(fact), { until: (holds) => holds, schedule: Schedule.spaced("10 millis") })

const signalAll = (pids: ReadonlyArray<number>, signal: NodeJS.Signals) => {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended by itself.
    }
  }
}

/** Stops a server's first process, so that no new one appears, and gives the ids of all. */
const stopFirst = Effect.fnUntraced(function*({ pid, signal }: ChildProcess) {
  yield* signal("SIGSTOP")
  yield* until(() => stateOf(pid) === "T" || stateOf(pid) === undefined)
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
  return [pid, ...children.split(" ").filter((id) => id !== "").map(Number)]
})

/** SIGKILL to all at once: of the first one alone the others would learn, and finish what they are at. */
const killAll = Effect.fnUntraced(function*(server: ChildProcess) {
  const pids = yield* stopFirst(server)
  signalAll(pids, "SIGKILL")
  yield* server.exit
  // One that is left would keep the next server from starting. What has ended stays in the table until somebody asks for it.
  yield* until(() => pids.every((pid) => ["Z", undefined].includes(stateOf(pid))))
})

const freeze = (server: ChildProcess, hold: Leash["Service"]["hold"]) =>
  Effect.acquireRelease(
    Effect.map(stopFirst(server), (pids) => {
      // Of a first process that dies they would not learn.
      const releases = pids.map((pid) => hold({ _tag: "Process", pid }))
      signalAll(pids, "SIGSTOP")
      return { pids, releases }
    }),
    ({ pids, releases }) =>
      Effect.sync(() => {
        signalAll(pids, "SIGCONT")
        for (const release of releases) release()
      })
  )

/** A server of Debian's packages, with its data in memory where there is room. */
export const debianPostgres: Effect.Effect<Postgres, PostgresServerError, Scope.Scope | Leash> = Effect.gen(
  function*() {
    const programs = yield* installedPrograms
    const { hold } = yield* Leash
    const directory = yield* Effect.orDie(temporaryDirectory)
    const data = NodePath.join(directory, "data")
    const initdb = [NodePath.join(programs, "initdb"), "--auth=trust", `--username=${username}`, "-D", data]
    if (isRoot) yield* complete(["chown", "postgres:postgres", directory], directory)
    yield* complete([...asServerUser, ...initdb], directory)
    const port = yield* freePort
    const address = `postgres://${username}@127.0.0.1:${port}`
    const postgres = [
      NodePath.join(programs, "postgres"),
      `-D${data}`,
      `-k${directory}`,
      `-p${port}`,
      "-clisten_addresses=127.0.0.1"
    ]
    let current: ChildProcess | undefined
    const launch = Effect.gen(function*() {
      const server = yield* Effect.mapError(run([...asServerUser, ...postgres], directory), fromChild)
      // The fast shutdown: SIGTERM, which the scope sends, waits for the clients to go.
      yield* Effect.addFinalizer(() => server.signal("SIGINT"))
      const stop = Effect.andThen(server.signal("SIGINT"), server.exit)
      const ended = Effect.mapError(server.ended, fromChild)
      const tooLate = (problem: string) => Effect.mapError(server.notReady(problem), fromChild)
      yield* awaitReady(probe(address), ended, tooLate).pipe(Effect.onError(() => stop))
      current = server
      const launched: Run<PostgresServerError> = {
        instance: String(server.pid),
        ended,
        stop: Effect.asVoid(stop),
        kill: killAll(server)
      }
      return launched
    })
    return {
      address,
      frozen: Effect.suspend(() =>
        current === undefined ? Effect.fail(notRunning("does not run")) : Effect.asVoid(freeze(current, hold))
      ),
      ...yield* supervise(yield* launch, launch)
    }
  }
)
