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

/** Kafka's error names, by the reason they come to. Source: Kafka's protocol guide, "Error Codes". */
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
  LEADER_NOT_AVAILABLE: (detail) => new Unreachable({ detail }),
  NOT_LEADER_FOR_PARTITION: (detail) => new Unreachable({ detail }),
  BROKER_NOT_AVAILABLE: (detail) => new Unreachable({ detail }),
  NETWORK_EXCEPTION: (detail) => new Unreachable({ detail }),
  REQUEST_TIMED_OUT: (detail) => new Unreachable({ detail }),
  NOT_ENOUGH_REPLICAS: (detail) => new Unreachable({ detail }),
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: (detail) => new Unreachable({ detail }),
  GROUP_LOAD_IN_PROGRESS: (detail) => new Unreachable({ detail }),
  GROUP_COORDINATOR_NOT_AVAILABLE: (detail) => new Unreachable({ detail }),
  NOT_COORDINATOR_FOR_GROUP: (detail) => new Unreachable({ detail }),
  NOT_CONTROLLER: (detail) => new Unreachable({ detail })
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

const reasonOf = (error: unknown): Reason => {
  if (error instanceof AggregateError || hasErrors(error)) {
    const [first] = error.errors
    if (first !== undefined) return reasonOf(first)
  }
  const cause = rootCause(error)
  const type = "type" in cause && typeof cause.type === "string" ? cause.type : undefined
  const detail = cause.message === "" ? cause.name : cause.message
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

/** kafkajs' own aggregate of the errors of several topics. */
const hasErrors = (error: unknown): error is { readonly errors: ReadonlyArray<unknown> } =>
  typeof error === "object" && error !== null && "errors" in error && Array.isArray(error.errors)

/** What kafkajs threw, as our own error. */
export const kafkaError = (operation: string, error: unknown): KafkaError =>
  error instanceof KafkaError ? error : new KafkaError({ operation, reason: reasonOf(error) })

/** Whether trying again later may help, without anybody doing anything about it. */
export const isUnreachable = (error: unknown): boolean => reasonOf(error)._tag === "Unreachable"
