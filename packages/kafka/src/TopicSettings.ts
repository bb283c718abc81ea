import { topicNames } from "@origin-regions/domain/TopicNames"
import { defaulted } from "@origin-regions/settings/Setting"
import { text } from "@origin-regions/settings/SettingType"

// Source: org.apache.kafka.common.internals.Topic.
const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/

const topicName = text("a topic name: 1 to 249 characters of A-Z a-z 0-9 . _ -, and neither . nor ..", TOPIC_NAME)

/** The topics, for every program that uses them. */
export const topicSettings = {
  requestsTopic: defaulted("REQUESTS_TOPIC", topicName, {
    default: topicNames.requests,
    meaning: "the topic that requests are sent to",
    example: "edge.requests"
  }),
  outcomesTopic: defaulted("OUTCOMES_TOPIC", topicName, {
    default: topicNames.outcomes,
    meaning: "the topic that outcomes are published to",
    example: "edge.outcomes"
  }),
  deadLettersTopic: defaulted("DEAD_LETTERS_TOPIC", topicName, {
    default: topicNames.deadLetters,
    meaning: "the topic for what could not be read or done",
    example: "edge.dead-letters"
  })
}
