import { Config, Context, Effect, Layer } from "effect"
import type { Broker, Progress } from "./internal/Broker.ts"
import type { BrokerProperties } from "./internal/BrokerProperties.ts"
import { jvmBroker } from "./internal/JvmBroker.ts"
import { layerRealTime } from "./internal/RealTime.ts"
import { InvalidBrokers, KafkaBrokerError, NotOurs } from "./KafkaBrokerError.ts"
import { Leash } from "./Leash.ts"

export interface KafkaBrokerOptions {
  /** The port clients use; another is taken where somebody has it already. Default: any. */
  readonly port?: number
  /** Broker properties on top of our own, by their Kafka names. */
  readonly properties?: BrokerProperties
  /** Told each slow step, in one sentence. Default: an info log. */
  readonly progress?: Progress
}

export interface JvmOptions extends KafkaBrokerOptions {
  /** Keeps settings, log and data of the broker there, across starts. Default: a temporary one. */
  readonly dataDirectory?: string
}

/**
 * A real Kafka broker, for tests and `npm start`: one node in KRaft mode, ready for its first group, and gone with the
 * layer's scope, or with this process if that is killed.
 */
export class KafkaBroker extends Context.Service<KafkaBroker, {
  /** Bootstrap addresses, each `host:port`. */
  readonly brokers: ReadonlyArray<string>
  /** Who runs it; `external` is somebody else's broker, and none of the commands below apply to it. */
  readonly provider: "external" | "testcontainers" | "jvm"
  /** Starts it again after `stop` or `kill`, at the same address and on the same data; nothing where it runs. */
  readonly start: Effect.Effect<void, KafkaBrokerError>
  /** An orderly stop. */
  readonly stop: Effect.Effect<void, KafkaBrokerError>
  /** SIGKILL: whatever was not on disk is lost, as when a machine fails. */
  readonly kill: Effect.Effect<void, KafkaBrokerError>
  /** `stop`, then `start`. */
  readonly restart: Effect.Effect<void, KafkaBrokerError>
  /** The process id or the container's name while it runs. */
  readonly instance: Effect.Effect<string | undefined>
  /** Fails once the broker has ended without having been asked to, with the end of its log. */
  readonly crashed: Effect.Effect<never, KafkaBrokerError>
}>()("@origin-regions/testkit/KafkaBroker") {
  /** The broker that `KAFKA_BROKERS` names, if it is set; otherwise one on the JVM. */
  static readonly layerWith = (options: JvmOptions = {}): Layer.Layer<KafkaBroker, KafkaBrokerError> =>
    Layer.unwrap(Effect.gen(function*() {
      const brokers = yield* Config.String("KAFKA_BROKERS").pipe(Config.withDefault(""), Effect.orDie)
      return brokers === "" ? KafkaBroker.layerJvm(options) : KafkaBroker.layerExternal(brokers)
    }))

  /** `layerWith` its defaults. One run of `npm test` starts one broker and sets `KAFKA_BROKERS`, so all tests share it. */
  static readonly layer: Layer.Layer<KafkaBroker, KafkaBrokerError> = this.layerWith()

  /** A broker on this machine's JVM, from Maven artifacts. Needs Java 17 or later, and Maven the first time. */
  static readonly layerJvm = (options: JvmOptions = {}): Layer.Layer<KafkaBroker, KafkaBrokerError> =>
    Layer.effect(
      KafkaBroker,
      Effect.map(
        jvmBroker({
          dataDirectory: options.dataDirectory,
          port: options.port,
          properties: options.properties ?? {},
          progress: options.progress ?? Effect.logInfo
        }),
        (broker) => serviceOf("jvm", broker)
      )
    ).pipe(Layer.provide([Leash.layer, layerRealTime]))

  /** A broker of somebody else's, by its bootstrap addresses as in `KAFKA_BROKERS`. */
  static readonly layerExternal = (value: string): Layer.Layer<KafkaBroker, KafkaBrokerError> =>
    Layer.effect(
      KafkaBroker,
      Effect.gen(function*() {
        const brokers = value.split(",").map((address) => address.trim()).filter((address) => address !== "")
        if (
          brokers.length === 0 || !brokers.every((address) => /^[^\s:]+:\d{1,5}$|^\[[^\]]+\]:\d{1,5}$/u.test(address))
        ) {
          return yield* new KafkaBrokerError({ reason: new InvalidBrokers({ value }) })
        }
        return KafkaBroker.of({
          brokers,
          provider: "external",
          start: notOurs("start"),
          stop: notOurs("stop"),
          kill: notOurs("kill"),
          restart: notOurs("restart"),
          instance: Effect.succeed(undefined),
          crashed: Effect.never
        })
      })
    )
}

const notOurs = (operation: string) => Effect.fail(new KafkaBrokerError({ reason: new NotOurs({ operation }) }))

const serviceOf = (provider: "jvm" | "testcontainers", broker: Broker) =>
  KafkaBroker.of({ ...broker, provider, restart: Effect.andThen(broker.stop, broker.start) })
