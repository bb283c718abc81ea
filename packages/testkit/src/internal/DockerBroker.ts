import { Config, Effect, type Scope } from "effect"
import { Wait } from "testcontainers"
import { KafkaBrokerError } from "../KafkaBrokerError.ts"
import type { Leash } from "../Leash.ts"
import { type Broker, notRunning } from "./Broker.ts"
import {
  type BrokerProperties,
  brokerProperties,
  clusterId,
  heap,
  kafkaVersion,
  propertiesEnvironment
} from "./BrokerProperties.ts"
import {
  connectDocker,
  containerLog,
  ensureImage,
  isPortAllocated,
  leashedName,
  LocalContainer,
  messageOf,
  publishedHost
} from "./Docker.ts"
import { exclusively } from "./Exclusive.ts"
import { probe } from "./KafkaProbe.ts"
import { freePort, portPreferring } from "./Ports.ts"
import type { Progress } from "./Progress.ts"
import { awaitReady, portAttempts } from "./Readiness.ts"
import { type Run, supervise } from "./Supervision.ts"

export interface DockerBrokerOptions {
  readonly image: string | undefined
  readonly volume: string | undefined
  readonly port: number | undefined
  readonly properties: BrokerProperties
  readonly progress: Progress
}

/** Where a broker listens in its container, and what the image offers for its data. */
const ports = { HOST: 9092, BROKER: 9093, CONTROLLER: 9094 }
const dataDirectory = "/var/lib/kafka/data"

const isPortTaken = (error: KafkaBrokerError) =>
  error.reason._tag === "NotRunning" && isPortAllocated(error.reason.problem)

export const dockerBroker = Effect.fn("DockerBroker")(
  function*(options: DockerBrokerOptions): Effect.fn.Return<Broker, KafkaBrokerError, Scope.Scope | Leash> {
    const { progress, properties, volume } = options
    const client = yield* Effect.mapError(connectDocker, (reason) => new KafkaBrokerError({ reason }))
    const image = options.image ??
      (yield* Effect.orDie(Config.String("KAFKA_IMAGE").pipe(Config.withDefault(`apache/kafka:${kafkaVersion}`))))
    yield* ensureImage(client, { image, setting: "KAFKA_IMAGE", progress }).pipe(
      Effect.mapError((reason) => new KafkaBrokerError({ reason }))
    )
    const host = yield* publishedHost(client)

    if (volume !== undefined) yield* exclusively(`the volume ${volume}`)
    const failWith = (name: string) => (problem: string) =>
      Effect.flatMap(containerLog(client, name), (log) => Effect.fail(notRunning(problem, log)))

    /** Follows a container that was just started, until it serves. */
    const follow = Effect.fnUntraced(function*(name: string, brokerPort: number) {
      const container = client.container.getById(name)
      const fail = failWith(name)
      const command = <A>(operation: () => Promise<A>) =>
        Effect.catch(Effect.tryPromise(operation), ({ cause }) => fail(messageOf(cause)))
      const exited = command(() => container.wait())
      const ended = Effect.flatMap(exited, ({ StatusCode }) => fail(`ended with exit code ${StatusCode}`))
      yield* awaitReady(probe({ host, port: brokerPort }), ended, fail)
      const run: Run<KafkaBrokerError> = {
        instance: name,
        ended,
        stop: command(() => client.container.stop(container, { timeout: 30_000 })),
        kill: Effect.andThen(command(() => container.kill()), exited)
      }
      return run
    })

    const create = Effect.fnUntraced(function*(name: string, port: number, brokerPort: number) {
      const container = new LocalContainer(image)
        .withName(name)
        // Our leash removes it, also where Ryuk's image cannot be had.
        .withAutoCleanup(false)
        .withEnvironment({
          CLUSTER_ID: clusterId,
          KAFKA_HEAP_OPTS: heap,
          ...propertiesEnvironment(brokerProperties({
            listenHost: "0.0.0.0",
            ports,
            advertised: `${host}:${port}`,
            dataDirectory
          }, properties))
        })
        .publish(host, { [ports.HOST]: port, [ports.BROKER]: brokerPort })
        // Any sign of life: whether it serves is for our own probe to say.
        .withWaitStrategy(Wait.forLogMessage(/./u))
      if (volume !== undefined) container.withBindMounts([{ source: volume, target: dataDirectory }])
      yield* Effect.tryPromise(() => container.start()).pipe(
        Effect.catch(({ cause }) => failWith(name)(`could not be started (${messageOf(cause)})`))
      )
      return yield* follow(name, brokerPort)
    })

    yield* progress(`Starting Kafka in a container of ${image}.`)
    // The ports are fixed, since Docker would give a container that is started again other ones.
    const { brokerPort, port, run } = yield* Effect.gen(function*() {
      const port = yield* portPreferring(options.port)
      const brokerPort = yield* freePort
      return {
        port,
        brokerPort,
        run: yield* create(yield* leashedName(client, "origin-regions-kafka"), port, brokerPort)
      }
    }).pipe(Effect.retry({ while: isPortTaken, times: portAttempts }))
    const startAgain = Effect.tryPromise(() => client.container.getById(run.instance).start()).pipe(
      Effect.catch(({ cause }) => failWith(run.instance)(`could not be started (${messageOf(cause)})`)),
      Effect.andThen(follow(run.instance, brokerPort))
    )
    return { brokers: [`${host}:${port}`], ...yield* supervise(run, startAgain) }
  }
)
