import {
  Crashed,
  KafkaError,
  RecordTooLarge,
  Refused,
  StaleGeneration,
  Unauthorized,
  UnknownTopic,
  Unreachable
} from "../KafkaError.ts"

type Reason = KafkaError["reason"]

/**
 * Kafka's error names, by the reason they come to; of the others, those that are called retriable stand for an outage.
 * Source: Kafka's protocol guide, "Error Codes".
 */
const reasonsByType: Readonly<Record<string, (detail: string) => Reason>> = {
  MESSAGE_TOO_LARGE: (detail) => new RecordTooLarge({ detail }),
  RECORD_LIST_TOO_LARGE: (detail) => new RecordTooLarge({ detail }),
  ILLEGAL_GENERATION: (detail) => new StaleGeneration({ detail }),
  UNKNOWN_MEMBER_ID: (detail) => new StaleGeneration({ detail }),
  REBALANCE_IN_PROGRESS: (detail) => new StaleGeneration({ detail }),
  UNKNOWN_TOPIC_OR_PARTITION: (detail) => new UnknownTopic({ detail }),
  INVALID_TOPIC_EXCEPTION: (detail) => new UnknownTopic({ detail }),
  TOPIC_AUTHORIZATION_FAILED: (detail) => new Unauthorized({ detail }),
  GROUP_AUTHORIZATION_FAILED: (detail) => new Unauthorized({ detail }),
  CLUSTER_AUTHORIZATION_FAILED: (detail) => new Unauthorized({ detail }),
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (detail) => new Unauthorized({ detail }),
  SASL_AUTHENTICATION_FAILED: (detail) => new Unauthorized({ detail }),
  UNSUPPORTED_SASL_MECHANISM: (detail) => new Unauthorized({ detail }),
  ILLEGAL_SASL_STATE: (detail) => new Unauthorized({ detail }),
  BROKER_NOT_AVAILABLE: (detail) => new Unreachable({ detail })
}

const unreachableNames: ReadonlySet<string> = new Set([
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSRequestTimeoutError",
  "KafkaJSBrokerNotFound",
  "KafkaJSNoBrokerAvailableError",
  "KafkaJSGroupCoordinatorNotFound",
  "KafkaJSMetadataNotLoaded",
  "KafkaJSTopicMetadataNotLoaded",
  "KafkaJSTimeout",
  "KafkaJSLockTimeout"
])

const TLS_FAULT =
  /self.signed certificate|unable to (get|verify)|certificate has expired|altname|SSL routines|wrong version number/i

/** kafkajs wraps what went wrong, sometimes several times: the innermost error says it. */
const rootCause = (error: unknown): Error => {
  let current = error instanceof Error ? error : new Error(String(error))
  while (current.cause instanceof Error && current.cause !== current) current = current.cause
  return current
}

/** In words; with the broker's address, and with the system's code where its message is empty (as for a name with several addresses). */
const detailOf = (cause: Error): string => {
  const { broker, code } = cause as { readonly broker?: unknown; readonly code?: unknown }
  const message = cause.message.endsWith(": ") && typeof code === "string" ? `${cause.message}${code}` : cause.message
  const words = message === "" ? cause.name : message
  return typeof broker === "string" && !words.includes(broker) ? `${words} (${broker})` : words
}

const reasonOf = (error: unknown): Reason => {
  const [first] = partsOf(error)
  if (first !== undefined) return reasonOf(first)
  const cause = rootCause(error)
  const type = "type" in cause && typeof cause.type === "string" ? cause.type : undefined
  const detail = detailOf(cause)
  const byType = type === undefined || !Object.hasOwn(reasonsByType, type) ? undefined : reasonsByType[type]
  if (byType !== undefined) return byType(detail)
  if (type !== undefined) {
    return "retriable" in cause && cause.retriable === true
      ? new Unreachable({ detail })
      : new Refused({ type, detail })
  }
  if (TLS_FAULT.test(detail) || cause.name === "KafkaJSSASLAuthenticationError") return new Unauthorized({ detail })
  if (unreachableNames.has(cause.name) || ("code" in cause && typeof cause.code === "string")) {
    return new Unreachable({ detail })
  }
  return new Crashed({ detail: `${cause.name}: ${detail}` })
}

/** The errors that one is made of, where it is about several topics or groups. */
const partsOf = (error: unknown): ReadonlyArray<unknown> => {
  if (typeof error !== "object" || error === null) return []
  if ("errors" in error && Array.isArray(error.errors)) return error.errors
  if ("groups" in error && Array.isArray(error.groups)) {
    return error.groups.map((group: { error?: unknown }) => group.error)
  }
  return []
}

/** What kafkajs threw, as our own error. */
export const kafkaError = (operation: string, error: unknown): KafkaError =>
  error instanceof KafkaError ? error : new KafkaError({ operation, reason: reasonOf(error) })

const leaderless: ReadonlySet<unknown> = new Set([
  "NOT_LEADER_FOR_PARTITION",
  "LEADER_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "GROUP_LOAD_IN_PROGRESS"
])

/**
 * Whether a partition's leader is being elected, or nothing has been heard of it yet, which takes a moment: for a new topic, too. A group's coordinator is the leader of such a
 * partition.
 */
export const isLeaderless = (error: unknown): boolean => {
  const cause = rootCause(error)
  return cause.name === "KafkaJSTopicMetadataNotLoaded" || ("type" in cause && leaderless.has(cause.type))
}

/** Whether trying again later may help, without anybody doing anything about it. */
export const isUnreachable = (error: unknown): boolean => reasonOf(error)._tag === "Unreachable"
