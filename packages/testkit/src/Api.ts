import { Context, Effect, Layer, Semaphore, Stream } from "effect"
import * as NodePath from "node:path"
import type { ChildProcessError } from "./ChildProcess.ts"
import { temporaryDirectory } from "./internal/Directories.ts"
import { portPreferring } from "./internal/Ports.ts"
import { layerRealTime } from "./internal/RealTime.ts"
import { type ServerProcess, spawnServer } from "./internal/ServerProcess.ts"
import { Leash } from "./Leash.ts"
import { uniqueToken } from "./Names.ts"

export interface ApiOptions {
  /** The port to listen on; another is taken where somebody has it already. Default: any. */
  readonly port?: number
  /** The SQLite file; kept. Default: one in a temporary directory. */
  readonly databasePath?: string
  /** The bearer token that is let in. Default: one that nobody could guess. */
  readonly token?: string
  /** More settings of the server, by their environment names. */
  readonly environment?: Readonly<Record<string, string>>
}

/** The real API server as a process of its own, listening on loopback, with one token and a database. */
export class Api extends Context.Service<Api, {
  /** For `CLOUDFLARE_BASE_URL`: `http://127.0.0.1:PORT/client/v4`. The same after every start. */
  readonly baseUrl: string
  readonly token: string
  readonly databasePath: string
  /** What the process that runs now says, from the last thousand lines already written; nothing where none runs. */
  readonly lines: Stream.Stream<string>
  /** Starts it again after `stop` or `kill`; nothing where it runs. Waits until it is healthy. */
  readonly start: Effect.Effect<void, ChildProcessError>
  /** SIGTERM, and waits for the end. */
  readonly stop: Effect.Effect<void>
  /** SIGKILL, and waits for the end. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP: it stands still, as on a machine that is starved or suspended. */
  readonly pause: Effect.Effect<void>
  /** SIGCONT: it goes on after `pause`. */
  readonly resume: Effect.Effect<void>
  /** `stop`, then `start`. */
  readonly restart: Effect.Effect<void, ChildProcessError>
}>()("@origin-regions/testkit/Api") {
  static readonly layerWith = (options: ApiOptions = {}): Layer.Layer<Api, ChildProcessError> =>
    Layer.effect(
      Api,
      Effect.gen(function*() {
        const token = options.token ?? (yield* uniqueToken)
        const databasePath = options.databasePath ??
          NodePath.join(yield* Effect.orDie(temporaryDirectory), "api.sqlite")
        const launch = Effect.fnUntraced(function*(port: number) {
          const server = yield* spawnServer({
            name: "The API",
            entry: "apps/api/src/main.ts",
            environment: {
              ...options.environment,
              API_HOST: "127.0.0.1",
              API_PORT: String(port),
              API_DATABASE: databasePath,
              API_TOKENS: token
            },
            readyPath: "/health"
          })
          yield* server.ready
          return { server, address: yield* server.address }
        })

        // Any port is the server's own choice, so that nobody can be quicker.
        const first = yield* launch(options.port === undefined ? 0 : yield* portPreferring(options.port))
        const { port } = new URL(first.address)
        const context = yield* Effect.context<Effect.Services<ReturnType<typeof launch>>>()
        const oneAtATime = yield* Semaphore.make(1)
        let current: ServerProcess | undefined = first.server
        const finish = (how: (server: ServerProcess) => ServerProcess["exit"]) =>
          oneAtATime.withPermit(Effect.suspend(() => {
            const server = current
            current = undefined
            return server === undefined ? Effect.void : Effect.asVoid(how(server))
          }))
        const start = oneAtATime.withPermit(Effect.gen(function*() {
          if (current === undefined) current = (yield* launch(Number(port))).server
        })).pipe(Effect.provideContext(context))
        const stop = finish((server) => server.terminate)
        const signal = (name: NodeJS.Signals) => Effect.suspend(() => current?.signal(name) ?? Effect.void)
        return Api.of({
          baseUrl: `${first.address}/client/v4`,
          token,
          databasePath,
          lines: Stream.suspend(() => current?.lines ?? Stream.empty),
          start,
          stop,
          kill: finish((server) => server.kill),
          pause: signal("SIGSTOP"),
          resume: signal("SIGCONT"),
          restart: Effect.andThen(stop, start)
        })
      })
    ).pipe(Layer.provide([Leash.layer, layerRealTime]))

  /** An empty API on any port, gone with the scope. */
  static readonly layer: Layer.Layer<Api, ChildProcessError> = this.layerWith()
}
