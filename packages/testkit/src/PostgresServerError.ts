import { Schema } from "effect"
import { DockerUnavailable, ImageUnavailable } from "./DockerError.ts"

/** Debian's packages have put no server here. */
export class ServerMissing extends Schema.TaggedError<ServerMissing>()("ServerMissing", { directory: Schema.String }) {
  override get message() {
    return `There is no PostgreSQL server in ${this.directory}: install Debian's package postgresql.`
  }
}

/** The server ended, or never came to answer; `log` is the end of what it wrote. */
export class ServerNotRunning extends Schema.TaggedError<ServerNotRunning>()("ServerNotRunning", {
  problem: Schema.String,
  log: Schema.String
}) {
  override get message() {
    return `PostgreSQL ${this.problem}.${this.log === "" ? "" : ` The end of its log:\n${this.log}`}`
  }
}

/** Why there is no PostgreSQL server, or why it does not do what was asked. */
export class PostgresServerError extends Schema.TaggedError<PostgresServerError>()("PostgresServerError", {
  reason: Schema.Union([DockerUnavailable, ImageUnavailable, ServerMissing, ServerNotRunning])
}) {
  override get message() {
    return this.reason.message
  }
}
