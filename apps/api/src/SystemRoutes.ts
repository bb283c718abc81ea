import { Effect, Layer, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiScalar } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Generation1 } from "./Generation1.ts"
import { Generation2 } from "./Generation2.ts"
import { MappingStore } from "./MappingStore.ts"
import { openApiGeneration1, openApiGeneration2 } from "./OpenApiDocument.ts"
import type { Generation } from "./Settings.ts"

// The page has all it needs in itself, so it is not let ask anybody else for anything.
const contentSecurityPolicy = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"

const documentationPage = (generation: Generation) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const path = `/docs/v${generation}` as const
    const scalar = { withDefaultFonts: false }
    // Three megabytes of script: loaded when somebody first asks for the page.
    const page = yield* HttpRouter.toHttpEffect(
      generation === 1
        ? HttpApiScalar.layer(Generation1, { path, scalar })
        : HttpApiScalar.layer(Generation2, { path, scalar })
    ).pipe(
      Effect.provideService(Scope.Scope, yield* Effect.scope),
      Effect.cached
    )
    yield* router.add(
      "GET",
      path,
      Effect.map(
        Effect.flatten(page),
        HttpServerResponse.setHeader("content-security-policy", contentSecurityPolicy)
      )
    )
  }))

const documents = { 1: openApiGeneration1, 2: openApiGeneration2 } as const

const documentation = (generation: Generation) =>
  Layer.merge(
    HttpRouter.add(
      "GET",
      `/openapi-v${generation}.json`,
      Effect.sync(() => HttpServerResponse.jsonUnsafe(documents[generation]()))
    ),
    documentationPage(generation)
  )

/** What is wrong with the database is for the log: it can name hosts and files. */
const health = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const store = yield* MappingStore
  yield* router.add(
    "GET",
    "/health",
    Effect.matchEffect(store.check, {
      onSuccess: () => Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "ok" })),
      onFailure: ({ message }) =>
        Effect.as(
          Effect.logError(message, { operation: "health" }),
          HttpServerResponse.jsonUnsafe({ status: "database unavailable" }, { status: 503 })
        )
    })
  )
}))

/**
 * What the server says of itself, to anybody: `/health` (503 while the database can't be read), `/metrics` (Prometheus), and for each generation that it serves
 * `/openapi-v….json` and `/docs/v…` to read it in. `/docs` leads to the newest.
 */
export const layer = (generations: ReadonlyArray<Generation>) =>
  Layer.mergeAll(
    health,
    PrometheusMetrics.layerHttp({ path: "/metrics" }),
    HttpRouter.add("GET", "/docs", HttpServerResponse.redirect(`/docs/v${Math.max(...generations)}`)),
    ...generations.map(documentation)
  )
