import type { SettingReader } from "./SettingReader.ts"

/** The topics' default names; each is a setting of the programs that use it. */
export const topicNames = {
  requests: "origin-regions.requests",
  outcomes: "origin-regions.outcomes",
  deadLetters: "origin-regions.dead-letters"
} as const

// Source: org.apache.kafka.common.internals.Topic.
const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/

/** Reads a setting that names a topic. */
export const readTopicName = (settings: SettingReader, setting: string, defaultName: string): string =>
  settings.text(setting, "a topic name: 1 to 249 characters of A-Z a-z 0-9 . _ -, and neither . nor ..", {
    default: defaultName,
    pattern: TOPIC_NAME
  })
