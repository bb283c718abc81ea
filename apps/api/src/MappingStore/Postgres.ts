import { type PgConnection, PgPool } from "@effect/sql-pg"
import { Duration, Effect, Fiber, Layer, type Redacted } from "effect"
import type { SqlError } from "effect/sql"
import {
  type Alteration,
  CannotOpen,
  MappingStore,
  MappingStoreError,
  StatementFailed,
  type Write
} from "../MappingStore.ts"
import { groupCommit } from "./GroupCommit.ts"
import { alterationColumns, alterationValues, mappingColumns, type Row, toAuditEntry, toMapping } from "./Rows.ts"
import { addressOf, planWrites, type Stored } from "./WritePlan.ts"

/** One step of the schema each. They are only ever added to: `schema_version` counts those that a database has had. */
const migrations = [
  `CREATE TABLE mappings (
    zone_id text COLLATE "C" NOT NULL,
    origin_ip text COLLATE "C" NOT NULL,
    vendor text NOT NULL,
    region text NOT NULL,
    modified_at bigint NOT NULL,
    PRIMARY KEY (zone_id, origin_ip)
  )`,
  `CREATE TABLE audit (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    token_id text NOT NULL,
    request_id text NOT NULL,
    generation smallint NOT NULL,
    operation text NOT NULL,
    zone_id text NOT NULL,
    origin_ip text NOT NULL,
    before_vendor text,
    before_region text,
    before_modified_at bigint,
    after_vendor text,
    after_region text,
    after_modified_at bigint
  )`,
  "CREATE INDEX audit_of_zone ON audit (zone_id, sequence)",
  `CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$`,
  `CREATE TRIGGER audit_keeps_its_lines BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()`
]

/**
 * Writers take turns, whichever process they are in: the order of the log is the order of the commits, so that whoever reads on from a
 * `sequence` misses nothing, and a zone is never filled beyond its limit. Any number that nobody else uses will do.
 */
const takeTurn = "SELECT pg_advisory_xact_lock(6317204950)"

/** Longer than anything here takes, unless something is wrong. */
const longest = Duration.seconds(10)

export interface PostgresOptions {
  readonly url: Redacted.Redacted
  /** How long an operation may take before it fails; never more than ten seconds. */
  readonly timeout: Duration.Duration
}

/** Keeps mappings in a PostgreSQL database, in tables of its own that it creates. */
export const layer = ({ timeout, url }: PostgresOptions): Layer.Layer<MappingStore, MappingStoreError> =>
  Layer.effect(
    MappingStore,
    Effect.gen(function*() {
      const limit = Duration.min(timeout, longest)
      const pool = yield* PgPool.make({
        url,
        applicationName: "origin-regions-api",
        maxConnections: 10,
        connectTimeout: Duration.min(limit, Duration.seconds(5)),
        startupParameters: sessionSettings(limit)
      })
      yield* migrate(pool)
      return yield* make(pool, limit)
    }).pipe(Effect.mapError((error) => error._tag === "SqlError" ? cannotOpen(error) : error))
  )

const sessionSettings = (limit: Duration.Duration) => {
  const millis = String(Duration.toMillis(limit))
  return {
    // What is acknowledged is on the disk, whatever the database's own setting.
    synchronous_commit: "on",
    // Whoever asked has given up by then; a process that hangs does not keep the turn.
    statement_timeout: millis,
    idle_in_transaction_session_timeout: millis
  }
}

const cannotOpen = (error: { readonly message: string; readonly cause?: unknown }) =>
  new MappingStoreError({
    reason: new CannotOpen({
      database: "of DATABASE_URL",
      problem: problemOf(error),
      remedy: "Check that PostgreSQL listens there, and lets this user create tables."
    })
  })

/** The innermost message: what PostgreSQL or the network said. */
const problemOf = (error: { readonly message: string; readonly cause?: unknown }): string =>
  error.cause instanceof Error ? problemOf(error.cause) : error.message

