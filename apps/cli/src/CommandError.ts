import { Runtime, Schema } from "effect"

/** What was typed cannot be done as it stands; nothing was attempted. */
export class WrongUsage extends Schema.TaggedError<WrongUsage>()("WrongUsage", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

/** Requests that nothing but a rejection could come of; none was sent. `more` problems were found than are listed. */
export class InvalidRequests extends Schema.TaggedError<InvalidRequests>()("InvalidRequests", {
  problems: Schema.Array(Schema.String),
  more: Schema.Int
}) {
  override get message() {
    return [
      ...this.problems,
      ...this.more === 0 ? [] : [`… and ${this.more} more problems.`],
      "Nothing was sent: correct this, or send it as it is with --allow-invalid."
    ].join("\n")
  }
}

/** All requests were sent, and not all of them succeeded; which, was printed. */
export class NotAllSucceeded extends Schema.TaggedError<NotAllSucceeded>()("NotAllSucceeded", {
  unsuccessful: Schema.Int,
  all: Schema.Int
}) {
  override get message() {
    return `${this.unsuccessful} of ${this.all} requests did not succeed.`
  }
}

/** All requests were sent, and the time to wait for their outcomes is over; what came by then, was printed. */
export class NotAllAnswered extends Schema.TaggedError<NotAllAnswered>()("NotAllAnswered", {
  unanswered: Schema.Int,
  unsuccessful: Schema.Int,
  all: Schema.Int
}) {
  override get message() {
    const failed = this.unsuccessful === 0 ? "" : `, and ${this.unsuccessful} did not succeed`
    return `${this.unanswered} of ${this.all} requests are unanswered when --timeout is over${failed}. They are not withdrawn: origin-regions where tells what becomes of them.`
  }
}

/** Nothing of what was asked for is there, as was printed. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {}) {
  override get message() {
    return "Nothing was found."
  }
}

/** The API refused, or did not do its part. */
export class ApiFailed extends Schema.TaggedError<ApiFailed>()("ApiFailed", {
  problem: Schema.String,
  /** The reason's name. */
  name: Schema.String,
  /** The API's own, where it has told one. */
  code: Schema.optionalKey(Schema.Finite),
  fix: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return this.fix === undefined ? this.problem : `${this.problem}\n${this.fix}`
  }
}

/** A file cannot be written. */
export class UnwritableFile extends Schema.TaggedError<UnwritableFile>()("UnwritableFile", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.path} cannot be written: ${this.problem}`
  }
}

/** The file with the requests cannot be read. */
export class UnreadableFile extends Schema.TaggedError<UnreadableFile>()("UnreadableFile", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.path} cannot be read: ${this.problem}`
  }
}

/** Environment variables that are wrong, in one message. */
export class WrongSettings extends Schema.TaggedError<WrongSettings>()("WrongSettings", { problems: Schema.String }) {
  override get message() {
    return this.problems
  }
}

/** Kafka did not do its part. */
export class KafkaFailed extends Schema.TaggedError<KafkaFailed>()("KafkaFailed", {
  problem: Schema.String,
  fix: Schema.String
}) {
  override get message() {
    return `${this.problem}\n${this.fix}`
  }
}

/** A configuration check has found something wrong; what, it has printed. */
export class ChecksFailed extends Schema.TaggedError<ChecksFailed>()("ChecksFailed", {
  failed: Schema.Int,
  all: Schema.Int
}) {
  override get message() {
    return `${this.failed} of ${this.all} checks failed.`
  }
}

/** Topics are missing, or not as they should be; which, was printed. */
export class TopicsDiffer extends Schema.TaggedError<TopicsDiffer>()("TopicsDiffer", {
  differing: Schema.Int,
  all: Schema.Int
}) {
  override get message() {
    return `${this.differing} of ${this.all} topics are not as they should be.`
  }
}

/** An audit has found something; what, it has printed. */
export class NotProved extends Schema.TaggedError<NotProved>()("NotProved", {
  /** The group, where nothing else was found than that it has done nothing. */
  idleGroup: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return this.idleGroup === undefined
      ? "It is not so that every request that is done has exactly one outcome."
      : `Not proved: the group ${this.idleGroup} has done nothing.`
  }
}

/** Requests that would be refused, so that none is sent; which, was printed. */
export class WouldBeRefused extends Schema.TaggedError<WouldBeRefused>()("WouldBeRefused", {
  refused: Schema.Int,
  all: Schema.Int
}) {
  override get message() {
    return `${this.refused} of ${this.all} requests would be refused. Nothing was sent.`
  }
}

/** A zone is not as it should be; how, was printed. */
export class ZoneDiffers extends Schema.TaggedError<ZoneDiffers>()("ZoneDiffers", {
  zone: Schema.String,
  differences: Schema.Int
}) {
  override get message() {
    const differs = this.differences === 1 ? "1 mapping differs" : `${this.differences} mappings differ`
    return `${differs}. With --apply the zone ${this.zone} is asked to be as it should.`
  }
}

const exitCodeOf = {
  WrongUsage: 2,
  InvalidRequests: 2,
  UnreadableFile: 2,
  WrongSettings: 2,
  KafkaFailed: 1,
  UnwritableFile: 1,
  NotFound: 1,
  ApiFailed: 1,
  NotAllSucceeded: 3,
  NotAllAnswered: 4,
  ChecksFailed: 1,
  TopicsDiffer: 1,
  NotProved: 1,
  WouldBeRefused: 1,
  ZoneDiffers: 1
} as const

/**
 * Why a command ended without having done its work, in words for the person who typed it. The exit code is 2 where the command line, a setting or
 * the input is at fault and nothing was attempted, 3 where all was done and requests did not succeed, 4 where their outcomes did not
 * come in time, and otherwise 1.
 */
export class CommandError extends Schema.TaggedError<CommandError>()("CommandError", {
  reason: Schema.Union([
    WrongUsage,
    InvalidRequests,
    UnreadableFile,
    WrongSettings,
    UnwritableFile,
    NotFound,
    ApiFailed,
    KafkaFailed,
    NotAllSucceeded,
    NotAllAnswered,
    ChecksFailed,
    TopicsDiffer,
    NotProved,
    WouldBeRefused,
    ZoneDiffers
  ])
}) {
  override get message() {
    return this.reason.message
  }
  override get [Runtime.errorExitCode]() {
    return exitCodeOf[this.reason._tag]
  }
}
