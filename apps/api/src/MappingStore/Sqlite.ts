import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { Vendor } from "@origin-regions/domain/Vendor"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Layer } from "effect"
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite"
import {
  CannotOpen,
  MappingStore,
  MappingStoreError,
  StatementFailed,
  type StoredMapping,
  ZONE_LIMIT
} from "../MappingStore.ts"

/** One step of the schema each. They are only ever added to: `user_version` counts those that a file has had. */
const migrations = [
  `CREATE TABLE mappings (
    zone_id TEXT NOT NULL,
    origin_ip TEXT NOT NULL,
    vendor TEXT NOT NULL,
    region TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    PRIMARY KEY (zone_id, origin_ip)
  ) STRICT, WITHOUT ROWID`
]

/** How long a statement waits for another process that is writing to the same file. */
const lockWaitMillis = 5000

/**
 * Keeps mappings in an SQLite file, which is created with its directory where it is missing. `:memory:` keeps them in memory.
 * WAL with `synchronous=FULL`: a write is on the disk before it is reported as done.
 */
export const layer = (database: string): Layer.Layer<MappingStore, MappingStoreError> =>
  Layer.effect(
    MappingStore,
    Effect.map(
      Effect.acquireRelease(
        Effect.try({
          try: () => open(database),
          catch: (cause) => new MappingStoreError({ reason: new CannotOpen({ database, problem: problemOf(cause) }) })
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

const key = "zone_id = :zoneId AND origin_ip = :originIp"
const columns = "zone_id, origin_ip, vendor, region, modified_at"
const hasRoom = `(SELECT count(*) FROM mappings WHERE zone_id = :zoneId) < ${ZONE_LIMIT}`
const values = "SELECT :zoneId, :originIp, :vendor, :region, :modifiedAt"

const make = (connection: DatabaseSync): MappingStore["Service"] => {
  const begin = connection.prepare("BEGIN IMMEDIATE")
  const commit = connection.prepare("COMMIT")
  const rollback = connection.prepare("ROLLBACK")
  const insert = connection.prepare(
    `INSERT INTO mappings (${columns}) ${values} WHERE ${hasRoom} ON CONFLICT DO NOTHING`
  )
  const replace = connection.prepare(
    `INSERT INTO mappings (${columns}) ${values} WHERE EXISTS (SELECT 1 FROM mappings WHERE ${key}) OR ${hasRoom}
    ON CONFLICT DO UPDATE SET vendor = excluded.vendor, region = excluded.region, modified_at = excluded.modified_at`
  )
  const remove = connection.prepare(`DELETE FROM mappings WHERE ${key} RETURNING ${columns}`)
  const select = connection.prepare(`SELECT ${columns} FROM mappings WHERE ${key}`)
  const selectZone = connection.prepare(`SELECT ${columns} FROM mappings WHERE zone_id = :zoneId ORDER BY origin_ip`)

  const inTransaction = <A>(body: () => A): A => {
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

  return MappingStore.of({
    create: (mapping) =>
      attempt(() =>
        inTransaction(() => {
          if (insert.run({ ...mapping }).changes === 1) return "created"
          return one(select, mapping.zoneId, mapping.originIp) === undefined ? "full" : "exists"
        })
      ),
    upsert: (mapping) => attempt(() => replace.run({ ...mapping }).changes === 1 ? "stored" : "full"),
    delete: (zoneId, originIp) => attempt(() => one(remove, zoneId, originIp)),
    get: (zoneId, originIp) => attempt(() => one(select, zoneId, originIp)),
    list: (zoneId) => attempt(() => selectZone.all({ zoneId }).map(toMapping))
  })
}

const one = (statement: StatementSync, zoneId: ZoneId, originIp: OriginIp): StoredMapping | undefined => {
  const row = statement.get({ zoneId, originIp })
  return row === undefined ? undefined : toMapping(row)
}

const attempt = <A>(run: () => A): Effect.Effect<A, MappingStoreError> =>
  Effect.try({
    try: run,
    catch: (cause) => new MappingStoreError({ reason: new StatementFailed({ problem: problemOf(cause) }) })
  })

const toMapping = (row: Record<string, SQLOutputValue>): StoredMapping => ({
  // Only `make` writes rows, from branded values.
  zoneId: row["zone_id"] as ZoneId,
  originIp: row["origin_ip"] as OriginIp,
  vendor: row["vendor"] as Vendor,
  region: String(row["region"]),
  modifiedAt: Number(row["modified_at"])
})
