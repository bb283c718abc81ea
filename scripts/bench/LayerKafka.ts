import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { Config, Effect, Layer } from "effect"
import { printError } from "../ScriptRuntime.ts"

/** Measured on the JVM, unless `KAFKA_BROKERS` names another. */
const broker = Layer.unwrap(Effect.map(
  Config.String("KAFKA_BROKERS").pipe(Config.withDefault(""), Effect.orDie),
  (brokers) => brokers === "" ? KafkaBroker.layerJvm({ progress: printError }) : KafkaBroker.layerExternal(brokers)
))

/** A broker to measure on, clients of it, and a leash for what is measured. */
export const layerKafka = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => {
  const settings = { brokers, tls: undefined, sasl: undefined }
  return Layer.mergeAll(KafkaAdmin.layer(settings), KafkaProducer.layer(settings), KafkaTopicReader.layer(settings))
})).pipe(Layer.provideMerge(broker), Layer.provideMerge(Leash.layer))
