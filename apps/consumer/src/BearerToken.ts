import { Effect, Redacted } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash, timingSafeEqual } from "node:crypto"
import { BlockList, isIP } from "node:net"

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

/** Whether nobody but this machine can connect to what listens there. */
export const isLoopback = (host: string): boolean => {
  const family = isIP(host)
  return family === 0 ? host === "localhost" : loopback.check(host, family === 4 ? "ipv4" : "ipv6")
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

const refused = HttpServerResponse.jsonUnsafe(
  { error: "expected the header \"authorization: Bearer …\" with what HTTP_TOKEN is set to" },
  { status: 401, headers: { "www-authenticate": "Bearer" } }
)

/** Answers 401 where the token is not shown, whatever the path, except those that `isOpen`. How long that takes says nothing about the token. */
export const requireToken = (token: Redacted.Redacted, isOpen: (path: string) => boolean) => {
  const expected = digest(`Bearer ${Redacted.value(token)}`)
  return <E, R>(response: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, url }) => {
      const shown = (headers["authorization"] ?? "").replace(/^bearer +/i, "Bearer ")
      const path = url.split("?")[0] ?? ""
      return isOpen(path) || timingSafeEqual(digest(shown), expected) ? response : Effect.succeed(refused)
    })
}
