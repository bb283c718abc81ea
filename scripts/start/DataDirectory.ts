import { Effect, FileSystem, Path, type PlatformError, Schema, type Scope } from "effect"

/** Another `npm start` or `npm run kafka` works on the same data. */
export class DataInUse extends Schema.TaggedError<DataInUse>()("DataInUse", {
  directory: Schema.String,
  pid: Schema.Int,
  lock: Schema.String
}) {
  override get message() {
    return `Process ${this.pid} works on ${this.directory} already: end that npm start first (or delete ${this.lock}, if it is none).`
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/**
 * Takes the directory for this process alone, until the scope closes: a file in it holds our process id. One whose process has gone is taken over.
 * `fresh` empties the directory first.
 */
export const holdDataDirectory = Effect.fnUntraced(function*(
  directory: string,
  { fresh }: { readonly fresh: boolean }
): Effect.fn.Return<void, DataInUse | PlatformError.PlatformError, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const lock = path.join(directory, "in-use-by")
  yield* fs.makeDirectory(directory, { recursive: true })
  const take = fs.writeFileString(lock, String(process.pid), { flag: "wx" })
  const takeOver = Effect.gen(function*() {
    const pid = Number(yield* fs.readFileString(lock))
    if (pid > 0 && isAlive(pid)) return yield* new DataInUse({ directory, pid, lock })
    yield* fs.remove(lock, { force: true })
    return yield* take
  })
  yield* Effect.acquireRelease(
    Effect.catchIf(take, ({ reason }) => reason._tag === "AlreadyExists", () => takeOver),
    () => Effect.ignore(fs.remove(lock, { force: true }))
  )
  if (!fresh) return
  for (const name of yield* fs.readDirectory(directory)) {
    if (path.join(directory, name) !== lock) yield* fs.remove(path.join(directory, name), { recursive: true })
  }
})
