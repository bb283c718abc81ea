import type { Causes } from "@origin-regions/telemetry/Causes"
import type { Span } from "@origin-regions/telemetry/Span"
import type { Tracing } from "@origin-regions/telemetry/Tracing"
import { Exit, Option } from "effect"
import type { ApiError } from "../ApiError.ts"
import { urlTemplateOf } from "./ApiMetrics.ts"

/** The span of a call that is recorded, by OpenTelemetry's conventions for HTTP clients. The path of a call has no secret in it. */
export class CallSpan {
  /** Of the answer, once there is one. */
  status: number | undefined = undefined
  readonly #span: Span

  constructor(
    tracing: Tracing,
    { resends, spans }: Causes,
    { method, origin, path }: { readonly method: string; readonly origin: URL; readonly path: string }
  ) {
    const template = urlTemplateOf(path)
    this.#span = tracing.below({
      kind: "client",
      name: `${method} ${template}`,
      attributes: {
        "http.request.method": method,
        "url.full": origin.origin + path,
        "url.template": template,
        "server.address": origin.hostname,
        "server.port": Number(origin.port === "" ? origin.protocol === "https:" ? 443 : 80 : origin.port),
        "http.request.resend_count": resends === 0 ? undefined : resends
      }
    }, spans)
  }

  /** What the request carries of it. */
  get headers(): ReadonlyArray<string> {
    return this.#span.headers
  }

  /** An answer that is an error of HTTP's makes it one of the span's. That there is no mapping is none: who looks wants to know. */
  end(exit: Exit.Exit<unknown, ApiError>): void {
    const { status } = this
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    if (error?.category === "absent") {
      this.#span.set({ "http.response.status_code": status })
      return this.#span.end()
    }
    this.#span.set({
      "http.response.status_code": status,
      "error.type": status !== undefined && status >= 400
        ? String(status)
        : error?.reason._tag ?? (Exit.isFailure(exit) ? "interrupted" : undefined)
    })
    this.#span.end(Exit.isSuccess(exit) ? undefined : error?.message ?? "the call was given up")
  }
}
