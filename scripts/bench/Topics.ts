import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import { type BenchRequest, recordOf } from "./Workload.ts"

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

type Topics = Effect.Success<typeof makeTopics>

/** How a process is told where it works: on these topics, against the API at this origin. */
export const settingsOf = (brokers: ReadonlyArray<string>, topics: Topics, origin: string) => ({
  KAFKA_BROKERS: brokers.join(","),
  KAFKA_GROUP_ID: topics.group,
  REQUESTS_TOPIC: topics.requests,
  OUTCOMES_TOPIC: topics.outcomes,
  DEAD_LETTERS_TOPIC: topics.deadLetters,
  CLOUDFLARE_BASE_URL: `${origin}/client/v4`,
  CLOUDFLARE_API_TOKEN: "none",
  API_GENERATION: "1",
  HTTP_PORT: "0"
})

/** Requests that are made into records together: a million of them at once would take gigabytes. */
const CHUNK = 10_000

/** Puts requests into their topic, in their order. */
export const sendTo = Effect.map(
  KafkaProducer,
  (producer) => ({ requests: topic }: Topics, requests: ReadonlyArray<BenchRequest>) =>
    Effect.forEach(
      Array.from({ length: Math.ceil(requests.length / CHUNK) }, (_, chunk) => chunk * CHUNK),
      (first) =>
        producer.send(requests.slice(first, first + CHUNK).map((request) => ({ topic, record: recordOf(request) }))),
      { discard: true }
    ).pipe(Effect.orDie)
)
