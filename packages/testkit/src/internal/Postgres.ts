import { PgConnection } from "@effect/sql-pg"
import { Effect, Redacted, type Scope } from "effect"
import { PostgresServerError, ServerNotRunning } from "../PostgresServerError.ts"
import { inRealTime } from "./RealTime.ts"
import type { Supervised } from "./Supervision.ts"

/** A PostgreSQL server's runs, one after another, at the same address and on the same data. */
export interface Postgres extends Supervised<PostgresServerError> {
  /** Without a database's name. */
  readonly address: string
  /** Every process of it stands still until the scope closes. */
  readonly frozen: Effect.Effect<void, PostgresServerError, Scope.Scope>
}

/** Who the server knows. */
export const username = "api"

export const notRunning = (problem: string, log = ""): PostgresServerError =>
  new PostgresServerError({ reason: new ServerNotRunning({ problem, log }) })

const statement = (address: string, text: string) =>
  Effect.scoped(
    Effect.flatMap(
      PgConnection.make({ url: Redacted.make(`${address}/postgres`) }),
      (connection) => connection.query(text)
    )
  ).pipe(inRealTime)

/** One try; fails where the server does not answer a statement. */
export const probe = (address: string): Effect.Effect<void, unknown> => Effect.asVoid(statement(address, "SELECT 1"))

/** Creates an empty database and gives its address. */
export const createDatabase = (address: string, name: string) =>
  Effect.mapError(
    Effect.as(statement(address, `CREATE DATABASE ${name}`), Redacted.make(`${address}/${name}`)),
    ({ message }) => notRunning(`did not create a database: ${message}`)
  )
