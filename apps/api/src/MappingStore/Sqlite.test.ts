import { assert, describe, it } from "@effect/vitest"
import { canonicalize } from "@origin-regions/domain/OriginIp"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Fiber, Layer } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { MappingStore, type StoredMapping, type Write } from "../MappingStore.ts"
import { mappingStoreContract } from "./MappingStoreContract.ts"
import * as Sqlite from "./Sqlite.ts"

mappingStoreContract("SQLite", (name, run) => {
  it.effect(name, () => Effect.provide(run(), Layer.fresh(Sqlite.layer(":memory:"))))
})

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "mapping-store-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const zone = ZoneId.make("zone")
const originIp = canonicalize("192.0.2.1") ?? assert.fail("not an address")
const mapping: StoredMapping = {
  zoneId: zone,
  originIp,
  vendor: Vendor.make("aws"),
  region: "us-east-1",
  modifiedAt: 1
}
const create: Write = {
  zoneId: zone,
  changes: [{ type: "create", mapping }],
  author: { tokenId: "0a1b2c", requestId: "request-1", generation: 1, operation: "create" },
  at: 1
}

/** Runs with a store of its own on the file, closed afterwards. */
const withStore = <A, E>(file: string, use: (store: MappingStore["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(MappingStore, use).pipe(Effect.provide(Layer.fresh(Sqlite.layer(file))))

/** Looks at the file with a connection of the test's own. */
const inspect = <A>(file: string, look: (connection: DatabaseSync) => A) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new DatabaseSync(file)),
    (connection) => Effect.sync(() => look(connection)),
    (connection) => Effect.sync(() => connection.close())
  )

describe("Sqlite", () => {
  it.effect("creates the file and its directory, and finds the mappings again", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "deep/er/api.sqlite")
      assert.deepStrictEqual(yield* withStore(file, (store) => store.write(create)), [undefined])
      assert.deepStrictEqual(yield* withStore(file, (store) => store.list(zone)), [mapping])
      assert.deepStrictEqual(yield* withStore(file, (store) => store.write(create)), [mapping])
      assert.lengthOf(yield* withStore(file, (store) => store.audit({ after: 0, limit: 10 })), 1)
    }))

  it.effect("writes ahead and keeps the version of its schema", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "api.sqlite")
      yield* withStore(file, (store) => store.write(create))
      yield* inspect(file, (connection) => {
        assert.deepStrictEqual({ ...connection.prepare("PRAGMA journal_mode").get() }, { journal_mode: "wal" })
        assert.deepStrictEqual({ ...connection.prepare("PRAGMA user_version").get() }, { user_version: 2 })
      })
    }))

  it.effect("shares a file with another connection, one create winning", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "api.sqlite")
      const first = yield* Layer.build(Layer.fresh(Sqlite.layer(file)))
      const second = yield* Layer.build(Layer.fresh(Sqlite.layer(file)))
      const write = MappingStore.use((store) => store.write(create))
      assert.deepStrictEqual(yield* Effect.provideContext(write, first), [undefined])
      assert.deepStrictEqual(yield* Effect.provideContext(write, second), [mapping])
    }))

  it.effect("sees in all reads of a group what another connection wrote before the last of them", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "api.sqlite")
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          const get = store.get(zone, originIp)
          const first = yield* Effect.forkChild(get, { startImmediately: true })
          yield* inspect(
            file,
            (connection) => connection.exec("INSERT INTO mappings VALUES ('zone', '192.0.2.1', 'aws', 'us-east-1', 1)")
          )
          const last = yield* Effect.forkChild(get, { startImmediately: true })
          assert.deepStrictEqual(yield* Fiber.joinAll([first, last]), [mapping, mapping])
          yield* inspect(file, (connection) => connection.exec("DELETE FROM mappings"))
          assert.deepStrictEqual(yield* Effect.all([get, get], { concurrency: "unbounded" }), [undefined, undefined])
        }))
    }))

  it.effect("reports a statement that fails, and works again when it can", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "api.sqlite")
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          yield* inspect(file, (connection) => connection.exec("ALTER TABLE mappings RENAME TO gone"))
          const error = yield* Effect.flip(store.write(create))
          assert.strictEqual(error.reason._tag, "StatementFailed")
          assert.include(error.message, "mappings")
          yield* inspect(file, (connection) => connection.exec("ALTER TABLE gone RENAME TO mappings"))
          assert.deepStrictEqual(yield* store.write(create), [undefined])
        }))
    }))

  it.effect("loses no change without its line in the log, nor a line without its change", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "api.sqlite")
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          yield* inspect(file, (connection) => connection.exec("ALTER TABLE audit RENAME TO gone"))
          assert.strictEqual((yield* Effect.flip(store.write(create))).reason._tag, "StatementFailed")
          assert.deepStrictEqual(yield* store.list(zone), [])
        }))
    }))

  it.effect("lets nobody change or remove a line of the log", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "api.sqlite")
      yield* withStore(file, (store) => store.write(create))
      yield* inspect(file, (connection) => {
        assert.throws(() => connection.exec("UPDATE audit SET token_id = 'x'"), "append-only")
        assert.throws(() => connection.exec("DELETE FROM audit"), "append-only")
      })
    }))

  it.effect("brings a file of the first version up to date", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "api.sqlite")
      yield* inspect(file, (connection) =>
        connection.exec(
          `CREATE TABLE mappings (zone_id TEXT NOT NULL, origin_ip TEXT NOT NULL, vendor TEXT NOT NULL, region TEXT NOT NULL,
          modified_at INTEGER NOT NULL, PRIMARY KEY (zone_id, origin_ip)) STRICT, WITHOUT ROWID;
          INSERT INTO mappings VALUES ('zone', '192.0.2.1', 'aws', 'us-east-1', 1); PRAGMA user_version = 1`
        ))
      assert.deepStrictEqual(
        yield* withStore(file, (store) => store.write(create)),
        [mapping]
      )
    }))

  it.effect.each<[string, (directory: string) => string]>([
    ["a directory", (directory) => directory],
    ["a path through a file", (directory) => {
      writeFileSync(join(directory, "file"), "")
      return join(directory, "file", "api.sqlite")
    }],
    ["something else than a database", (directory) => {
      writeFileSync(join(directory, "text"), "not a database at all, and long enough to be read as one".repeat(20))
      return join(directory, "text")
    }],
    ["a database of a newer version", (directory) => {
      const file = join(directory, "newer.sqlite")
      const connection = new DatabaseSync(file)
      connection.exec("PRAGMA user_version = 999")
      connection.close()
      return file
    }]
  ])("says in a sentence that it can't open %s", ([, prepare]) =>
    Effect.gen(function*() {
      const file = prepare(yield* temporaryDirectory)
      const error = yield* Effect.flip(withStore(file, () => Effect.void))
      assert.strictEqual(error.reason._tag, "CannotOpen")
      assert.include(error.message, file)
      assert.include(error.message, "API_DATABASE")
    }))
})
