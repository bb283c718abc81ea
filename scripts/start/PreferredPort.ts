import { Effect } from "effect"
import { createServer } from "node:net"

/** The port if it is free on loopback, otherwise 0: any. */
export const preferredPort = (port: number): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(0)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(port))))
  })
