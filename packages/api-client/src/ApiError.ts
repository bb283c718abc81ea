import { type ApiErrorCategory, type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { Mapping } from "@origin-regions/domain/Mapping"
import { Schema } from "effect"

const names = Object.keys(apiErrors) as Array<ApiErrorName>

/** What the API itself said: a code of its catalogue and its text, verbatim. */
const said = {
  code: Schema.Finite,
  message: Schema.String,
  documentationUrl: Schema.optional(Schema.String)
}

/** A create was refused because the address has a mapping (1145); `existing` where the call has read which. Whose it is, nobody tells. */
export class AlreadyExists extends Schema.TaggedClass<AlreadyExists>()("AlreadyExists", {
  ...said,
  existing: Schema.optional(Mapping)
}) {
  get category(): ApiErrorCategory {
    return "reject"
  }
  get mayHaveBeenApplied(): boolean {
    return false
  }
}

/** The address has no mapping (1142 on a read, 1163 on a delete). */
export class NotFound extends Schema.TaggedClass<NotFound>()("NotFound", said) {
  get category(): ApiErrorCategory {
    return "absent"
  }
  get mayHaveBeenApplied(): boolean {
    return false
  }
}

/** The API refuses the request for good. `name` is ours for the code; `rejected_by_api` for a code that is not in the catalogue. */
export class Rejected extends Schema.TaggedClass<Rejected>()("Rejected", {
  ...said,
  status: Schema.Int,
  name: Schema.Literals([...names, "rejected_by_api"])
}) {
  get category(): ApiErrorCategory {
    return "reject"
  }
  get mayHaveBeenApplied(): boolean {
    return false
  }
}

/** The credential is missing, unknown, or not allowed to do this: nobody's request is at fault. */
export class BadCredential extends Schema.TaggedClass<BadCredential>()("BadCredential", said) {
  get category(): ApiErrorCategory {
    return "credential"
  }
  get mayHaveBeenApplied(): boolean {
    return false
  }
}

/** The quota is used up (status 429, or a throttling code in any status). `code` is absent where the answer had no envelope. */
export class RateLimited extends Schema.TaggedClass<RateLimited>()("RateLimited", {
  code: Schema.optional(Schema.Finite),
  message: Schema.String,
  retryAfter: Schema.optional(Schema.DurationFromMillis)
}) {
  get category(): ApiErrorCategory {
    return "wait"
  }
  get mayHaveBeenApplied(): boolean {
    return false
  }
}

/** The API, or something in front of it, failed to answer the request properly; the same request can succeed later. */
export class Unavailable extends Schema.TaggedClass<Unavailable>()("Unavailable", {
  status: Schema.Int,
  code: Schema.optional(Schema.Finite),
  message: Schema.String,
  retryAfter: Schema.optional(Schema.DurationFromMillis)
}) {
  get category(): ApiErrorCategory {
    return "retry"
  }
  /**
   * A fault of the API, a proxy that lost patience with it (408), or an answer that contradicts itself (2xx without success) can
   * come after the write. Only a 3xx or 4xx that something in front of the API gave says that nothing was done.
   */
  get mayHaveBeenApplied(): boolean {
    return this.code !== undefined || this.status >= 500 || this.status === 408 || this.status < 300
  }
}

/** No answer: no connection (`sent` is false), or it was lost, or the time was up, after the request had begun to leave (true). */
export class Unreachable extends Schema.TaggedClass<Unreachable>()("Unreachable", {
  cause: Schema.String,
  sent: Schema.Boolean
}) {
  get category(): ApiErrorCategory {
    return "retry"
  }
  get mayHaveBeenApplied(): boolean {
    return this.sent
  }
  get message(): string {
    return this.sent
      ? `no answer after the request was sent: ${this.cause}`
      : `the API cannot be reached: ${this.cause}`
  }
}

/** The API reports success, but its answer is not what it promises (`problem` says how), so what it did is not known. */
export class InvalidResponse extends Schema.TaggedClass<InvalidResponse>()("InvalidResponse", {
  status: Schema.Int,
  problem: Schema.String
}) {
  get category(): ApiErrorCategory {
    return "retry"
  }
  get mayHaveBeenApplied(): boolean {
    return true
  }
  get message(): string {
    return `status ${this.status} with ${this.problem}`
  }
}

/** Every way in which a call can fail. */
export const ApiErrorReason = Schema.Union([
  AlreadyExists,
  NotFound,
  Rejected,
  BadCredential,
  RateLimited,
  Unavailable,
  Unreachable,
  InvalidResponse
])

export type ApiErrorReason = typeof ApiErrorReason.Type

/**
 * Why a call to the API failed. Every reason answers two questions: `category`, what to do about it, and `mayHaveBeenApplied`,
 * whether the call, if it was a write, could have taken effect all the same (then only reading the mapping tells). `beforeWrite` is true where it
 * failed at what it had to read first.
 * `message` is fit for logs and outcome events: it holds no credential and no body.
 */
export class ApiError extends Schema.TaggedError<ApiError>()("ApiError", {
  reason: ApiErrorReason,
  beforeWrite: Schema.optional(Schema.Boolean)
}) {
  override get message(): string {
    const { reason } = this
    return "code" in reason && reason.code !== undefined ? `${reason.message} (code ${reason.code})` : reason.message
  }
  get category(): ApiErrorCategory {
    return this.reason.category
  }
  get mayHaveBeenApplied(): boolean {
    return this.beforeWrite !== true && this.reason.mayHaveBeenApplied
  }
}
