import { Config, Effect, type Scope } from "effect"
import { Wait } from "testcontainers"
import type { Leash } from "../Leash.ts"
import { uniqueToken } from "../Names.ts"
import { PostgresServerError } from "../PostgresServerError.ts"
import {
  connectDocker,
  containerLog,
  ensureImage,
  isPortAllocated,
  leashedName,
  LocalContainer,
  messageOf,
  publishedHost
} from "./Docker.ts"
import { freePort } from "./Ports.ts"
import { notRunning, type Postgres, probe, username } from "./Postgres.ts"
import { awaitReady, portAttempts } from "./Readiness.ts"
import { type Run, supervise } from "./Supervision.ts"

/** The official image; a minor version of its own would be another one than Debian's packages have every few months. */
const postgresImage = "postgres:15-bookworm"

/** Where the server listens in its container. */
const port = 5432

/** A daemon that has the image, or has got it now. */
export const dockerWithImage = Effect.gen(
  function*() {
    const image = yield* Config.String("POSTGRES_IMAGE").pipe(Config.withDefault(postgresImage), Effect.orDie)
    const client = yield* connectDocker
    yield* ensureImage(client, { image, setting: "POSTGRES_IMAGE", progress: Effect.logInfo })
    return { client, image }
  }
).pipe(Effect.mapError((reason) => new PostgresServerError({ reason })))

const isPortTaken = ({ reason }: PostgresServerError) =>
  reason._tag === "ServerNotRunning" && isPortAllocated(reason.problem)

/**
 * A server in a container. Not Testcontainers' own PostgreSQL container: that one asks for its port at the bridge's gateway, where
 * ours is not published, and has the container run a program four times a second to see that it is well.
 */
export const dockerPostgres: Effect.Effect<Postgres, PostgresServerError, Scope.Scope | Leash> = Effect.gen(
  function*() {
    const { client, image } = yield* dockerWithImage
    const host = yield* publishedHost(client)
    const password = yield* uniqueToken

    const failWith = (name: string) => (problem: string) =>
      Effect.flatMap(containerLog(client, name), (log) => Effect.fail(notRunning(problem, log)))
    const command = <A>(name: string, operation: () => Promise<A>) =>
      Effect.catch(
        Effect.tryPromise(operation),
        ({ cause }) => failWith(name)(`could not be asked in its container (${messageOf(cause)})`)
      )
    const addressAt = (hostPort: number) => `postgres://${username}:${password}@${host}:${hostPort}`

    /** Follows a container that was just started, until it serves. */
    const follow = Effect.fnUntraced(function*(name: string, hostPort: number) {
      const container = client.container.getById(name)
      const exited = command(name, () => container.wait())
      const ended = Effect.flatMap(exited, ({ StatusCode }) => failWith(name)(`ended with exit code ${StatusCode}`))
      yield* awaitReady(probe(addressAt(hostPort)), ended, failWith(name))
      const run: Run<PostgresServerError> = {
        instance: name,
        ended,
        stop: command(name, () => client.container.stop(container, { timeout: 30_000 })),
        kill: Effect.andThen(command(name, () => container.kill()), exited)
      }
      return run
    })

    const create = Effect.gen(function*() {
      const name = yield* leashedName(client, "origin-regions-postgres")
      // Fixed, since Docker would give a container that is started again another one.
      const hostPort = yield* freePort
      const container = new LocalContainer(image)
        .withName(name)
        // Our leash removes it, also where Ryuk's image cannot be had.
        .withAutoCleanup(false)
        .withEnvironment({ POSTGRES_USER: username, POSTGRES_PASSWORD: password })
        .publish(host, { [port]: hostPort })
        // Any sign of life: whether it serves is for our own probe to say.
        .withWaitStrategy(Wait.forLogMessage(/./u))
      yield* Effect.tryPromise(() => container.start()).pipe(
        Effect.catch(({ cause }) => failWith(name)(`could not be started (${messageOf(cause)})`))
      )
      return { name, hostPort, run: yield* follow(name, hostPort) }
    })

    const { hostPort, name, run } = yield* Effect.retry(create, { while: isPortTaken, times: portAttempts })
    const startAgain = Effect.andThen(
      command(name, () => client.container.getById(name).start()),
      follow(name, hostPort)
    )
    return {
      address: addressAt(hostPort),
      frozen: Effect.asVoid(Effect.acquireRelease(
        command(name, () => client.container.getById(name).pause()),
        () => Effect.ignore(command(name, () => client.container.getById(name).unpause()))
      )),
      ...yield* supervise(run, startAgain)
    }
  }
)