const migrate = (pool: PgPool.PgPool) =>
  inTransaction(
    pool,
    Effect.fnUntraced(function*(connection) {
      yield* connection.query(takeTurn)
      // Nobody waits for an answer yet, and a large table takes its time.
      yield* connection.query("SET LOCAL statement_timeout = 0")
      yield* connection.query("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
      const [row] = yield* rowsOf(connection, "SELECT version FROM schema_version")
      const version = Number(row?.["version"] ?? 0)
      if (version > migrations.length) {
        return yield* cannotOpen({ message: "it was written by a newer version of this program" })
      }
      for (const migration of migrations.slice(version)) yield* connection.query(migration)
      yield* connection.query("DELETE FROM schema_version")
      yield* connection.query("INSERT INTO schema_version VALUES ($1)", [migrations.length])
    })
  )

const rowsOf = (connection: PgConnection.PgConnection, statement: string, ...parameters: ReadonlyArray<unknown>) =>
  Effect.map(connection.query(statement, parameters), ({ rows }): ReadonlyArray<Row> => rows)

/**
 * All of it or nothing. Whatever else happens, the connection is closed: PostgreSQL undoes what is open then, and a connection in doubt serves
 * nobody again. Not the client's own transactions, which wait for a BEGIN, COMMIT or ROLLBACK as long as it takes.
 */
const inTransaction = <A, E>(
  pool: PgPool.PgPool,
  work: (connection: PgConnection.PgConnection) => Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError.SqlError> =>
  Effect.scoped(Effect.flatMap(pool.reserve, (connection) =>
    Effect.gen(function*() {
      yield* connection.query("BEGIN")
      const result = yield* work(connection)
      yield* connection.query("COMMIT")
      return result
    }).pipe(Effect.onError(() => pool.invalidate(connection)))))

const auditColumns = `sequence, ${alterationColumns.join(", ")}`
const numbers = new Set<string>(["at", "generation", "before_modified_at", "after_modified_at"])
const alterationRow = alterationColumns.map((column) => `${column} ${numbers.has(column) ? "bigint" : "text"}`).join(
  ", "
)

const storedFor = Effect.fnUntraced(function*(connection: PgConnection.PgConnection, writes: ReadonlyArray<Write>) {
  const keys = writes.flatMap(({ changes, zoneId }) =>
    changes.map((change) => ({ zone_id: zoneId, origin_ip: addressOf(change) }))
  )
  const mappings = yield* rowsOf(
    connection,
    `SELECT ${mappingColumns} FROM mappings WHERE (zone_id, origin_ip) IN
      (SELECT zone_id, origin_ip FROM jsonb_to_recordset($1::text::jsonb) AS keys (zone_id text, origin_ip text))`,
    JSON.stringify(keys)
  )
  const counts = yield* rowsOf(
    connection,
    `SELECT zone_id, count(*) AS total FROM mappings
      WHERE zone_id IN (SELECT jsonb_array_elements_text($1::text::jsonb)) GROUP BY zone_id`,
    JSON.stringify([...new Set(writes.map(({ zoneId }) => zoneId))])
  )
  const byKey = new Map(mappings.map((row) => [`${row["zone_id"]} ${row["origin_ip"]}`, toMapping(row)]))
  const byZone = new Map(counts.map((row) => [String(row["zone_id"]), Number(row["total"])]))
  return {
    get: (zoneId, originIp) => byKey.get(`${zoneId} ${originIp}`),
    count: (zoneId) => byZone.get(zoneId) ?? 0
  } satisfies Stored
})

/** Only the last alteration of an address matters to the mappings; the log has them all. */
const apply = Effect.fnUntraced(
  function*(connection: PgConnection.PgConnection, alterations: ReadonlyArray<Alteration>) {
    const last = [
      ...new Map(alterations.map((alteration) => [`${alteration.zoneId} ${alteration.originIp}`, alteration])).values()
    ]
    const kept = last.flatMap(({ after }) => after ?? [])
    const removed = last.filter(({ after }) => after === undefined)
    if (kept.length > 0) {
      yield* rowsOf(
        connection,
        `INSERT INTO mappings (${mappingColumns})
          SELECT "zoneId", "originIp", vendor, region, "modifiedAt" FROM jsonb_to_recordset($1::text::jsonb)
            AS kept ("zoneId" text, "originIp" text, vendor text, region text, "modifiedAt" bigint)
          ON CONFLICT (zone_id, origin_ip)
            DO UPDATE SET vendor = excluded.vendor, region = excluded.region, modified_at = excluded.modified_at`,
        JSON.stringify(kept)
      )
    }
    if (removed.length > 0) {
      yield* rowsOf(
        connection,
        `DELETE FROM mappings USING jsonb_to_recordset($1::text::jsonb) AS removed ("zoneId" text, "originIp" text)
          WHERE zone_id = "zoneId" AND origin_ip = "originIp"`,
        JSON.stringify(removed.map(({ originIp, zoneId }) => ({ zoneId, originIp })))
      )
    }
    yield* rowsOf(
      connection,
      `INSERT INTO audit (${alterationColumns.join(", ")}) SELECT ${alterationColumns.join(", ")}
        FROM ROWS FROM (jsonb_to_recordset($1::text::jsonb) AS (${alterationRow})) WITH ORDINALITY ORDER BY ordinality`,
      JSON.stringify(alterations.map((alteration) => {
        const values = alterationValues(alteration)
        return Object.fromEntries(alterationColumns.map((column, index) => [column, values[index]]))
      }))
    )
  }
)

const make = Effect.fnUntraced(function*(pool: PgPool.PgPool, limit: Duration.Duration) {
  const scope = yield* Effect.scope

  const inTime = <A>(effect: Effect.Effect<A, MappingStoreError>) =>
    Effect.timeoutOrElse(effect, {
      duration: limit,
      orElse: () => Effect.fail(failed(`no answer in ${Duration.format(limit)}`))
    })

  /** To give up on a statement can itself take seconds, where the server hangs; nobody waits for that. */
  const attempt = <A>(statements: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A, MappingStoreError> =>
    Effect.acquireUseRelease(
      Effect.forkIn(Effect.mapError(statements, (error) => failed(problemOf(error))), scope),
      (fiber) => inTime(Fiber.join(fiber)),
      (fiber) => Effect.sync(() => fiber.interruptUnsafe())
    )

  const read = <A>(use: (rows: ReadonlyArray<Row>) => A, statement: string, ...parameters: ReadonlyArray<unknown>) =>
    attempt(Effect.map(pool.use((connection) => rowsOf(connection, statement, ...parameters)), use))

  const commit = yield* groupCommit((writes) =>
    attempt(inTransaction(
      pool,
      Effect.fnUntraced(function*(connection) {
        yield* connection.query(takeTurn)
        const { alterations, results } = planWrites(writes, yield* storedFor(connection, writes))
        if (alterations.length > 0) yield* apply(connection, alterations)
        return results
      })
    ))
  )

  return MappingStore.of({
    write: (write) => inTime(commit(write)),
    get: (zoneId, originIp) =>
      read(
        ([row]) => row === undefined ? undefined : toMapping(row),
        `SELECT ${mappingColumns} FROM mappings WHERE zone_id = $1 AND origin_ip = $2`,
        zoneId,
        originIp
      ),
    list: (zoneId) =>
      read(
        (found) => found.map(toMapping),
        `SELECT ${mappingColumns} FROM mappings WHERE zone_id = $1 ORDER BY origin_ip`,
        zoneId
      ),
    page: (zoneId, { limit, offset }) =>
      read(
        (found) => ({
          mappings: found.filter((row) => row["origin_ip"] !== null).map(toMapping),
          total: Number(found[0]?.["total"])
        }),
        // One statement, so that both are of one moment.
        `SELECT total, page.* FROM (SELECT count(*) AS total FROM mappings WHERE zone_id = $1) AS whole LEFT JOIN
          (SELECT ${mappingColumns} FROM mappings WHERE zone_id = $1 ORDER BY origin_ip LIMIT $2 OFFSET $3) AS page
          ON true ORDER BY origin_ip`,
        zoneId,
        limit,
        offset
      ),
    check: read(() => undefined, "SELECT 1 FROM mappings LIMIT 1"),
    audit: ({ after, limit, zoneId }) =>
      zoneId === undefined
        ? read(
          (found) => found.map(toAuditEntry),
          `SELECT ${auditColumns} FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2`,
          after,
          limit
        )
        : read(
          (found) => found.map(toAuditEntry),
          `SELECT ${auditColumns} FROM audit WHERE sequence > $1 AND zone_id = $3 ORDER BY sequence LIMIT $2`,
          after,
          limit,
          zoneId
        )
  })
})

const failed = (problem: string) => new MappingStoreError({ reason: new StatementFailed({ problem }) })
