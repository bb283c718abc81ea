import { Schema } from "effect"
import type { Terms } from "./Audit.ts"

/** A change to one file of the sources that switches a protection off. */
export interface Mutation {
  /** From the repository's root. */
  readonly file: string
  /** What is there now, exactly once. */
  readonly text: string
  readonly replacement: string
  /** The delivery mode that the protection is for, if only one. */
  readonly delivery?: Terms["delivery"]
}

class NotThere extends Schema.TaggedError<NotThere>()("NotThere", {
  file: Schema.String,
  text: Schema.String,
  times: Schema.Int
}) {
  override get message() {
    return `${this.file} has this ${this.times} times, and not once, so that the protection can't be switched off:\n${this.text}`
  }
}

/** The protections of the consumer, each with what switches it off. */
export const mutations = {
  /** Commits say nothing of what may have been sent. */
  reservation: {
    file: "apps/consumer/src/Progress.ts",
    text: "? { through, since, attempted }",
    replacement: "? { through: offset, since, attempted: new Map() }"
  },
  /** Nobody asks whether a mapping that is there may be the request's own. */
  resolver: {
    file: "apps/consumer/src/Resolution.ts",
    text: "return found !== null && canBeOurs(change, found, since) ? recovered(\"created\", found) : undefined",
    replacement: "return undefined"
  },
  /** Nobody looks whether a request has come before. */
  memory: {
    file: "apps/consumer/src/Task.ts",
    text: "identity === undefined ? undefined : owner.memory.before(identity, record.offset)",
    replacement: "undefined"
  },
  /** Who is given a partition reads nothing again of what was settled before. */
  "look-back": {
    file: "apps/consumer/src/Task.ts",
    text: "lookedBack: progress.intact && progress.committed.metadata !== \"\" ? \"not yet\" : \"done\"",
    replacement: "lookedBack: \"done\""
  },
  /** Transactions are not refused when the group has given the partitions to others. */
  fencing: {
    file: "packages/kafka/src/internal/GroupFencing.ts",
    text: "const { generationId, memberId } = topics[GENERATION] ?? { generationId: -1, memberId: \"\" }",
    replacement: "const { generationId, memberId } = { generationId: -1, memberId: \"\" }",
    delivery: "exactly-once"
  },
  /** A rebalance does not wait for what is in flight. */
  drain: {
    file: "packages/kafka/src/KafkaConsumer.ts",
    text: "if (isIn(\"joined\", \"lost\")) await run(drain)",
    replacement: "if (isIn(\"joined\", \"lost\")) phase = \"drained\""
  },
  /** A producer has many sends under way at a time. */
  "one-send-in-flight": {
    file: "packages/kafka/src/KafkaProducer.ts",
    text: "yield* oneAtATime.withPermit(Effect.forEach(requestsOf(records), sendRequest, { discard: true }))",
    replacement:
      "yield* Effect.forEach(records, (record) => sendRequest([record]), { discard: true, concurrency: \"unbounded\" })",
    delivery: "at-least-once"
  }
} as const satisfies Readonly<Record<string, Mutation>>

/** The source with the mutation made. Throws where it is not there exactly once. */
export const mutate = (source: string, { file, replacement, text }: Mutation): string => {
  const [before = "", after, ...more] = source.split(text)
  if (after === undefined || more.length > 0) {
    throw new NotThere({ file, text, times: after === undefined ? 0 : more.length + 1 })
  }
  return `${before}${replacement}${after}`
}
