import { Effect, type Scope } from "effect"
import { connect, createServer, type Server, type Socket } from "node:net"

/**
 * What a link does with what it is given:
 *
 * - `open`: passes it on;
 * - `closed`: refuses every connection;
 * - `silent`: lets connections stand and takes them, and passes nothing on, either way; what it was given meanwhile is lost;
 * - `losing requests`: cuts a connection instead of passing on what the client says;
 * - `losing answers`: passes on what the client says, and cuts the connection instead of passing back what the server says to it.
 */
export type LinkState = "open" | "closed" | "silent" | "losing requests" | "losing answers"

/** A way from clients to a server that can fail. */
export interface NetworkLink {
  /** `host:port` for clients. */
  readonly address: string
  /** Ends what it did before: who was met by silence is cut. Connections that are open survive only from `open` to what does not close them. */
  readonly set: (state: LinkState) => Effect.Effect<void>
}

/** Turns what the server says into what the client gets, piece by piece. One for each connection. */
export type Translator = (pass: (bytes: Buffer) => void) => (chunk: Buffer) => void

const asItIs: Translator = (pass) => pass

/** A link on loopback to the server at `host:port`, while the scope is open. `translator` is told the link's own address. */
export const makeNetworkLink = Effect.fnUntraced(
  function*(
    server: string,
    translator: (address: string) => Translator = () => asItIs
  ): Effect.fn.Return<NetworkLink, never, Scope.Scope> {
    const colon = server.lastIndexOf(":")
    const upstream = { host: server.slice(0, colon), port: Number(server.slice(colon + 1)) }
    const sockets = new Set<Socket>()
    let state: LinkState = "open"
    let translate = asItIs

    const cutAll = () => {
      for (const socket of sockets) socket.resetAndDestroy()
    }

    const serve = (client: Socket) => {
      if (state === "closed") {
        client.resetAndDestroy()
        return
      }
      const onward = connect(upstream)
      const cut = () => {
        client.resetAndDestroy()
        onward.resetAndDestroy()
      }
      for (const socket of [client, onward]) {
        sockets.add(socket)
        socket.setNoDelay(true)
        socket.on("error", cut)
        socket.on("close", () => {
          sockets.delete(socket)
          // In silence nobody learns of another's end, either.
          if (state !== "silent") cut()
        })
      }
      client.on("data", (chunk: Buffer) => {
        if (state === "silent") return
        if (state === "losing requests") return cut()
        onward.write(chunk)
      })
      const answer = translate((bytes) => client.write(bytes))
      onward.on("data", (chunk: Buffer) => {
        if (state === "silent") return
        if (state === "losing answers") return cut()
        answer(chunk)
      })
    }

    const listening = yield* Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const listener = createServer(serve).listen(0, "127.0.0.1", () => resume(Effect.succeed(listener)))
      }),
      (listener) =>
        Effect.callback<void>((resume) => {
          listener.close(() => resume(Effect.void))
          state = "closed"
          cutAll()
        })
    )
    const bound = listening.address()
    if (bound === null || typeof bound === "string") return yield* Effect.die("a link without a port")
    const address = `127.0.0.1:${bound.port}`
    translate = translator(address)

    return {
      address,
      set: (next) =>
        Effect.sync(() => {
          if (next === "closed" || state === "silent") cutAll()
          state = next
        })
    }
  }
)
