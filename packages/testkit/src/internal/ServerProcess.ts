import { Effect, Option, Schedule, type Scope } from "effect"
import { devNull } from "node:os"
import * as NodePath from "node:path"
import { type ChildProcess, type ChildProcessError, spawn } from "../ChildProcess.ts"
import type { Leash } from "../Leash.ts"
import { inRealTime } from "./RealTime.ts"
import { workspaceRoot } from "./Workspace.ts"

export interface ServerProcessOptions {
  /** What messages call it: "The API". */
  readonly name: string
  /** Its program, from the repository's root. */
  readonly entry: string
  /** Another root: a copy of the repository. */
  readonly root?: string | undefined
  /** Its settings. Of our own environment it gets only what any program needs. */
  readonly environment: Readonly<Record<string, string>>
  /** The path that answers 200 once it can do its work. */
  readonly readyPath: string
}

/** One of our own servers, run as it is run in production: `node apps/…/src/main.ts`. */
export interface ServerProcess extends ChildProcess {
  /** `http://host:port`, once it says where it listens; fails if it ends first. */
  readonly address: Effect.Effect<string, ChildProcessError>
  /** Waits until the ready path answers 200; fails if it ends first. */
  readonly ready: Effect.Effect<void, ChildProcessError>
  /** SIGTERM, and waits for the end. */
  readonly terminate: ChildProcess["exit"]
  /** SIGKILL, and waits for the end. */
  readonly kill: ChildProcess["exit"]
}

/** What a Node program needs of its surroundings that is no setting of ours. */
const surroundings = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "NODE_EXTRA_CA_CERTS", "SystemRoot"]

const addressIn = (line: string) => Option.fromNullishOr(/"address":"(https?:\/\/[^"]+)"/u.exec(line)?.[1])

/** Longer than a server on a busy machine takes, shorter than a person waits. */
const patience = "1 minute"

const answers200 = (url: string): Effect.Effect<void, string> =>
  Effect.tryPromise({
    try: (signal) => fetch(url, { signal }),
    catch: (error) => error instanceof Error ? error.message : String(error)
  }).pipe(
    Effect.flatMap((response) =>
      response.status === 200 ? Effect.void : Effect.fail(`${url} answers ${response.status}`)
    )
  )

export const spawnServer = Effect.fnUntraced(
  function*(
    { entry, environment, name, readyPath, root = workspaceRoot }: ServerProcessOptions
  ): Effect.fn.Return<ServerProcess, ChildProcessError, Scope.Scope | Leash> {
    const inherited = Object.fromEntries(surroundings.map((variable) => [variable, process.env[variable]]))
    const child = yield* spawn({
      name,
      command: process.execPath,
      args: [NodePath.join(root, entry)],
      directory: root,
      // Nor what a person may have put into .env of the directory.
      environment: { ...inherited, ENV_FILE: devNull, ...environment },
      grace: "15 seconds"
    })
    const address = yield* Effect.cached(child.firstLine(addressIn))
    const ready = Effect.flatMap(address, (address) => {
      let problem = "it has not answered yet"
      return answers200(`${address}${readyPath}`).pipe(
        Effect.tapError((found) => Effect.sync(() => problem = found)),
        Effect.retry(Schedule.spaced("20 millis")),
        Effect.orDie,
        Effect.timeoutOrElse({ duration: patience, orElse: () => child.notReady(`${problem}, after ${patience}`) })
      )
    })
    return {
      ...child,
      address,
      ready: inRealTime(Effect.raceFirst(ready, child.ended)),
      terminate: Effect.andThen(child.signal("SIGTERM"), child.exit),
      kill: Effect.andThen(child.signal("SIGKILL"), child.exit)
    }
  }
)
