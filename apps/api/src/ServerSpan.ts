import type { Span } from "@origin-regions/telemetry/Span"
import { readTraceContext } from "@origin-regions/telemetry/TraceContext"
import type { Tracing } from "@origin-regions/telemetry/Tracing"
import { Exit } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"

/** The span of a request to an operation, by OpenTelemetry's conventions for HTTP servers: below its client's, if it says so. `undefined` where it is not recorded. */
export const beginServerSpan = (
  tracing: Tracing,
  { headers, method, url }: HttpServerRequest.HttpServerRequest,
  requestId: string,
  { path, zoneId }: { readonly path: string; readonly zoneId: string | undefined }
): Span | undefined => {
  const span = tracing.enter(
    { kind: "server", name: method, attributes: {} },
    readTraceContext(headers["traceparent"], headers["tracestate"])
  )
  if (span === undefined) return undefined
  const route = path.replace(/:(\w+)/g, "{$1}")
  span.name = `${method} ${route}`
  span.set({
    "http.request.method": method,
    "http.route": route,
    "url.scheme": "http",
    "url.path": pathOf(url),
    "user_agent.original": headers["user-agent"],
    // As the audit log has it.
    "http.response.header.x-request-id": [requestId],
    zone_id: zoneId
  })
  return span
}

/** Only a fault of the server's is one of the span's. An answer that was cut off has no status. */
export const endServerSpan = (span: Span, exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>): void => {
  const status = Exit.isSuccess(exit) ? exit.value.status : undefined
  const failure = status === undefined ? "interrupted" : status >= 500 ? String(status) : undefined
  span.set({ "http.response.status_code": status, "error.type": failure })
  span.end(failure === undefined ? undefined : `answered with ${failure}`)
}

const pathOf = (url: string): string => {
  const end = url.indexOf("?")
  return end === -1 ? url : url.slice(0, end)
}
