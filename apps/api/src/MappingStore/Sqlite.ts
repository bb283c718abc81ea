import { Effect, Layer } from "effect"
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import { type Alteration, CannotOpen, MappingStore, MappingStoreError, StatementFailed } from "../MappingStore.ts"
import { groupCommit } from "./GroupCommit.ts"
import { groupRead } from "./GroupRead.ts"
import { alterationColumns, alterationValues, mappingColumns, toAuditEntry, toMapping } from "./Rows.ts"
import { planWrites, type Stored } from "./WritePlan.ts"

/** One step of the schema each. They are only ever added to: `user_version` counts those that a file has had. */
const migrations = [
  `CREATE TABLE mappings (
    zone_id TEXT NOT NULL,
    origin_ip TEXT NOT NULL,
    vendor TEXT NOT NULL,
    region TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    PRIMARY KEY (zone_id, origin_ip)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    token_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    operation TEXT NOT NULL,
    zone_id TEXT NOT NULL,
    origin_ip TEXT NOT NULL,
    before_vendor TEXT,
    before_region TEXT,
    before_modified_at INTEGER,
    after_vendor TEXT,
    after_region TEXT,
    after_modified_at INTEGER
  ) STRICT;
  CREATE INDEX audit_of_zone ON audit (zone_id, sequence);
  CREATE TRIGGER audit_keeps_its_lines BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
  CREATE TRIGGER audit_loses_no_line BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`
]

const remedy = "Set API_DATABASE to a file that can be created or written."

/** How long a statement waits for another process that is writing to the same file. */
const lockWaitMillis = 5000

/**
 * Keeps mappings in an SQLite file, which is created with its directory where it is missing. `:memory:` keeps them in memory.
 * WAL with `synchronous=FULL`: a write is on the disk before it is reported as done; those that wait together share the wait.
 */
export const layer = (database: string): Layer.Layer<MappingStore, MappingStoreError> =>
  Layer.effect(
    MappingStore,
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.try({
          try: () => open(database),
          catch: (cause) =>
            new MappingStoreError({ reason: new CannotOpen({ database, problem: problemOf(cause), remedy }) })
        }),
        (connection) => Effect.sync(() => connection.close())
      ),
      make
    )
  )

const open = (database: string): DatabaseSync => {
  if (database !== ":memory:") mkdirSync(dirname(database), { recursive: true })
  const connection = new DatabaseSync(database, { timeout: lockWaitMillis })
  try {
    connection.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    migrate(connection)
    return connection
  } catch (cause) {
    connection.close()
    throw cause
  }
}

const migrate = (connection: DatabaseSync): void => {
  // The lock comes first, so that of two processes that start together one finds the work done.
  connection.exec("BEGIN IMMEDIATE")
  const version = Number(connection.prepare("PRAGMA user_version").get()?.["user_version"])
  if (version > migrations.length) throw new Error("it was written by a newer version of this program")
  for (const migration of migrations.slice(version)) connection.exec(migration)
  connection.exec(`PRAGMA user_version = ${migrations.length}; COMMIT`)
}

const problemOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

const key = "zone_id = ? AND origin_ip = ?"

const make = Effect.fnUntraced(function*(connection: DatabaseSync) {
  const beginReading = connection.prepare("BEGIN")
  const beginWriting = connection.prepare("BEGIN IMMEDIATE")
  const commit = connection.prepare("COMMIT")
  const rollback = connection.prepare("ROLLBACK")
  const put = connection.prepare(
    `INSERT INTO mappings (${mappingColumns}) VALUES (:zoneId, :originIp, :vendor, :region, :modifiedAt)
    ON CONFLICT DO UPDATE SET vendor = excluded.vendor, region = excluded.region, modified_at = excluded.modified_at`
  )
  const remove = connection.prepare(`DELETE FROM mappings WHERE ${key}`)
  const log = connection.prepare(
    `INSERT INTO audit (${alterationColumns.join(", ")}) VALUES (${alterationColumns.map(() => "?").join(", ")})`
  )
  const select = connection.prepare(`SELECT ${mappingColumns} FROM mappings WHERE ${key}`)
  const count = connection.prepare("SELECT count(*) AS total FROM mappings WHERE zone_id = :zoneId")
  const selectAny = connection.prepare("SELECT 1 FROM mappings LIMIT 1")
  const selectZone = connection.prepare(
    `SELECT ${mappingColumns} FROM mappings WHERE zone_id = :zoneId ORDER BY origin_ip`
  )
  const selectPage = connection.prepare(
    `SELECT ${mappingColumns} FROM mappings WHERE zone_id = :zoneId ORDER BY origin_ip LIMIT :limit OFFSET :offset`
  )
  const auditColumns = `sequence, ${alterationColumns.join(", ")}`
  const selectAudit = connection.prepare(
    `SELECT ${auditColumns} FROM audit WHERE sequence > :after ORDER BY sequence LIMIT :limit`
  )
  const selectAuditOfZone = connection.prepare(
    `SELECT ${auditColumns} FROM audit WHERE zone_id = :zoneId AND sequence > :after ORDER BY sequence LIMIT :limit`
  )

  const inTransaction = (begin: StatementSync) => <A>(body: () => A): A => {
    begin.run()
    try {
      const result = body()
      commit.run()
      return result
    } catch (cause) {
      if (connection.isTransaction) rollback.run()
      throw cause
    }
  }

  const writing = inTransaction(beginWriting)
  // A row at most: whoever shares a group waits for all of it, and all that it has read is in memory at once.
  const readRow = yield* groupRead(inTransaction(beginReading), statementFailed)

  const stored: Stored = {
    get(zoneId, originIp) {
      const row = select.get(zoneId, originIp)
      return row === undefined ? undefined : toMapping(row)
    },
    count: (zoneId) => Number(count.get({ zoneId })?.["total"])
  }

  const apply = (alteration: Alteration): void => {
    const { after, originIp, zoneId } = alteration
    if (after === undefined) remove.run(zoneId, originIp)
    else put.run({ ...after })
    log.run(...alterationValues(alteration))
  }

  return MappingStore.of({
    write: yield* groupCommit((writes) =>
      attempt(() =>
        writing(() => {
          const { alterations, results } = planWrites(writes, stored)
          for (const alteration of alterations) apply(alteration)
          return results
        })
      )
    ),
    get: (zoneId, originIp) => readRow(() => stored.get(zoneId, originIp)),
    list: (zoneId) => attempt(() => selectZone.all({ zoneId }).map(toMapping)),
    page: (zoneId, { limit, offset }) =>
      attempt(() => ({
        mappings: selectPage.all({ zoneId, limit, offset }).map(toMapping),
        total: stored.count(zoneId)
      })),
    check: readRow(() => void selectAny.get()),
    audit: ({ after, limit, zoneId }) =>
      attempt(() =>
        (zoneId === undefined ? selectAudit.all({ after, limit }) : selectAuditOfZone.all({ zoneId, after, limit }))
          .map(toAuditEntry)
      )
  })
})

const attempt = <A>(run: () => A): Effect.Effect<A, MappingStoreError> =>
  Effect.try({ try: run, catch: statementFailed })

const statementFailed = (cause: unknown) =>
  new MappingStoreError({ reason: new StatementFailed({ problem: problemOf(cause) }) })
