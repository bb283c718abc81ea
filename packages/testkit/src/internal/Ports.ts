import { Effect } from "effect"
import { createServer } from "node:net"

/** A port of the loopback interface that was free a moment ago; 0 asks for any. Fails where the port is taken. */
const listenable = (port: number): Effect.Effect<number, "taken"> =>
  Effect.callback((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.fail("taken")))
    server.listen(port, "127.0.0.1", () => {
      const address = server.address()
      const found = typeof address === "object" && address !== null ? address.port : port
      server.close(() => resume(Effect.succeed(found)))
    })
  })

/** Any free port of the loopback interface. Somebody else can take it before it is used: be ready to ask again. */
export const freePort: Effect.Effect<number> = Effect.orDie(listenable(0))

/** The preferred port if it is free, otherwise any. */
export const portPreferring = (preferred: number | undefined): Effect.Effect<number> =>
  preferred === undefined ? freePort : Effect.orElseSucceed(listenable(preferred), () => 0).pipe(
    Effect.flatMap((port) => port === 0 ? freePort : Effect.succeed(port))
  )
