import { Duration } from "effect"
import type { NewTopic, TopicDescription } from "./KafkaAdmin.ts"

/** One topic of ours as it should be. */
export interface TopicLayout extends NewTopic {
  readonly replicationFactor: number
  readonly configs: Readonly<Record<string, string>>
}

/** Where a topic is not as it should be. */
export interface TopicDifference {
  /** Kafka's name of a topic's setting, or `partitions`, or `replication factor`. */
  readonly setting: string
  /** Reads on from "should be". */
  readonly expected: string
  readonly found: string
}

/** Partitions of the requests topic bound how many members of the group can work. */
export const DEFAULT_PARTITIONS = 12

/** Few come here, and each is looked at by a person or replayed. */
const DEAD_LETTER_PARTITIONS = 3

/** More copies than this protect from nothing that is usual. */
const USUAL_REPLICATION = 3

/** Room for a dead letter's added headers around the largest record that a default topic takes. */
const DEAD_LETTER_BYTES = 2 * 1024 * 1024

const KEPT = Duration.days(7)
/** They wait for a person. */
const DEAD_LETTERS_KEPT = Duration.days(30)

/** Compaction would take away what nobody has dealt with yet, as would a limit of bytes. */
const UNTIL_IT_IS_OLD = { "cleanup.policy": "delete", "retention.bytes": "-1" }

/**
 * The three topics as they should be. `partitions` is for requests and outcomes. Without `replicationFactor` there are as many copies as the cluster's
 * brokers can hold, up to three.
 */
export const topicLayouts = (
  topics: { readonly requestsTopic: string; readonly outcomesTopic: string; readonly deadLettersTopic: string },
  options: { readonly brokers: number; readonly partitions?: number; readonly replicationFactor?: number }
): ReadonlyArray<TopicLayout> => {
  const { brokers, partitions = DEFAULT_PARTITIONS } = options
  const { replicationFactor = Math.min(USUAL_REPLICATION, brokers) } = options
  const layout = (topic: string, count: number, kept: Duration.Duration, configs: TopicLayout["configs"]) => ({
    topic,
    partitions: count,
    replicationFactor,
    configs: {
      "retention.ms": String(Duration.toMillis(kept)),
      // With three copies one may be away, and what was acknowledged is on two.
      "min.insync.replicas": replicationFactor >= 3 ? "2" : "1",
      ...configs
    }
  })
  return [
    layout(topics.requestsTopic, partitions, KEPT, UNTIL_IT_IS_OLD),
    // Who only needs the latest of each address may compact it.
    layout(topics.outcomesTopic, partitions, KEPT, {}),
    layout(topics.deadLettersTopic, Math.min(DEAD_LETTER_PARTITIONS, partitions), DEAD_LETTERS_KEPT, {
      ...UNTIL_IT_IS_OLD,
      "max.message.bytes": String(DEAD_LETTER_BYTES)
    })
  ]
}

/** Settings of which more is as good; -1 is without limit. Others have to be the same. */
const atLeast: ReadonlySet<string> = new Set([
  "partitions",
  "replication factor",
  "retention.ms",
  "min.insync.replicas",
  "max.message.bytes"
])

/** Where a topic that is there is not as it should be; what may not be read counts as good. */
export const topicDifferences = (
  { configs, partitions, replicationFactor }: TopicLayout,
  found: TopicDescription
): ReadonlyArray<TopicDifference> => {
  const rows = [
    ["partitions", String(partitions), String(found.partitions)],
    ["replication factor", String(replicationFactor), String(found.replicationFactor)],
    ...Object.entries(configs).map(([name, value]) => [name, value, found.configs?.get(name) ?? value])
  ]
  return rows.flatMap(([setting = "", expected = "", value = ""]) => {
    if (value === expected) return []
    if (!atLeast.has(setting)) return [{ setting, expected, found: value }]
    // Were more copies to be in sync than there are, nothing could be written.
    const isTooMuch = setting === "min.insync.replicas" && Number(value) > found.replicationFactor
    const isMore = Number(value) === -1 || Number(value) > Number(expected)
    return isMore && !isTooMuch
      ? []
      : [{ setting, expected: isTooMuch ? `at most ${found.replicationFactor}` : `${expected} or more`, found: value }]
  })
}
