/** A Kafka broker alone, with the topics, until Ctrl-C. Data is kept under `.data/kafka`, or in a Docker volume. */
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect, Schema } from "effect"
import { print, runScript } from "./ScriptRuntime.ts"
import { holdDataDirectory } from "./start/DataDirectory.ts"
import { createTopics, layerLocalBroker } from "./start/LocalBroker.ts"
import { readStartSettings, startEnvironment } from "./start/StartSettings.ts"

class BrokerGiven extends Schema.TaggedError<BrokerGiven>()("BrokerGiven", {}) {
  override get message() {
    return "KAFKA_BROKERS names a broker already: unset it to have one started."
  }
}

const main = Effect.gen(function*() {
  const environment = yield* startEnvironment
  if (environment["KAFKA_BROKERS"]) return yield* new BrokerGiven()
  const { consumer, dataDirectory, kafkaPort } = yield* readStartSettings(environment)
  yield* holdDataDirectory(dataDirectory, { fresh: false })
  return yield* Effect.gen(function*() {
    const { brokers, crashed } = yield* KafkaBroker
    yield* createTopics(consumer).pipe(Effect.provide(KafkaAdmin.layer({ ...consumer.kafka, brokers })))
    yield* print(`Kafka answers at ${brokers.join(",")}. Ctrl-C ends it.`)
    return yield* crashed
  }).pipe(Effect.provide(layerLocalBroker(dataDirectory, kafkaPort)))
})

runScript(Effect.scoped(main), { interrupted: 0 })
