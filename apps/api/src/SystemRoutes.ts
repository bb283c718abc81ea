import { Effect, Layer, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiScalar } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Generation1 } from "./Generation1.ts"
import { openApiGeneration1 } from "./OpenApiDocument.ts"

// The page has all it needs in itself, so it is not let ask anybody else for anything.
const contentSecurityPolicy = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"

const documentationPage = HttpRouter.use(Effect.fnUntraced(function*(router) {
  // Three megabytes of script: loaded when somebody first asks for the page.
  const page = yield* HttpRouter.toHttpEffect(
    HttpApiScalar.layer(Generation1, { path: "/docs", scalar: { withDefaultFonts: false } })
  ).pipe(
    Effect.provideService(Scope.Scope, yield* Effect.scope),
    Effect.cached
  )
  yield* router.add(
    "GET",
    "/docs",
    Effect.map(
      Effect.flatten(page),
      HttpServerResponse.setHeader("content-security-policy", contentSecurityPolicy)
    )
  )
}))

/** What the server says of itself, to anybody: `/health`, `/metrics` (Prometheus), `/openapi.json`, and `/docs` to read it in. */
export const layer = Layer.mergeAll(
  HttpRouter.add("GET", "/health", HttpServerResponse.jsonUnsafe({ status: "ok" })),
  PrometheusMetrics.layerHttp({ path: "/metrics", prefix: "origin_regions_api" }),
  HttpRouter.add("GET", "/openapi.json", Effect.sync(() => HttpServerResponse.jsonUnsafe(openApiGeneration1()))),
  documentationPage
)
