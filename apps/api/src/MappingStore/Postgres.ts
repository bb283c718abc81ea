import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, type Redacted } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
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

/** Keeps mappings in a PostgreSQL database, in tables of its own that it creates. */
export const layer = (url: Redacted.Redacted): Layer.Layer<MappingStore, MappingStoreError> =>
  Layer.effect(
    MappingStore,
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      yield* Effect.mapError(migrate(sql), (error) => error._tag === "SqlError" ? cannotOpen(error) : error)
      return yield* make(sql)
    })
  ).pipe(
    Layer.provide(Layer.catchTag(
      PgClient.layer({
        url,
        applicationName: "origin-regions-api",
        maxConnections: 10,
        connectTimeout: "5 seconds",
        startupOptions: "-c statement_timeout=10000"
      }),
      "SqlError",
      (error) => Layer.effectContext(Effect.fail(cannotOpen(error)))
    ))
  )

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

const migrate = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql.unsafe(takeTurn)
    yield* sql.unsafe("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
    const [row] = yield* sql.unsafe<Row>("SELECT version FROM schema_version")
    const version = Number(row?.["version"] ?? 0)
    if (version > migrations.length) {
      return yield* cannotOpen({ message: "it was written by a newer version of this program" })
    }
    for (const migration of migrations.slice(version)) yield* sql.unsafe(migration)
    yield* sql.unsafe("DELETE FROM schema_version")
    yield* sql.unsafe("INSERT INTO schema_version VALUES ($1)", [migrations.length])
  }))
})

const auditColumns = `sequence, ${alterationColumns.join(", ")}`
const numbers = new Set<string>(["at", "generation", "before_modified_at", "after_modified_at"])
const alterationRow = alterationColumns.map((column) => `${column} ${numbers.has(column) ? "bigint" : "text"}`).join(
  ", "
)

const make = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  const rows = (statement: string, ...parameters: ReadonlyArray<unknown>) => sql.unsafe<Row>(statement, parameters)

  const storedFor = Effect.fnUntraced(function*(writes: ReadonlyArray<Write>) {
    const keys = writes.flatMap(({ changes, zoneId }) =>
      changes.map((change) => ({ zone_id: zoneId, origin_ip: addressOf(change) }))
    )
    const mappings = yield* rows(
      `SELECT ${mappingColumns} FROM mappings WHERE (zone_id, origin_ip) IN
        (SELECT zone_id, origin_ip FROM jsonb_to_recordset($1::text::jsonb) AS keys (zone_id text, origin_ip text))`,
      JSON.stringify(keys)
    )
    const counts = yield* rows(
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
  const apply = Effect.fnUntraced(function*(alterations: ReadonlyArray<Alteration>) {
    const last = [
      ...new Map(alterations.map((alteration) => [`${alteration.zoneId} ${alteration.originIp}`, alteration])).values()
    ]
    const kept = last.flatMap(({ after }) => after ?? [])
    const removed = last.filter(({ after }) => after === undefined)
    if (kept.length > 0) {
      yield* rows(
        `INSERT INTO mappings (${mappingColumns})
          SELECT "zoneId", "originIp", vendor, region, "modifiedAt" FROM jsonb_to_recordset($1::text::jsonb)
            AS kept ("zoneId" text, "originIp" text, vendor text, region text, "modifiedAt" bigint)
          ON CONFLICT (zone_id, origin_ip)
            DO UPDATE SET vendor = excluded.vendor, region = excluded.region, modified_at = excluded.modified_at`,
        JSON.stringify(kept)
      )
    }
    if (removed.length > 0) {
      yield* rows(
        `DELETE FROM mappings USING jsonb_to_recordset($1::text::jsonb) AS removed ("zoneId" text, "originIp" text)
          WHERE zone_id = "zoneId" AND origin_ip = "originIp"`,
        JSON.stringify(removed.map(({ originIp, zoneId }) => ({ zoneId, originIp })))
      )
    }
    yield* rows(
      `INSERT INTO audit (${alterationColumns.join(", ")}) SELECT ${alterationColumns.join(", ")}
        FROM ROWS FROM (jsonb_to_recordset($1::text::jsonb) AS (${alterationRow})) WITH ORDINALITY ORDER BY ordinality`,
      JSON.stringify(alterations.map((alteration) => {
        const values = alterationValues(alteration)
        return Object.fromEntries(alterationColumns.map((column, index) => [column, values[index]]))
      }))
    )
  })

  return MappingStore.of({
    write: yield* groupCommit((writes) =>
      attempt(sql.withTransaction(Effect.gen(function*() {
        yield* rows(takeTurn)
        const { alterations, results } = planWrites(writes, yield* storedFor(writes))
        if (alterations.length > 0) yield* apply(alterations)
        return results
      })))
    ),
    get: (zoneId, originIp) =>
      attempt(Effect.map(
        rows(`SELECT ${mappingColumns} FROM mappings WHERE zone_id = $1 AND origin_ip = $2`, zoneId, originIp),
        ([row]) => row === undefined ? undefined : toMapping(row)
      )),
    list: (zoneId) =>
      attempt(Effect.map(
        rows(`SELECT ${mappingColumns} FROM mappings WHERE zone_id = $1 ORDER BY origin_ip`, zoneId),
        (found) => found.map(toMapping)
      )),
    page: (zoneId, { limit, offset }) =>
      attempt(Effect.map(
        // One statement, so that both are of one moment.
        rows(
          `SELECT total, page.* FROM (SELECT count(*) AS total FROM mappings WHERE zone_id = $1) AS whole LEFT JOIN
            (SELECT ${mappingColumns} FROM mappings WHERE zone_id = $1 ORDER BY origin_ip LIMIT $2 OFFSET $3) AS page
            ON true ORDER BY origin_ip`,
          zoneId,
          limit,
          offset
        ),
        (found) => ({
          mappings: found.filter((row) => row["origin_ip"] !== null).map(toMapping),
          total: Number(found[0]?.["total"])
        })
      )),
    audit: ({ after, limit, zoneId }) =>
      attempt(Effect.map(
        zoneId === undefined
          ? rows(`SELECT ${auditColumns} FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2`, after, limit)
          : rows(
            `SELECT ${auditColumns} FROM audit WHERE sequence > $1 AND zone_id = $3 ORDER BY sequence LIMIT $2`,
            after,
            limit,
            zoneId
          ),
        (found) => found.map(toAuditEntry)
      ))
  })
})

const attempt = <A>(effect: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A, MappingStoreError> =>
  Effect.mapError(
    effect,
    (error) => new MappingStoreError({ reason: new StatementFailed({ problem: problemOf(error) }) })
  )
