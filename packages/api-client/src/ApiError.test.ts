import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import {
  AlreadyExists,
  ApiError,
  type ApiErrorReason,
  BadCredential,
  InvalidResponse,
  NotFound,
  RateLimited,
  Rejected,
  Unavailable,
  Unreachable
} from "./ApiError.ts"

interface Row {
  readonly reason: ApiErrorReason
  readonly category: string
  readonly mayHaveBeenApplied: boolean
  readonly message: string
}

const rows: ReadonlyArray<Row> = [
  {
    reason: new AlreadyExists({ code: 1145, message: "exists" }),
    category: "reject",
    mayHaveBeenApplied: false,
    message: "exists (code 1145)"
  },
  {
    reason: new NotFound({ code: 1142, message: "absent" }),
    category: "absent",
    mayHaveBeenApplied: false,
    message: "absent (code 1142)"
  },
  {
    reason: new Rejected({ code: 1157, name: "unsupported_region", message: "no", status: 400 }),
    category: "reject",
    mayHaveBeenApplied: false,
    message: "no (code 1157)"
  },
  {
    reason: new BadCredential({ code: 10000, message: "Authentication error" }),
    category: "credential",
    mayHaveBeenApplied: false,
    message: "Authentication error (code 10000)"
  },
  {
    reason: new RateLimited({ message: "slow down", retryAfter: Duration.seconds(3) }),
    category: "wait",
    mayHaveBeenApplied: false,
    message: "slow down"
  },
  {
    reason: new Unavailable({ status: 503, message: "down" }),
    category: "retry",
    mayHaveBeenApplied: true,
    message: "down"
  },
  {
    reason: new Unavailable({ status: 408, message: "late" }),
    category: "retry",
    mayHaveBeenApplied: true,
    message: "late"
  },
  {
    reason: new Unavailable({ status: 200, message: "no success" }),
    category: "retry",
    mayHaveBeenApplied: true,
    message: "no success"
  },
  {
    reason: new Unavailable({ status: 403, code: 10001, message: "internal error" }),
    category: "retry",
    mayHaveBeenApplied: true,
    message: "internal error (code 10001)"
  },
  {
    reason: new Unavailable({ status: 403, message: "blocked" }),
    category: "retry",
    mayHaveBeenApplied: false,
    message: "blocked"
  },
  {
    reason: new Unavailable({ status: 301, message: "moved" }),
    category: "retry",
    mayHaveBeenApplied: false,
    message: "moved"
  },
  {
    reason: new Unreachable({ cause: "refused", sent: false }),
    category: "retry",
    mayHaveBeenApplied: false,
    message: "the API cannot be reached: refused"
  },
  {
    reason: new Unreachable({ cause: "reset", sent: true }),
    category: "retry",
    mayHaveBeenApplied: true,
    message: "no answer after the request was sent: reset"
  },
  {
    reason: new InvalidResponse({ status: 200, problem: "an empty body" }),
    category: "retry",
    mayHaveBeenApplied: true,
    message: "status 200 with an empty body"
  }
]

describe("ApiError", () => {
  it.effect.each(rows)(
    "$reason._tag ($message)",
    ({ reason, category, mayHaveBeenApplied, message }) =>
      Effect.gen(function*() {
        const error = new ApiError({ reason })
        assert.strictEqual(error.category, category)
        assert.strictEqual(error.mayHaveBeenApplied, mayHaveBeenApplied)
        assert.strictEqual(error.message, message)
        const sentAndRead = yield* Schema.decodeUnknownEffect(ApiError)(
          JSON.parse(JSON.stringify(yield* Schema.encodeEffect(ApiError)(error)))
        )
        assert.deepStrictEqual(sentAndRead.reason, reason)
      })
  )

  it.effect("is caught by its reason", () =>
    Effect.gen(function*() {
      const call: Effect.Effect<string, ApiError> = Effect.fail(
        new ApiError({ reason: new RateLimited({ code: 971, message: "wait", retryAfter: Duration.seconds(3) }) })
      )
      const caught = yield* call.pipe(
        Effect.catchReason("ApiError", "RateLimited", ({ retryAfter }) => Effect.succeed(String(retryAfter)))
      )
      assert.strictEqual(caught, String(Duration.seconds(3)))
    }))
})
