import { assert, describe, it } from "@effect/vitest"
import { type ApiErrorEntry, apiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { Clock, Duration, Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import type { ApiErrorReason } from "../ApiError.ts"
import { parseBody, readAnswer } from "./ApiAnswer.ts"

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers?: Record<string, string>
}

const read = Effect.fnUntraced(function*({ status, body, headers = {} }: Answer) {
  const context = { clock: yield* Clock.Clock, redact: (text: string) => text.replaceAll("s3cret", "<redacted>") }
  return readAnswer(
    { status, headers, body: Buffer.from(body) },
    parseBody,
    "a number",
    (result) => typeof result === "number" ? result : undefined,
    context
  )
})

const reasonOf = (answer: Answer) => read(answer).pipe(Effect.flatten, Effect.flip, Effect.map(({ reason }) => reason))

const failure = (...errors: ReadonlyArray<unknown>) =>
  JSON.stringify({ success: false, errors, messages: [], result: null })

const fields = (reason: ApiErrorReason) => ({ ...reason })

const retryAfter = (headers: Record<string, string>) =>
  Effect.map(
    reasonOf({ status: 503, body: "", headers }),
    (reason) =>
      reason._tag === "Unavailable" && reason.retryAfter !== undefined
        ? Duration.toMillis(reason.retryAfter)
        : undefined
  )

describe("readAnswer", () => {
  describe("the catalogue", () => {
    const tags = {
      reject: "Rejected",
      absent: "NotFound",
      retry: "Unavailable",
      wait: "RateLimited",
      credential: "BadCredential"
    }
    const entries: ReadonlyArray<ApiErrorEntry> = Object.values(apiErrors)

    it.effect.each(entries)("$code: $message", ({ category, code, message, status }) =>
      Effect.gen(function*() {
        const reason = yield* reasonOf({ status, body: failure({ code, message }) })
        assert.strictEqual(reason._tag, code === 1145 ? "AlreadyExists" : tags[category])
        assert.strictEqual(reason.category, category)
        assert.strictEqual(reason.message, message)
        assert.propertyVal(reason, "code", code)
        if (reason._tag === "Rejected") assert.strictEqual(reason.name, apiErrorName(code))
      }))

    it.effect.each(entries)(
      "$code goes by its code in every status",
      ({ category, code, message }) =>
        Effect.gen(function*() {
          for (const status of [200, 400, 403, 404, 409, 500, 503]) {
            assert.strictEqual((yield* reasonOf({ status, body: failure({ code, message }) })).category, category)
          }
        })
    )
  })

  describe("codes and statuses outside of the catalogue", () => {
    const rows: ReadonlyArray<Answer & { readonly name: string; readonly expected: Record<string, unknown> }> = [
      {
        name: "an unknown code of a 4xx is rejected, verbatim",
        status: 422,
        body: failure({ code: 1999, message: "Something new.", documentation_url: "https://developers.example/1999" }),
        expected: {
          _tag: "Rejected",
          code: 1999,
          name: "rejected_by_api",
          message: "Something new.",
          status: 422,
          documentationUrl: "https://developers.example/1999"
        }
      },
      {
        name: "a known code wins over an unknown one before it",
        status: 400,
        body: failure({ code: 1999, message: "Something new." }, { code: 1157, message: "No such region" }),
        expected: {
          _tag: "Rejected",
          code: 1157,
          name: "unsupported_region",
          message: "No such region",
          status: 400,
          documentationUrl: undefined
        }
      },
      {
        name: "throttling wins over everything",
        status: 400,
        body: failure({ code: 1157, message: "No such region" }, { code: 10100, message: "More than 1200" }),
        expected: { _tag: "RateLimited", code: 10100, message: "More than 1200", retryAfter: undefined }
      },
      {
        name: "an unknown code of a 5xx",
        status: 500,
        body: failure({ code: 1999, message: "Oops" }),
        expected: { _tag: "Unavailable", status: 500, code: 1999, message: "Oops", retryAfter: undefined }
      },
      ...[408, 409, 425].map((status) => ({
        name: `an unknown code of a ${status}`,
        status,
        body: failure({ code: 1999, message: "Later" }),
        expected: { _tag: "Unavailable", status, code: 1999, message: "Later", retryAfter: undefined }
      })),
      {
        name: "10001 for a token that lacks a permission",
        status: 403,
        body: failure({ code: 10001, message: "Method not allowed for token" }),
        expected: {
          _tag: "BadCredential",
          code: 10001,
          message: "Method not allowed for token",
          documentationUrl: undefined
        }
      },
      {
        name: "10001 for a passing fault",
        status: 403,
        body: failure({ code: 10001, message: "internal error" }),
        expected: { _tag: "Unavailable", status: 403, code: 10001, message: "internal error", retryAfter: undefined }
      },
      {
        name: "10001 with another text",
        status: 403,
        body: failure({ code: 10001, message: "no" }),
        expected: {
          _tag: "Rejected",
          status: 403,
          code: 10001,
          name: "rejected_by_api",
          message: "no",
          documentationUrl: undefined
        }
      },
      {
        name: "a 4xx without the envelope",
        status: 403,
        body: "<html>blocked</html>",
        headers: { "content-type": "text/html" },
        expected: {
          _tag: "Unavailable",
          status: 403,
          code: undefined,
          message: "status 403 with a body of text/html instead of the API's errors",
          retryAfter: undefined
        }
      },
      {
        name: "a 4xx with an envelope that names no error",
        status: 400,
        body: failure(),
        expected: {
          _tag: "Unavailable",
          status: 400,
          code: undefined,
          message: "status 400 with a body of no content type instead of the API's errors",
          retryAfter: undefined
        }
      },
      {
        name: "an envelope without messages and result",
        status: 400,
        body: "{\"success\":false,\"errors\":[{\"code\":9106,\"message\":\"Missing headers\"}]}",
        expected: { _tag: "BadCredential", code: 9106, message: "Missing headers", documentationUrl: undefined }
      },
      {
        name: "errors that aren't any",
        status: 400,
        body: "{\"success\":false,\"errors\":[null,7,{\"code\":\"1145\"},{\"code\":1e999,\"message\":\"\"}]}",
        expected: {
          _tag: "Unavailable",
          status: 400,
          code: undefined,
          message: "status 400 with a body of no content type instead of the API's errors",
          retryAfter: undefined
        }
      },
      {
        name: "an error without a text",
        status: 400,
        body: failure({ code: 1145 }),
        expected: { _tag: "AlreadyExists", code: 1145, message: "", documentationUrl: undefined }
      },
      {
        name: "an empty 502",
        status: 502,
        body: "",
        expected: {
          _tag: "Unavailable",
          status: 502,
          code: undefined,
          message: "status 502 with an empty body instead of the API's errors",
          retryAfter: undefined
        }
      },
      {
        name: "a redirect",
        status: 301,
        body: "",
        expected: {
          _tag: "Unavailable",
          status: 301,
          code: undefined,
          message: "status 301: a redirect, which is not followed (is CLOUDFLARE_BASE_URL right?)",
          retryAfter: undefined
        }
      },
      {
        name: "a 429 without the envelope",
        status: 429,
        body: "",
        headers: { "retry-after": "300" },
        expected: {
          _tag: "RateLimited",
          code: undefined,
          message: "status 429 with an empty body instead of the API's errors",
          retryAfter: Duration.seconds(300)
        }
      },
      {
        name: "a 200 without success",
        status: 200,
        body: failure(),
        expected: {
          _tag: "Unavailable",
          status: 200,
          code: undefined,
          message: "status 200 with a body of no content type instead of the API's errors",
          retryAfter: undefined
        }
      },
      {
        name: "a 200 that is not JSON",
        status: 200,
        body: "{\"success\":true,\"result\":4",
        headers: { "content-type": "application/json" },
        expected: { _tag: "InvalidResponse", status: 200, problem: "a body of application/json that is no envelope" }
      },
      {
        name: "a 200 that is no envelope",
        status: 200,
        body: "[4]",
        expected: { _tag: "InvalidResponse", status: 200, problem: "a body of no content type that is no envelope" }
      },
      {
        name: "an empty 204",
        status: 204,
        body: "",
        expected: { _tag: "InvalidResponse", status: 204, problem: "an empty body that is no envelope" }
      },
      {
        name: "a success with another result",
        status: 200,
        body: "{\"success\":true,\"errors\":[],\"messages\":[],\"result\":\"4\"}",
        expected: { _tag: "InvalidResponse", status: 200, problem: "a result that is not a number" }
      },
      {
        name: "a text that echoes the credential",
        status: 400,
        body: failure({ code: 6003, message: "Invalid header: Bearer s3cret" }),
        expected: {
          _tag: "BadCredential",
          code: 6003,
          message: "Invalid header: Bearer <redacted>",
          documentationUrl: undefined
        }
      }
    ]

    it.effect.each(rows)(
      "$name",
      (row) => Effect.map(reasonOf(row), (reason) => assert.deepStrictEqual(fields(reason), row.expected))
    )
  })

  describe("Retry-After", () => {
    const date = "Tue, 24 Nov 2026 12:00:00 GMT"
    const later = "Tue, 24 Nov 2026 12:00:07 GMT"

    it.effect("is read in seconds and as a date, measured against the answer's Date", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* retryAfter({ "retry-after": "7" }), 7_000)
        assert.strictEqual(yield* retryAfter({ "retry-after": "0" }), 0)
        assert.strictEqual(yield* retryAfter({ "retry-after": later, date }), 7_000)
        assert.strictEqual(yield* retryAfter({ "retry-after": date, date: later }), 0)
      }))

    it.effect("measures a date against our clock where the answer has no Date", () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(Date.parse(date))
        assert.strictEqual(yield* retryAfter({ "retry-after": later }), 7_000)
        assert.strictEqual(yield* retryAfter({ "retry-after": later, date: "yesterday" }), 7_000)
      }))

    it.effect("is absent where it is unreadable", () =>
      Effect.gen(function*() {
        assert.isUndefined(yield* retryAfter({}))
        for (const value of ["", "soon", "-1", "1.5", "Infinity"]) {
          assert.isUndefined(yield* retryAfter({ "retry-after": value }), value)
        }
      }))
  })

  it.effect("gives a success its result", () =>
    Effect.map(
      read({ status: 200, body: "{\"success\":true,\"errors\":[],\"messages\":[],\"result\":4}" }),
      (exit) => assert.deepStrictEqual(exit, Exit.succeed(4))
    ))
})
