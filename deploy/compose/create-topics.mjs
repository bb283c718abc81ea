/** Creates the topics that are not there yet. It runs in the command line's image, beside its packages. */
import { topicNames } from "@origin-regions/domain/TopicNames"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { Console, Effect, Result } from "effect"

const topics = [
  { topic: topicNames.requests, partitions: 12 },
  { topic: topicNames.outcomes, partitions: 12 },
  // Room for a dead letter's added headers around the largest record that a default topic takes.
  { topic: topicNames.deadLetters, partitions: 3, configs: { "max.message.bytes": String(2 * 1024 * 1024) } }
]

const create = Effect.gen(function*() {
  const created = yield* KafkaAdmin.use(({ createTopics }) => createTopics(topics))
  yield* Console.log(created.length === 0 ? "All topics are there." : `Created ${created.join(", ")}.`)
})

const settings = Result.getOrThrow(readKafkaSettings(process.env))

Effect.runPromise(Effect.provide(create, KafkaAdmin.layer(settings))).catch((error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
