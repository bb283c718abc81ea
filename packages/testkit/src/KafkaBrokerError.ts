import { Schema } from "effect"
import { DockerUnavailable, ImageUnavailable } from "./DockerError.ts"

/** `KAFKA_BROKERS` is set, but names no broker. */
export class InvalidBrokers extends Schema.TaggedError<InvalidBrokers>()("InvalidBrokers", { value: Schema.String }) {
  override get message() {
    return `KAFKA_BROKERS must be host:port, or several with commas between, for example 127.0.0.1:9092; it is ${
      JSON.stringify(this.value)
    }.`
  }
}

/** None of the ways to a broker is open here. */
export class NoProvider extends Schema.TaggedError<NoProvider>()("NoProvider", {
  docker: Schema.String,
  java: Schema.String
}) {
  override get message() {
    return `There is no way to a Kafka broker: set KAFKA_BROKERS, start Docker, or install Java 17 or later with Maven (${this.docker} ${this.java})`
  }
}

export class JavaMissing extends Schema.TaggedError<JavaMissing>()("JavaMissing", { command: Schema.String }) {
  override get message() {
    return `Java was not found as ${this.command}: install Java 17 or later, or set JAVA_HOME to where it is.`
  }
}

export class JavaTooOld extends Schema.TaggedError<JavaTooOld>()("JavaTooOld", {
  command: Schema.String,
  version: Schema.String
}) {
  override get message() {
    return `Kafka needs Java 17 or later, and ${this.command} is Java ${this.version}: install a newer one, or set JAVA_HOME to where it is.`
  }
}

export class MavenMissing extends Schema.TaggedError<MavenMissing>()("MavenMissing", {}) {
  override get message() {
    return "Maven was not found as mvn: install it; Kafka's jars are fetched with it once."
  }
}

/** A tool that prepares the JVM's broker (Maven, Kafka's formatter) failed. */
export class PreparationFailed extends Schema.TaggedError<PreparationFailed>()("PreparationFailed", {
  step: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `${this.step} failed:\n${this.output}`
  }
}

export class DirectoryUnusable extends Schema.TaggedError<DirectoryUnusable>()("DirectoryUnusable", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.path} cannot be used: ${this.problem}.`
  }
}

/** Two brokers on the same data would ruin it. */
export class AlreadyRuns extends Schema.TaggedError<AlreadyRuns>()("AlreadyRuns", { place: Schema.String }) {
  override get message() {
    return `A Kafka broker already runs on ${this.place}, which can have only one: stop that one first.`
  }
}

/** The broker ended, or never came to answer; `log` is the end of what it wrote. */
export class NotRunning extends Schema.TaggedError<NotRunning>()("NotRunning", {
  problem: Schema.String,
  log: Schema.String
}) {
  override get message() {
    return `Kafka ${this.problem}.${this.log === "" ? "" : ` The end of its log:\n${this.log}`}`
  }
}

/** A broker named by `KAFKA_BROKERS` is somebody else's to stop. */
export class NotOurs extends Schema.TaggedError<NotOurs>()("NotOurs", { operation: Schema.String }) {
  override get message() {
    return `A broker from KAFKA_BROKERS cannot be asked to ${this.operation}: unset KAFKA_BROKERS to have one started.`
  }
}

/** Reasons for which this machine has no means for a broker of a kind, rather than a broken one. */
const unavailable: ReadonlySet<string> = new Set(["DockerUnavailable", "JavaMissing", "JavaTooOld", "MavenMissing"])

/** Why there is no broker, or why it does not do what was asked. */
export class KafkaBrokerError extends Schema.TaggedError<KafkaBrokerError>()("KafkaBrokerError", {
  reason: Schema.Union([
    InvalidBrokers,
    NoProvider,
    JavaMissing,
    JavaTooOld,
    MavenMissing,
    PreparationFailed,
    DirectoryUnusable,
    AlreadyRuns,
    DockerUnavailable,
    ImageUnavailable,
    NotRunning,
    NotOurs
  ])
}) {
  override get message() {
    return this.reason.message
  }

  /** Whether this machine has no means for a broker of that kind. */
  get isUnavailable(): boolean {
    return unavailable.has(this.reason._tag)
  }
}
