import { Context, Effect, Layer, type Redacted, type Scope } from "effect"
import { debianPostgres, installedPrograms } from "./internal/DebianPostgres.ts"
import { dockerPostgres, dockerWithImage } from "./internal/DockerPostgres.ts"
import { createDatabase, type Postgres } from "./internal/Postgres.ts"
import { layerRealTime } from "./internal/RealTime.ts"
import { Leash } from "./Leash.ts"
import type { PostgresServerError } from "./PostgresServerError.ts"

/** A real PostgreSQL server, for tests: with nothing in it, and gone with the layer's scope, or with this process if that is killed. */
export class PostgresServer extends Context.Service<PostgresServer, {
  readonly provider: "testcontainers" | "debian"
  /** Creates a database and gives its address, which is the same after every start. */
  readonly newDatabase: Effect.Effect<Redacted.Redacted, PostgresServerError>
  /** Starts it again after `stop` or `kill`, on the same data; nothing where it runs. */
  readonly start: Effect.Effect<void, PostgresServerError>
  /** Ends the clients' connections, and then itself in good order. */
  readonly stop: Effect.Effect<void, PostgresServerError>
  /** SIGKILL to every process of it, at once. */
  readonly kill: Effect.Effect<void, PostgresServerError>
  /** Until the scope closes, every process of it stands still: it takes connections and answers nothing. */
  readonly frozen: Effect.Effect<void, PostgresServerError, Scope.Scope>
}>()("@origin-regions/testkit/PostgresServer") {
  /** A server in a container, by Testcontainers. Its image is `POSTGRES_IMAGE`, or the official one. */
  static readonly layerTestcontainers: Layer.Layer<PostgresServer, PostgresServerError> = Layer.effect(
    PostgresServer,
    Effect.flatMap(dockerPostgres, (postgres) => serviceOf("testcontainers", postgres))
  ).pipe(Layer.provide([Leash.layer, layerRealTime]))

  /** The server of Debian's package postgresql. */
  static readonly layerDebian: Layer.Layer<PostgresServer, PostgresServerError> = Layer.effect(
    PostgresServer,
    Effect.flatMap(debianPostgres, (postgres) => serviceOf("debian", postgres))
  ).pipe(Layer.provide([Leash.layer, layerRealTime]))
}

const serviceOf = (provider: PostgresServer["Service"]["provider"], postgres: Postgres) =>
  Effect.sync(() => {
    let databases = 0
    return PostgresServer.of({
      ...postgres,
      provider,
      newDatabase: Effect.suspend(() => createDatabase(postgres.address, `test_${++databases}`))
    })
  })

export interface PostgresProvider {
  /** The provider's name; where there is none of its kind on this machine, with the reason. */
  readonly name: string
  readonly available: boolean
  readonly layer: Layer.Layer<PostgresServer, PostgresServerError>
}

const providerOf = (
  name: PostgresServer["Service"]["provider"],
  layer: PostgresProvider["layer"],
  needed: Effect.Effect<unknown, PostgresServerError>
): Effect.Effect<PostgresProvider> =>
  Effect.match(needed, {
    onSuccess: () => ({ name, available: true, layer }),
    onFailure: ({ message }) => ({ name: `${name} (not here: ${message})`, available: false, layer })
  })

/** The ways to a server, whether they are open here or not. */
export const postgresProviders: Effect.Effect<ReadonlyArray<PostgresProvider>> = Effect.all([
  providerOf("testcontainers", PostgresServer.layerTestcontainers, dockerWithImage),
  providerOf("debian", PostgresServer.layerDebian, installedPrograms)
])
