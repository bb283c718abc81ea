import { Effect, FileSystem, Stdio, Stream } from "effect"
import { CommandError, UnreadableFile } from "./CommandError.ts"

/** Bytes that can be read more than once, each time the same. */
export interface RequestFile {
  readonly name: string
  readonly bytes: Stream.Stream<Uint8Array, CommandError>
  /** How many bytes there are, where that is known. */
  readonly size: number | undefined
  /** Fails where the file has been written to since it was opened. */
  readonly unchanged: Effect.Effect<void, CommandError>
}

const unreadable = (path: string, problem: string) =>
  new CommandError({ reason: new UnreadableFile({ path, problem }) })

const openFailed =
  (path: string) => ({ message, reason }: { readonly message: string; readonly reason: { readonly _tag: string } }) =>
    unreadable(path, reason._tag === "NotFound" ? "there is no such file" : message)

/**
 * Opens a file of requests; `-` is the standard input. What is no file on a disk cannot be read twice: it is kept in memory, as it came, unless once is
 * enough.
 */
export const openRequestFile = Effect.fnUntraced(function*(path: string, reading: "once" | "again") {
  const fs = yield* FileSystem.FileSystem
  const { stdin } = yield* Stdio.Stdio
  if (path !== "-") {
    const stat = fs.stat(path)
    const opened = yield* Effect.mapError(stat, openFailed(path))
    if (opened.type === "Directory") return yield* unreadable(path, "it is a directory")
    if (opened.type === "File") {
      const file: RequestFile = {
        name: path,
        bytes: Stream.mapError(fs.stream(path), openFailed(path)),
        size: Number(opened.size),
        unchanged: Effect.gen(function*() {
          const now = yield* Effect.mapError(stat, openFailed(path))
          if (now.size !== opened.size || String(now.mtime) !== String(opened.mtime)) {
            return yield* unreadable(path, "it was written to meanwhile")
          }
        })
      }
      return file
    }
  }
  const name = path === "-" ? "The standard input" : path
  const coming = Stream.mapError(path === "-" ? stdin : fs.stream(path), openFailed(name))
  if (reading === "once") {
    const file: RequestFile = { name, bytes: coming, size: undefined, unchanged: Effect.void }
    return file
  }
  const kept = yield* Stream.runCollect(coming)
  const file: RequestFile = {
    name,
    bytes: Stream.fromIterable(kept),
    size: kept.reduce((sum, bytes) => sum + bytes.length, 0),
    unchanged: Effect.void
  }
  return file
})
