import { Effect, type Scope } from "effect"
import { createHash } from "node:crypto"
import { unlink } from "node:fs/promises"
import { connect, createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import * as NodePath from "node:path"
import { AlreadyRuns, DirectoryUnusable, KafkaBrokerError } from "../KafkaBrokerError.ts"

const listen = (path: string) =>
  Effect.callback<Server, NodeJS.ErrnoException>((resume) => {
    const server = createServer((socket) => socket.destroy())
    server.once("error", (error) => resume(Effect.fail(error)))
    server.listen(path, () => resume(Effect.succeed(server.unref())))
  })

const isHeld = (path: string) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(path)
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    // Only these say that nobody listens; a busy listener can refuse in other ways.
    socket.once("error", (error: NodeJS.ErrnoException) =>
      resume(Effect.succeed(error.code !== "ECONNREFUSED" && error.code !== "ENOENT")))
  })

/**
 * Holds `place` for one broker of this machine until the scope closes. Kafka has a lock too, but looks at it only after its
 * controller has written to the metadata log, which two controllers together can ruin.
 *
 * The lock is a listening socket, which ends with us however we end. Its file lies in the temporary directory, because a socket's
 * path may have no more than about a hundred characters.
 */
export const exclusively = (place: string): Effect.Effect<void, KafkaBrokerError, Scope.Scope> => {
  const key = createHash("sha256").update(place).digest("hex").slice(0, 32)
  const path = NodePath.join(tmpdir(), `origin-regions-${key}.lock`)
  const alreadyRuns = new KafkaBrokerError({ reason: new AlreadyRuns({ place }) })
  const take = listen(path).pipe(
    Effect.catch((error) =>
      Effect.gen(function*() {
        if (error.code !== "EADDRINUSE") return yield* Effect.fail(error)
        if (yield* isHeld(path)) return yield* alreadyRuns
        // Left by a holder that was killed.
        yield* Effect.promise(() => unlink(path).catch(() => {}))
        return yield* listen(path)
      })
    ),
    Effect.mapError((error) => {
      if (error instanceof KafkaBrokerError) return error
      return error.code === "EADDRINUSE"
        ? alreadyRuns
        : new KafkaBrokerError({ reason: new DirectoryUnusable({ path, problem: error.message }) })
    })
  )
  return Effect.acquireRelease(take, (server) =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
    })).pipe(Effect.asVoid)
}
