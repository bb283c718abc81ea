import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Clock, type Duration, Effect, Layer, type Redacted, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { requireToken } from "./BearerToken.ts"
import { isPagePath, pageRoutes } from "./Console/ConsolePage.ts"
import { consoleRoutes } from "./Console/ConsoleRoutes.ts"
import { EndOffsets } from "./EndOffsets.ts"
import { isForgotten } from "./Forgotten.ts"
import { GroupMember } from "./GroupMember.ts"
import { renderMetrics } from "./Metrics.ts"
import { Pipeline } from "./Pipeline.ts"
import { explain, statusReport, type StatusReportInput } from "./StatusReport.ts"

export interface HttpServerOptions {
  readonly groupId: string
  readonly requestsTopic: string
  readonly host: string
  readonly port: number
  /** Asked for everywhere but at `/health/*` and for the page itself; left out: nobody is asked. */
  readonly token: Redacted.Redacted | undefined
  /** Without word from the group's coordinator for this long, while Kafka answers, only a restart helps. */
  readonly sessionTimeout: Duration.Duration
}

/** The port can't be listened on. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  host: Schema.String,
  port: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `Can't listen on port ${this.port} of ${this.host} (${this.detail}): set HTTP_PORT to a free port, or 0 for any, and HTTP_HOST to an address of this machine.`
  }
}

const detailOf = (cause: unknown) => cause instanceof Error ? cause.message : String(cause)

const health = (healthy: boolean, body: object) =>
  HttpServerResponse.json(body, { status: healthy ? 200 : 503 }).pipe(Effect.orDie)

/** For whoever runs the consumer: `/health/live` (would a restart help?), `/health/ready` (is it at work?), `/status`, `/metrics` (Prometheus), and the console at `/`. */
const routes = ({ groupId, requestsTopic, sessionTimeout, token }: HttpServerOptions) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    if (token !== undefined) {
      yield* router.addGlobalMiddleware(
        requireToken(token, (path) => /^\/health\/(live|ready)$/.test(path) || isPagePath(path))
      )
    }
    const pipeline = yield* Pipeline
    const member = yield* GroupMember
    const endOffsets = yield* EndOffsets
    const input = (): StatusReportInput => ({
      requestsTopic,
      member: member.status(),
      pipeline: pipeline.status()
    })
    yield* router.add(
      "GET",
      "/health/live",
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const { joined, lastContact } = member.status()
        const live = !joined || !isForgotten({ sessionTimeout, member: now - lastContact, kafka: endOffsets.silence() })
        return health(live, {
          status: live ? "live" : "no word from the group's coordinator",
          last_contact: formatTimestamp(lastContact)
        })
      })
    )
    yield* router.add(
      "GET",
      "/health/ready",
      Effect.suspend(() => {
        const now = input()
        return health(now.member.ready, {
          status: now.member.phase,
          partitions: now.pipeline.partitions.map(({ partition }) => partition),
          // It names zones, and nobody is asked for the token here.
          ...token === undefined ? { explanation: explain(now) } : undefined
        })
      })
    )
    yield* router.add(
      "GET",
      "/status",
      Effect.suspend(() => health(true, statusReport(input())))
    )
    yield* router.add(
      "GET",
      "/metrics",
      Effect.map(
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) => renderMetrics({ ...input(), endOffsets: endOffsets.current(), now })
        ),
        (text) => HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
      )
    )
    yield* consoleRoutes({ groupId, input })
    yield* pageRoutes
  }))

const announce = Layer.effectDiscard(Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  yield* Effect.logInfo("Listening", { address: HttpServer.formatAddress(address) })
}))

/** A Node server whose end waits for nobody: one silent connection would hold up the stop of the whole consumer. */
const listener = () => {
  const server = createServer()
  const close = server.close.bind(server)
  server.close = (closed) => {
    close(closed)
    server.closeAllConnections()
    return server
  }
  return server
}

export const layer = (options: HttpServerOptions) =>
  Layer.merge(HttpRouter.serve(routes(options), { disableLogger: true, disableListenLog: true }), announce).pipe(
    Layer.provide(NodeHttpServer.layer(listener, { host: options.host, port: options.port })),
    Layer.catchTag(
      "ServeError",
      (error) =>
        Layer.effectDiscard(new CannotListen({ host: options.host, port: options.port, detail: detailOf(error.cause) }))
    )
  )
