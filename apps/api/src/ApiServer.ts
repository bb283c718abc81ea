import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Context, Duration, Effect, Layer, Schedule, Schema, Scope } from "effect"
import { HttpIncomingMessage } from "effect/http"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { Authentication } from "./Authentication.ts"
import { Credentials } from "./Credentials.ts"
import { Faults } from "./Faults.ts"
import { httpApplication } from "./HttpApplication.ts"
import * as Postgres from "./MappingStore/Postgres.ts"
import * as Sqlite from "./MappingStore/Sqlite.ts"
import { OriginRegions } from "./OriginRegions.ts"
import { RateLimit } from "./RateLimit.ts"
import { Settings } from "./Settings.ts"
import { answerUnreadable, malformed } from "./UnreadableRequest.ts"

/** Another program listens on the port. */
export class PortInUse extends Schema.TaggedClass<PortInUse>()("PortInUse", { host: Schema.String, port: Schema.Int }) {
  get message() {
    return `Port ${this.port} of ${this.host} is in use: stop the program that listens there, or set API_PORT to another port.`
  }
}

/** The host or port can't be listened on. */
export class CannotListen extends Schema.TaggedClass<CannotListen>()("CannotListen", {
  host: Schema.String,
  port: Schema.Int,
  problem: Schema.String
}) {
  get message() {
    return `Can't listen on port ${this.port} of ${this.host} (${this.problem}): check API_HOST and API_PORT.`
  }
}

export class ApiServerError extends Schema.TaggedError<ApiServerError>()("ApiServerError", {
  reason: Schema.Union([PortInUse, CannotListen])
}) {
  override get message() {
    return this.reason.message
  }
}

/** What a request's body may hold. */
const maxBodySize = ByteSize.mebibytes(1)

/** How long requests under way may take once the server is asked to stop. */
const grace = Duration.seconds(5)

const storeLayer = Layer.unwrap(
  Effect.map(
    Settings,
    ({ database, databaseUrl, requestTimeout }) =>
      databaseUrl === undefined ? Sqlite.layer(database) : Postgres.layer({ url: databaseUrl, timeout: requestTimeout })
  )
)

/**
 * The API on a port. It listens when everything behind it is ready; when its scope closes it takes no more requests, finishes those under way,
 * and cuts what is still open after `grace`.
 */
export class ApiServer extends Context.Service<ApiServer, {
  /** For example `http://127.0.0.1:8787`. */
  readonly address: string
}>()("@origin-regions/api/ApiServer") {
  static readonly layerNoDeps = Layer.effect(
    ApiServer,
    Effect.gen(function*() {
      const { host, maxConnections, port, requestTimeout } = yield* Settings
      const requests = yield* Scope.fork(yield* Effect.scope)
      const handle = yield* NodeHttpServer.makeHandler(yield* httpApplication, { scope: requests }).pipe(
        Effect.provideService(HttpIncomingMessage.MaxBodySize, maxBodySize)
      )
      const server = createServer({
        requireHostHeader: false,
        requestTimeout: Duration.toMillis(requestTimeout),
        headersTimeout: Duration.toMillis(requestTimeout),
        connectionsCheckingInterval: 1000
      }, (request, response) => {
        // Refused as RFC 9112 (3.2) says; Node would do it with an empty body.
        if (request.headers.host === undefined && request.httpVersion === "1.1") {
          response.writeHead(malformed.status, malformed.headers).end(malformed.body)
        } else {
          handle(request, response)
        }
      })
      server.maxConnections = maxConnections
      server.on("checkExpectation", handle)
      answerUnreadable(server)
      yield* Effect.acquireRelease(listen(server, host, port), () => close(server))
      const address = urlOf(server)
      yield* Effect.logInfo("Listening", { address })
      yield* Effect.addFinalizer(() => Effect.logInfo("Stopping", { address }))
      return ApiServer.of({ address })
    })
  )

  static readonly layer = this.layerNoDeps.pipe(
    Layer.provide([
      Authentication.layerNoDeps,
      Faults.layerNoDeps,
      OriginRegions.layerNoDeps
    ]),
    Layer.provide([
      Credentials.layerNoDeps,
      RateLimit.layerNoDeps,
      storeLayer
    ])
  )
}

const listen = (server: Server, host: string, port: number) =>
  Effect.callback<void, ApiServerError>((resume) => {
    const onError = (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(
        new ApiServerError({
          reason: error.code === "EADDRINUSE"
            ? new PortInUse({ host, port })
            : new CannotListen({ host, port, problem: error.message })
        })
      ))
    server.once("error", onError)
    server.listen({ host, port }, () => {
      server.off("error", onError)
      resume(Effect.void)
    })
  })

const close = (server: Server) => {
  const closed = Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
  })
  // A kept-alive connection becomes idle when its last request is answered.
  const dropIdle = Effect.sync(() => server.closeIdleConnections()).pipe(Effect.repeat(Schedule.spaced("20 millis")))
  return Effect.raceFirst(closed, dropIdle).pipe(
    Effect.interruptible,
    Effect.timeoutOption(grace),
    Effect.ensuring(Effect.sync(() => server.closeAllConnections()))
  )
}

const urlOf = (server: Server): string => {
  // A server that listens on a host and port has such an address.
  const { address, family, port } = server.address() as AddressInfo
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`
}
