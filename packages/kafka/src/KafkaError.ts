import { Schema } from "effect"

/** No broker answers (they are down, or the address is wrong), or none can at the moment. Worth trying again. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { detail: Schema.String }) {}

/** The broker refuses the credential or the permission, or TLS fails. Trying again does not help before somebody changes that. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", { detail: Schema.String }) {}

/** The topic or partition does not exist (or may not be seen). */
export class UnknownTopic extends Schema.TaggedError<UnknownTopic>()("UnknownTopic", { detail: Schema.String }) {}

/** A record is larger than its topic's `max.message.bytes`. */
export class RecordTooLarge extends Schema.TaggedError<RecordTooLarge>()("RecordTooLarge", { detail: Schema.String }) {}

/** The group has moved on: whatever this commit was about belongs to somebody else now, or will be handed out again. */
export class StaleGeneration
  extends Schema.TaggedError<StaleGeneration>()("StaleGeneration", { detail: Schema.String })
{}

/** The broker's answer is an error that none of the other reasons stands for. `type` is Kafka's name for it. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { type: Schema.String, detail: Schema.String }) {}

/** The client has stopped for good. */
export class Crashed extends Schema.TaggedError<Crashed>()("Crashed", { detail: Schema.String }) {}

/** Why an operation on Kafka failed. `operation` is what was being done, in words. */
export class KafkaError extends Schema.TaggedError<KafkaError>()("KafkaError", {
  operation: Schema.String,
  reason: Schema.Union([Unreachable, Unauthorized, UnknownTopic, RecordTooLarge, StaleGeneration, Refused, Crashed])
}) {
  override get message(): string {
    return `Could not ${this.operation}: ${this.reason.detail}`
  }
}
