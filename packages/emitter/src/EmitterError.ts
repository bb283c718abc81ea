import { Schema } from "effect"

/**
 * Whether a request is in Kafka: `no` for certain not, `yes` for certain, `maybe` where it was under way. What is there is applied, unless its
 * `expirytime` passes before.
 */
export const Sent = Schema.Literals(["no", "maybe", "yes"])

export type Sent = typeof Sent.Type

/** One field of a request that can't be sent. `request` is its place among those given together, from 0. */
const RequestProblem = Schema.Struct({ request: Schema.Finite, field: Schema.String, message: Schema.String })

export type RequestProblem = typeof RequestProblem.Type

const SHOWN = 10

/** The first problems in words, each with the place of its request where there are several. */
const inWords = (requests: number, problems: ReadonlyArray<RequestProblem>): string => {
  const shown = problems.slice(0, SHOWN).map(({ message, request }) =>
    requests === 1 ? message : `request ${request}: ${message}`
  )
  const more = problems.length - shown.length
  return more === 0 ? shown.join("; ") : `${shown.join("; ")}; and ${more} more`
}

/** Some of the requests are none: all problems of all of them. None was sent. */
export class InvalidRequests extends Schema.TaggedError<InvalidRequests>()("InvalidRequests", {
  /** How many were given together. */
  requests: Schema.Finite,
  problems: Schema.Array(RequestProblem)
}) {
  readonly sent: Sent = "no"
  override get message(): string {
    return `Nothing was sent: ${inWords(this.requests, this.problems)}`
  }
}

/** Kafka could not be made to take them. Of the requests, in their order, the first `written` are there, the next `doubtful` may be, and the others are not. */
export class SendFailed extends Schema.TaggedError<SendFailed>()("SendFailed", {
  detail: Schema.String,
  /** How many were given together. */
  requests: Schema.Finite,
  written: Schema.Finite,
  doubtful: Schema.Finite
}) {
  get sent(): Sent {
    return this.written > 0 || this.doubtful > 0 ? "maybe" : "no"
  }
  override get message(): string {
    const what = this.requests === 1
      ? `The request ${sentInWords[this.sent]}`
      : `Of ${this.requests} requests ${this.written} were sent, and ${this.doubtful} may have been`
    return `Kafka did not acknowledge: ${this.detail}. ${what}`
  }
}

/**
 * The requests are in Kafka, but in other partitions than Java's clients choose: with those of other emitters for the same addresses they are in no
 * order. The producer's partitioner must be murmur2.
 */
export class WrongPartitions extends Schema.TaggedError<WrongPartitions>()("WrongPartitions", {
  expected: Schema.Array(Schema.Finite),
  found: Schema.Array(Schema.Finite),
  partitions: Schema.Finite
}) {
  readonly sent: Sent = "yes"
  override get message(): string {
    return `The producer wrote to partition ${
      this.found.join(", ")
    } of ${this.partitions} where Java's clients write to ${
      this.expected.join(", ")
    }: give it the murmur2 partitioner, so that requests of one address meet in one partition`
  }
}

/** The outcomes can't be read, or not any more. */
export class OutcomesUnreadable extends Schema.TaggedError<OutcomesUnreadable>()("OutcomesUnreadable", {
  detail: Schema.String,
  sent: Sent
}) {
  override get message(): string {
    return `The outcomes can't be read: ${this.detail}. The request ${sentInWords[this.sent]}`
  }
}

/** Nobody waits for the outcome any more: the deadline has passed, or the signal was aborted. */
export class NoOutcome extends Schema.TaggedError<NoOutcome>()("NoOutcome", {
  why: Schema.Literals(["deadline", "aborted"]),
  id: Schema.String,
  source: Schema.String,
  sent: Sent
}) {
  override get message(): string {
    const why = this.why === "deadline" ? "no outcome before the deadline" : "the wait was aborted"
    return `The request ${this.id}: ${why}. It ${sentInWords[this.sent]}`
  }
}

/** The emitter has been closed. */
export class EmitterClosed extends Schema.TaggedError<EmitterClosed>()("EmitterClosed", { sent: Sent }) {
  override get message(): string {
    return `The emitter is closed. The request ${sentInWords[this.sent]}`
  }
}

const sentInWords: Readonly<Record<Sent, string>> = {
  no: "was not sent",
  maybe: "may have been sent, and may still be applied",
  yes: "was sent, and may still be applied"
}

/** Why a request was not sent, or its outcome not awaited. That the API rejects a request is no error but its outcome. */
export class EmitterError extends Schema.TaggedError<EmitterError>()("EmitterError", {
  reason: Schema.Union([InvalidRequests, SendFailed, WrongPartitions, OutcomesUnreadable, NoOutcome, EmitterClosed])
}) {
  override get message(): string {
    return this.reason.message
  }
  /** Whether the request is in Kafka all the same. */
  get sent(): Sent {
    return this.reason.sent
  }
}
