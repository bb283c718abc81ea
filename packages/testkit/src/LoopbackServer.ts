import { Effect, type Scope } from "effect"
import { createServer, type RequestListener } from "node:http"

/** Serves HTTP on a free port of the loopback while the scope is open, at the origin that it answers. At its end whoever is connected is cut off. */
export const serveOnLoopback = Effect.fnUntraced(
  function*(handler: RequestListener): Effect.fn.Return<string, never, Scope.Scope> {
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer(handler).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    const address = server.address()
    if (address === null || typeof address === "string") return yield* Effect.die("it has no port")
    return `http://127.0.0.1:${address.port}`
  }
)
