import { Effect, type Scope } from "effect"
import { constants } from "node:fs"
import { access, mkdir, mkdtemp, rm, statfs } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as NodePath from "node:path"
import { DirectoryUnusable, KafkaBrokerError } from "../KafkaBrokerError.ts"
import { Leash } from "../Leash.ts"

const sharedMemory = "/dev/shm"
const neededInMemory = 1024 ** 3

/** Memory where there is enough of it, since tests need no disk; else the system's temporary directory. */
const temporaryParent = Effect.promise(async () => {
  try {
    await access(sharedMemory, constants.W_OK)
    const { bavail, bsize } = await statfs(sharedMemory)
    return bavail * bsize >= neededInMemory ? sharedMemory : tmpdir()
  } catch {
    return tmpdir()
  }
})

/** A file operation, whose failure is a sentence about `path`. */
export const onDisk = <A>(path: string, operation: () => Promise<A>): Effect.Effect<A, KafkaBrokerError> =>
  Effect.tryPromise({
    try: operation,
    catch: (error) =>
      new KafkaBrokerError({
        reason: new DirectoryUnusable({ path, problem: error instanceof Error ? error.message : String(error) })
      })
  })

const makeScoped = (path: string, make: () => Promise<string>) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const { hold } = yield* Leash
      const directory = yield* onDisk(path, make)
      return { directory, release: hold({ _tag: "Directory", path: directory }) }
    }),
    ({ directory, release }) =>
      Effect.promise(() => rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })).pipe(
        Effect.andThen(Effect.sync(release))
      )
  ).pipe(Effect.map(({ directory }) => directory))

/** A directory that goes with the scope, or with us. */
export const temporaryDirectory: Effect.Effect<string, KafkaBrokerError, Scope.Scope | Leash> = Effect.flatMap(
  temporaryParent,
  (parent) => {
    const prefix = NodePath.join(parent, "origin-regions-")
    return makeScoped(parent, () => mkdtemp(prefix))
  }
)

/** The same beside `path`, for something that is to take that place when it is complete. */
export const unfinishedDirectory = (path: string): Effect.Effect<string, KafkaBrokerError, Scope.Scope | Leash> =>
  makeScoped(path, async () => {
    await mkdir(NodePath.dirname(path), { recursive: true })
    return mkdtemp(`${path}.unfinished-`)
  })
