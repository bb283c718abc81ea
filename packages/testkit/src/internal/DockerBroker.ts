import { Config, Effect, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { createServer } from "node:net"
import {
  type ContainerRuntimeClient,
  GenericContainer,
  getContainerRuntimeClient,
  ImageName,
  Wait
} from "testcontainers"
import { DockerUnavailable, ImageUnavailable, KafkaBrokerError } from "../KafkaBrokerError.ts"
import { Leash } from "../Leash.ts"
import { awaitReady, type Broker, notRunning, portAttempts, type Progress, type Run, supervise } from "./Broker.ts"
import {
  type BrokerProperties,
  brokerProperties,
  clusterId,
  heap,
  kafkaVersion,
  propertiesEnvironment
} from "./BrokerProperties.ts"
import { exclusively } from "./Exclusive.ts"
import { freePort, portPreferring } from "./Ports.ts"

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

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error)

const connect = Effect.tryPromise({
  try: () => getContainerRuntimeClient(),
  catch: () => new KafkaBrokerError({ reason: new DockerUnavailable() })
}).pipe(
  // A daemon that accepts a connection and then says nothing.
  Effect.timeoutOrElse({
    duration: "10 seconds",
    orElse: () => Effect.fail(new KafkaBrokerError({ reason: new DockerUnavailable() }))
  })
)

const ensureImage = (client: ContainerRuntimeClient, image: string, progress: Progress) =>
  Effect.gen(function*() {
    const name = ImageName.fromString(image)
    if (yield* Effect.tryPromise(() => client.image.exists(name))) return
    yield* progress(`Pulling the image ${image} (once).`)
    yield* Effect.tryPromise(() => client.image.pull(name))
  }).pipe(
    Effect.mapError(({ cause }) =>
      new KafkaBrokerError({ reason: new ImageUnavailable({ image, problem: messageOf(cause) }) })
    )
  )

/**
 * The host at which the daemon's published ports are reached. Where `/.dockerenv` exists, Testcontainers takes itself
 * for a container and answers the bridge's gateway; if that address is this machine's own, loopback reaches it too.
 */
const publishedHost = (client: ContainerRuntimeClient) =>
  Effect.callback<string>((resume) => {
    const { host } = client.info.containerRuntime
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(host)))
    server.listen(0, host, () => server.close(() => resume(Effect.succeed("127.0.0.1"))))
  })

/** Publishes on loopback only, which the public methods have no word for. */
class LocalContainer extends GenericContainer {
  publish(host: string, mapping: Readonly<Record<number, number>>): this {
    for (const [container, port] of Object.entries(mapping)) {
      this.withExposedPorts({ container: Number(container), host: port })
      if (host === "127.0.0.1") {
        this.hostConfig.PortBindings = {
          ...this.hostConfig.PortBindings,
          [`${container}/tcp`]: [{ HostIp: host, HostPort: String(port) }]
        }
      }
    }
    return this
  }
}

/** Frames of a log as the Docker API sends it: a byte for the stream, three of nothing, four of length, the text. */
const logText = (frames: Buffer) => {
  const texts: Array<string> = []
  for (let at = 0; at + 8 <= frames.length;) {
    const end = at + 8 + frames.readUInt32BE(at + 4)
    texts.push(frames.toString("utf8", at + 8, end))
    at = end
  }
  return texts.join("").trimEnd()
}

const isPortTaken = (error: KafkaBrokerError) =>
  error.reason._tag === "NotRunning" && /address already in use|port is already allocated/u.test(error.reason.problem)

export const dockerBroker = Effect.fn("DockerBroker")(
  function*(options: DockerBrokerOptions): Effect.fn.Return<Broker, KafkaBrokerError, Scope.Scope | Leash> {
    const { progress, properties, volume } = options
    const { hold } = yield* Leash
    const client = yield* connect
    const image = options.image ??
      (yield* Effect.orDie(Config.String("KAFKA_IMAGE").pipe(Config.withDefault(`apache/kafka:${kafkaVersion}`))))
    yield* ensureImage(client, image, progress)
    const host = yield* publishedHost(client)

    /** A name that is known, and held, before there is a container to leave behind. */
    const leashedName = Effect.acquireRelease(
      Effect.sync(() => {
        const name = `origin-regions-kafka-${SecureRandom.uuidV4Unsafe()}`
        return { name, release: hold({ _tag: "Container", name }) }
      }),
      ({ name, release }) =>
        Effect.promise(() => client.container.getById(name).remove({ force: true, v: true }).catch(() => {})).pipe(
          Effect.andThen(Effect.sync(release))
        )
    ).pipe(Effect.map(({ name }) => name))

    if (volume !== undefined) yield* exclusively(`the volume ${volume}`)
    const failWith = (name: string) => (problem: string) =>
      Effect.promise(() =>
        client.container.getById(name).logs({ stdout: true, stderr: true, tail: 25 }).then(logText, () => "")
      ).pipe(Effect.flatMap((log) => Effect.fail(notRunning(problem, log))))

    /** Follows a container that was just started, until it serves. */
    const follow = Effect.fnUntraced(function*(name: string, brokerPort: number) {
      const container = client.container.getById(name)
      const fail = failWith(name)
      const command = <A>(operation: () => Promise<A>) =>
        Effect.catch(Effect.tryPromise(operation), ({ cause }) => fail(messageOf(cause)))
      const exited = command(() => container.wait())
      const ended = Effect.flatMap(exited, ({ StatusCode }) => fail(`ended with exit code ${StatusCode}`))
      yield* awaitReady({ host, port: brokerPort }, ended, fail)
      const run: Run = {
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
      return { port, brokerPort, run: yield* create(yield* leashedName, port, brokerPort) }
    }).pipe(Effect.retry({ while: isPortTaken, times: portAttempts }))
    const startAgain = Effect.tryPromise(() => client.container.getById(run.instance).start()).pipe(
      Effect.catch(({ cause }) => failWith(run.instance)(`could not be started (${messageOf(cause)})`)),
      Effect.andThen(follow(run.instance, brokerPort))
    )
    return yield* supervise(`${host}:${port}`, run, startAgain)
  }
)
