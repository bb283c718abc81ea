import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { KafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import type { Environment } from "@origin-regions/settings/Environment"
import { Api } from "@origin-regions/testkit/Api"
import { type ChildExit, describeExit } from "@origin-regions/testkit/ChildProcess"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Context, Effect, Layer, Schema } from "effect"
import * as NodePath from "node:path"
import { printError } from "../ScriptRuntime.ts"
import { createTopics, layerLocalBroker } from "./LocalBroker.ts"
import { preferredPort } from "./PreferredPort.ts"
import { apiEnvironment, consumerEnvironment, type StartSettings } from "./StartSettings.ts"

/** The consumer has ended although nobody asked it to. */
class ConsumerEnded extends Schema.TaggedError<ConsumerEnded>()("ConsumerEnded", { exit: Schema.String }) {
  override get message() {
    return `The consumer has ended with ${this.exit}.`
  }
}

/** Only loopback reaches the API; the token keeps the shape of real calls. */
const API_TOKEN = "local"

/** Says what takes so long, once it takes longer than a second. */
export const sayIfSlow = (sentence: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(effect, printError(sentence).pipe(Effect.delay("1 second"), Effect.andThen(Effect.never)))

const consumerEnded = (exit: ChildExit) => new ConsumerEnded({ exit: describeExit(exit) })

/**
 * Kafka with its topics, the API and the consumer, ready to work, until the scope closes: then they end in the opposite order. If we are killed, they
 * are killed too.
 */
export const startLocalSystem = Effect.fnUntraced(function*(settings: StartSettings, environment: Environment) {
  const { apiPort, consumer: { httpPort, kafka }, dataDirectory, kafkaPort } = settings
  const databasePath = NodePath.join(dataDirectory, "api.sqlite")
  const [broker, api] = yield* Effect.all([
    Effect.map(Layer.build(layerLocalBroker(dataDirectory, kafkaPort)), Context.get(KafkaBroker)),
    Layer.build(
      Api.layerWith({ port: apiPort, databasePath, token: API_TOKEN, environment: apiEnvironment(environment) })
    ).pipe(
      Effect.map(Context.get(Api)),
      sayIfSlow("Starting the API…")
    )
  ], { concurrency: 2 })
  const { brokers, crashed, provider } = broker
  const ownKafka: KafkaSettings = { ...kafka, brokers }
  yield* createTopics(settings.consumer).pipe(
    Effect.provide(KafkaAdmin.layer(ownKafka)),
    sayIfSlow("Creating the topics…")
  )
  const consumer = yield* Consumer.start({
    ...consumerEnvironment(environment, { brokers, apiBaseUrl: api.baseUrl, apiToken: api.token }),
    HTTP_PORT: String(yield* preferredPort(httpPort))
  }).pipe(sayIfSlow("Starting the consumer…"))
  return {
    kafka: ownKafka,
    provider,
    api,
    consumerAddress: yield* consumer.address,
    /** Fails when one of them ends by itself. */
    failure: Effect.raceFirst(crashed, Effect.flatMap(consumer.exit, (exit) => consumerEnded(exit)))
  }
})
