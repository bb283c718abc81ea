import { Effect, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { createServer } from "node:net"
import { type ContainerRuntimeClient, GenericContainer, getContainerRuntimeClient, ImageName } from "testcontainers"
import { DockerUnavailable, ImageUnavailable } from "../DockerError.ts"
import { Leash } from "../Leash.ts"
import type { Progress } from "./Progress.ts"

/** What a failed call of the Docker client says. */
export const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

export const connectDocker = Effect.tryPromise({
  try: () => getContainerRuntimeClient(),
  catch: () => new DockerUnavailable()
}).pipe(
  // A daemon that accepts a connection and then says nothing.
  Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.fail(new DockerUnavailable()) })
)

export interface WantedImage {
  readonly image: string
  /** The environment variable that names another one. */
  readonly setting: string
  readonly progress: Progress
}

/** Pulls the image where it is not there yet. */
export const ensureImage = (client: ContainerRuntimeClient, { image, progress, setting }: WantedImage) =>
  Effect.gen(function*() {
    const name = ImageName.fromString(image)
    if (yield* Effect.tryPromise(() => client.image.exists(name))) return
    yield* progress(`Pulling the image ${image} (once).`)
    yield* Effect.tryPromise(() => client.image.pull(name))
  }).pipe(
    Effect.mapError(({ cause }) => new ImageUnavailable({ image, setting, problem: messageOf(cause) }))
  )

/**
 * The host at which the daemon's published ports are reached. Where `/.dockerenv` exists, Testcontainers takes itself
 * for a container and answers the bridge's gateway; if that address is this machine's own, loopback reaches it too.
 */
export const publishedHost = (client: ContainerRuntimeClient) =>
  Effect.callback<string>((resume) => {
    const { host } = client.info.containerRuntime
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(host)))
    server.listen(0, host, () => server.close(() => resume(Effect.succeed("127.0.0.1"))))
  })

/** Publishes on loopback only, which the public methods have no word for. */
export class LocalContainer extends GenericContainer {
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

/** A name that is known, and held, before there is a container to leave behind; the container goes with the scope. */
export const leashedName = (
  client: ContainerRuntimeClient,
  prefix: string
): Effect.Effect<string, never, Scope.Scope | Leash> =>
  Effect.acquireRelease(
    Effect.map(Leash, ({ hold }) => {
      const name = `${prefix}-${SecureRandom.uuidV4Unsafe()}`
      return { name, release: hold({ _tag: "Container", name }) }
    }),
    ({ name, release }) =>
      Effect.promise(() => client.container.getById(name).remove({ force: true, v: true }).catch(() => {})).pipe(
        Effect.andThen(Effect.sync(release))
      )
  ).pipe(Effect.map(({ name }) => name))

/** The end of what a container wrote; empty where there is no such container. */
export const containerLog = (client: ContainerRuntimeClient, name: string): Effect.Effect<string> =>
  Effect.promise(() =>
    client.container.getById(name).logs({ stdout: true, stderr: true, tail: 25 }).then(logText, () => "")
  )

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

/** Whether a container could not be started because somebody was quicker to take its port. */
export const isPortAllocated = (problem: string): boolean =>
  /address already in use|port is already allocated/u.test(problem)
