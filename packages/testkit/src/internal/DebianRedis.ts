import { createClient } from "@redis/client"
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import { type ChildProcess, type ChildProcessError, spawn } from "../ChildProcess.ts"
import { Leash } from "../Leash.ts"
import { uniqueToken } from "../Names.ts"
import { RedisMissing, RedisNotRunning, RedisServerError } from "../RedisServerError.ts"
import { temporaryDirectory } from "./Directories.ts"
import { freePort } from "./Ports.ts"
import { awaitReady } from "./Readiness.ts"
import { type Run, supervise, type Supervised } from "./Supervision.ts"

/** Where Debian's package puts the server. */
const program = "/usr/bin/redis-server"

/** A Redis server's runs, one after another, at the same address and on the data that it has saved. */
export interface Redis extends Supervised<RedisServerError> {
  readonly address: string
  readonly frozen: Effect.Effect<void, RedisServerError, Scope.Scope>
}

const notRunning = (problem: string) => new RedisServerError({ reason: new RedisNotRunning({ problem }) })

const fromChild = ({ message }: ChildProcessError) => notRunning(`failed: ${message}`)

/** The server's program, where there is one. */
export const installedRedis = Effect.suspend(() =>
  existsSync(program)
    ? Effect.succeed(program)
    : Effect.fail(new RedisServerError({ reason: new RedisMissing({ program }) }))
)

/** One try; fails where the server does not answer. */
const probe = (address: string) =>
  Effect.acquireRelease(
    Effect.sync(() => createClient({ url: address, socket: { reconnectStrategy: false } }).on("error", () => {})),
    (client) => Effect.sync(() => client.isOpen && client.destroy())
  ).pipe(
    Effect.flatMap((client) => Effect.tryPromise(() => client.connect().then(() => client.ping()))),
    Effect.asVoid,
    Effect.scoped
  )

/** Until the scope closes the server stands still. */
const freeze = ({ pid, signal }: ChildProcess, hold: Leash["Service"]["hold"]) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const release = hold({ _tag: "Process", pid })
      return Effect.as(signal("SIGSTOP"), release)
    }),
    (release) => Effect.andThen(signal("SIGCONT"), Effect.sync(release))
  )

/** The server of Debian's package, with what it saves in memory where there is room. It saves nothing but when it is asked to. */
export const debianRedis: Effect.Effect<Redis, RedisServerError, Scope.Scope | Leash> = Effect.gen(function*() {
  const command = yield* installedRedis
  const { hold } = yield* Leash
  const directory = yield* Effect.orDie(temporaryDirectory)
  const port = yield* freePort
  const password = yield* uniqueToken
  const address = `redis://:${password}@127.0.0.1:${port}`
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--requirepass", password, "--dir", directory, "--save", ""]
  let current: ChildProcess | undefined
  const launch = Effect.gen(function*() {
    const server = yield* Effect.mapError(
      spawn({ name: "Redis", command, args, directory, environment: { PATH: process.env["PATH"] } }),
      fromChild
    )
    const ended = Effect.mapError(server.ended, fromChild)
    const kill = Effect.asVoid(Effect.andThen(server.signal("SIGKILL"), server.exit))
    yield* awaitReady(probe(address), ended, (problem) => Effect.mapError(server.notReady(problem), fromChild)).pipe(
      Effect.onError(() => kill)
    )
    current = server
    const run: Run<RedisServerError> = {
      instance: String(server.pid),
      ended,
      stop: Effect.asVoid(server.end),
      kill
    }
    return run
  })
  return {
    address,
    frozen: Effect.suspend(() =>
      current === undefined ? Effect.fail(notRunning("does not run")) : Effect.asVoid(freeze(current, hold))
    ),
    ...yield* supervise(yield* launch, launch)
  }
})
