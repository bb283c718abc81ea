import type { Environment } from "@origin-regions/domain/SettingReader"
import { Api } from "@origin-regions/testkit/Api"
import { type ChildExit, describeExit } from "@origin-regions/testkit/ChildProcess"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Context, Effect, Layer, Schema } from "effect"
import * as NodePath from "node:path"
import { printError } from "../ScriptRuntime.ts"
import { createTopics, layerLocalBroker, type Topics } from "./LocalBroker.ts"
import { preferredPort } from "./PreferredPort.ts"
import { kafkaSettingsFor, type StartSettings } from "./StartSettings.ts"

/** The consumer has ended although nobody asked it to. */
export class ConsumerEnded extends Schema.TaggedError<ConsumerEnded>()("ConsumerEnded", { exit: Schema.String }) {
  override get message() {
    return `The consumer has ended with ${this.exit}.`
  }
}

/** Only loopback reaches the API; the token keeps the shape of real calls. */
const API_TOKEN = "local"

/** Says what takes so long, once it takes longer than a second. */
export const sayIfSlow = (sentence: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(effect, printError(sentence).pipe(Effect.delay("1 second"), Effect.andThen(Effect.never)))

/** What the consumer gets of our environment: all but what tells other programs where to listen and whom to let in. */
const consumerEnvironment = (environment: Environment, own: Readonly<Record<string, string>>) => {
  const passed = Object.entries(environment).filter((entry): entry is [string, string] =>
    entry[1] !== undefined && !/^(CLOUDFLARE_|API_(HOST|PORT|DATABASE|TOKENS|KEYS)$)/.test(entry[0])
  )
  return { ...Object.fromEntries(passed), ...own }
}

const consumerEnded = (exit: ChildExit) => new ConsumerEnded({ exit: describeExit(exit) })

/**
 * Kafka with its topics, the API and the consumer, ready to work, until the scope closes: then they end in the opposite order. If we are killed, they
 * are killed too.
 */
export const startLocalSystem = Effect.fnUntraced(
  function*(settings: StartSettings, topics: Topics, environment: Environment) {
    const { apiPort, consumerPort, dataDirectory, kafkaPort } = settings
    const databasePath = NodePath.join(dataDirectory, "api.sqlite")
    const [broker, api] = yield* Effect.all([
      Effect.map(Layer.build(layerLocalBroker(dataDirectory, kafkaPort)), Context.get(KafkaBroker)),
      Layer.build(Api.layerWith({ port: apiPort, databasePath, token: API_TOKEN })).pipe(
        Effect.map(Context.get(Api)),
        sayIfSlow("Starting the API…")
      )
    ], { concurrency: 2 })
    const kafka = yield* kafkaSettingsFor(environment, broker.brokers)
    yield* sayIfSlow("Creating the topics…")(createTopics(topics, kafka))
    const consumer = yield* Consumer.start(consumerEnvironment(environment, {
      KAFKA_BROKERS: broker.brokers.join(","),
      CLOUDFLARE_BASE_URL: api.baseUrl,
      CLOUDFLARE_API_TOKEN: api.token,
      HTTP_HOST: "127.0.0.1",
      HTTP_PORT: String(yield* preferredPort(consumerPort)),
      LOG_FORMAT: "json"
    })).pipe(sayIfSlow("Starting the consumer…"))
    return {
      kafka,
      provider: broker.provider,
      api,
      consumerAddress: yield* consumer.address,
      /** Fails when one of them ends by itself. */
      failure: Effect.raceFirst(broker.crashed, Effect.flatMap(consumer.exit, (exit) => consumerEnded(exit)))
    }
  }
)
