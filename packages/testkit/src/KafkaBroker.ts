import { Config, Context, Effect, Layer } from "effect"
import type { Broker } from "./internal/Broker.ts"
import type { BrokerProperties } from "./internal/BrokerProperties.ts"
import { jvmBroker } from "./internal/JvmBroker.ts"
import type { Progress } from "./internal/Progress.ts"
import { layerRealTime } from "./internal/RealTime.ts"
import { InvalidBrokers, KafkaBrokerError, NoProvider, NotOurs } from "./KafkaBrokerError.ts"
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

export interface TestcontainersOptions extends KafkaBrokerOptions {
  /** An image with `apache/kafka`'s interface. Default: `KAFKA_IMAGE`, or `apache/kafka` of our version. */
  readonly image?: string
  /** A named volume that keeps the data across containers. Default: none is kept. */
  readonly volume?: string
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
  /**
   * The first that applies: the broker that `KAFKA_BROKERS` names; one in a container, where a Docker daemon answers and
   * has or gets the image; one on the JVM.
   */
  static readonly layerWith = (
    options: JvmOptions & TestcontainersOptions = {}
  ): Layer.Layer<KafkaBroker, KafkaBrokerError> =>
    Layer.unwrap(Effect.gen(function*() {
      const brokers = yield* Config.String("KAFKA_BROKERS").pipe(Config.withDefault(""), Effect.orDie)
      if (brokers !== "") return KafkaBroker.layerExternal(brokers)
      return KafkaBroker.layerTestcontainers(options).pipe(
        Layer.catchTag("KafkaBrokerError", (docker) => withoutDocker(docker, options))
      )
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
          progress: tell(options)
        }),
        (broker) => serviceOf("jvm", broker)
      )
    ).pipe(Layer.provide([Leash.layer, layerRealTime]))

  /** One that nobody else uses, for tests that kill it: on the JVM where there is one, which takes a fraction of a container's time. */
  static readonly layerPrivate = (options: KafkaBrokerOptions = {}): Layer.Layer<KafkaBroker, KafkaBrokerError> =>
    KafkaBroker.layerJvm(options).pipe(
      Layer.catchTag(
        "KafkaBrokerError",
        (error) =>
          error.isUnavailable ? KafkaBroker.layerTestcontainers(options) : Layer.effect(KafkaBroker, Effect.fail(error))
      )
    )

  /** A broker in a container, by Testcontainers. */
  static readonly layerTestcontainers = (
    options: TestcontainersOptions = {}
  ): Layer.Layer<KafkaBroker, KafkaBrokerError> =>
    Layer.effect(
      KafkaBroker,
      Effect.gen(function*() {
        // Half a second to load, which a broker on the JVM need not pay.
        const { dockerBroker } = yield* Effect.promise(() => import("./internal/DockerBroker.ts"))
        const broker = yield* dockerBroker({
          image: options.image,
          volume: options.volume,
          port: options.port,
          properties: options.properties ?? {},
          progress: tell(options)
        })
        return serviceOf("testcontainers", broker)
      })
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

const tell = (options: KafkaBrokerOptions): Progress => options.progress ?? Effect.logInfo

/** The JVM has its turn where Docker is missing, and where it has no image; any other failure is one to be told. */
const withoutDocker = (docker: KafkaBrokerError, options: JvmOptions) =>
  Layer.unwrap(Effect.gen(function*() {
    const { _tag } = docker.reason
    if (_tag !== "DockerUnavailable" && _tag !== "ImageUnavailable") return yield* docker
    if (_tag === "ImageUnavailable") yield* tell(options)(`${docker.message} Trying the JVM instead.`)
    return KafkaBroker.layerJvm(options).pipe(
      Layer.catchTag("KafkaBrokerError", (java) => Layer.effect(KafkaBroker, Effect.fail(explain(docker, java))))
    )
  }))

const explain = (docker: KafkaBrokerError, java: KafkaBrokerError) =>
  java.isUnavailable
    ? new KafkaBrokerError({ reason: new NoProvider({ docker: docker.message, java: java.message }) })
    : java

const notOurs = (operation: string) => Effect.fail(new KafkaBrokerError({ reason: new NotOurs({ operation }) }))

const serviceOf = (provider: "jvm" | "testcontainers", broker: Broker) =>
  KafkaBroker.of({ ...broker, provider, restart: Effect.andThen(broker.stop, broker.start) })
