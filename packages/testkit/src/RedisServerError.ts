import { Schema } from "effect"

/** Debian's packages have put no server here. */
export class RedisMissing extends Schema.TaggedError<RedisMissing>()("RedisMissing", { program: Schema.String }) {
  override get message() {
    return `There is no Redis server at ${this.program}: install Debian's package redis-server.`
  }
}

/** The server ended, or never came to answer. */
export class RedisNotRunning
  extends Schema.TaggedError<RedisNotRunning>()("RedisNotRunning", { problem: Schema.String })
{
  override get message() {
    return `Redis ${this.problem}.`
  }
}

/** Why there is no Redis server, or why it does not do what was asked. */
export class RedisServerError extends Schema.TaggedError<RedisServerError>()("RedisServerError", {
  reason: Schema.Union([RedisMissing, RedisNotRunning])
}) {
  override get message() {
    return this.reason.message
  }
}
