import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"

/** Of the topics of requests and of outcomes. */
export const PARTITIONS = 12

/** A group's name, and topics, that nobody has used. */
export const makeTopics = Effect.gen(function*() {
  const admin = yield* KafkaAdmin
  const id = SecureRandom.uuidV4Unsafe()
  const topics = { requests: `requests-${id}`, outcomes: `outcomes-${id}`, deadLetters: `dead-letters-${id}` }
  yield* admin.createTopics([
    { topic: topics.requests, partitions: PARTITIONS },
    { topic: topics.outcomes, partitions: PARTITIONS },
    { topic: topics.deadLetters, partitions: 1 }
  ])
  return { ...topics, group: `group-${id}` }
})
