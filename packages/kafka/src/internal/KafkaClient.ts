import { Duration, Effect, type LogLevel, Redacted, type Scope } from "effect"
import type { ISocketFactory, KafkaConfig, LogEntry, RetryOptions, SASLOptions } from "kafkajs"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { KafkaSettings } from "../KafkaSettings.ts"
import { oauthBearerProvider } from "./OAuthBearer.ts"
import { Kafka, logLevel } from "./PatchedKafkaJS.ts"

type Client = InstanceType<typeof Kafka>

const sasl = (settings: NonNullable<KafkaSettings["sasl"]>): SASLOptions => {
  if (settings.mechanism === "OAUTHBEARER") {
    return { mechanism: "oauthbearer", oauthBearerProvider: oauthBearerProvider(settings) }
  }
  const credential = { username: settings.username, password: Redacted.value(settings.password) }
  switch (settings.mechanism) {
    case "PLAIN":
      return { mechanism: "plain", ...credential }
    case "SCRAM-SHA-256":
      return { mechanism: "scram-sha-256", ...credential }
    case "SCRAM-SHA-512":
      return { mechanism: "scram-sha-512", ...credential }
  }
}

const ssl = (tls: NonNullable<KafkaSettings["tls"]>): NonNullable<KafkaConfig["ssl"]> => ({
  ...(tls.ca === undefined ? undefined : { ca: [tls.ca] }),
  ...(tls.cert === undefined ? undefined : { cert: tls.cert }),
  ...(tls.key === undefined ? undefined : { key: Redacted.value(tls.key) })
})

/**
 * What kafkajs logs louder than it is: parts of an ordinary rebalance, answers whose errors their callers get anyway, and attempts that say for a
 * second time that a connection failed.
 */
const ordinary =
  /^(Response|Limiting retries|Crash:|Failed to connect to seed broker,?) |concurrent operation on the same transaction|re-joining|rebalancing|^(Pausing|Resuming) fetching/i

const levelOf = ({ label, log }: LogEntry): LogLevel.Severity => {
  if (ordinary.test(log.message)) return "Debug"
  switch (label) {
    case "ERROR":
    case "WARN":
      return "Warn"
    case "INFO":
      return "Debug"
    default:
      return "Trace"
  }
}

const KEEP_ALIVE_DELAY = Duration.toMillis(Duration.minutes(1))

const connect: ISocketFactory = ({ host, onConnect, port, ssl }) => {
  const socket = ssl
    // A name to check the certificate against can't be an address.
    ? Tls.connect({ host, port, ...(Net.isIP(host) === 0 ? { servername: host } : undefined), ...ssl }, onConnect)
    : Net.connect({ host, port }, onConnect)
  // kafkajs ends a socket that has ended again and again while its broker is away, which leaves a listener every time.
  return socket.setMaxListeners(0).setKeepAlive(true, KEEP_ALIVE_DELAY)
}

const close = (socket: Net.Socket) => socket.destroy(new Error("the client has been closed"))

/**
 * What a client tells that connects to each address once: all that it is ever told by a broker comes from one and the same process, or from one that went before it.
 * Connections that could not be made do not count.
 */
export interface OnceOnly {
  /** A connection has ended, and not by us. */
  readonly ended: () => void
  /** One would have to be made again, because it has ended or its broker is silent. All connections have ended, and no more are made. */
  readonly again: () => void
}

/**
 * A client of its own for each use: kafkajs keeps committed offsets per client, and one consumer would clear another's. Logs into Effect's logger.
 * A request is tried for about 6 s before it fails: longer waits are for the callers, who can say what they wait for.
 *
 * With the scope all its connections end, and no more are made: kafkajs forgets some, and what it still tries then would go on for minutes.
 *
 * With `onceOnly` it connects to each address once: see there.
 */
export const makeClient = Effect.fnUntraced(
  function*(
    settings: KafkaSettings,
    clientId: string,
    retry: RetryOptions = { initialRetryTime: 200, maxRetryTime: 1_000, factor: 0.2, multiplier: 2, retries: 8 },
    onceOnly?: OnceOnly
  ): Effect.fn.Return<Client, never, Scope.Scope> {
    const runFork = Effect.runForkWith(yield* Effect.context<never>())
    const sockets = new Set<Net.Socket>()
    const connected = new Set<string>()
    let closed = false

    const end = () => {
      closed = true
      for (const socket of sockets) close(socket)
    }

    yield* Effect.addFinalizer(() => Effect.sync(end))

    return new Kafka({
      clientId,
      brokers: [...settings.brokers],
      ...(settings.tls === undefined ? undefined : { ssl: ssl(settings.tls) }),
      ...(settings.sasl === undefined ? undefined : { sasl: sasl(settings.sasl) }),
      connectionTimeout: 10_000,
      requestTimeout: 15_000,
      retry,
      socketFactory: (options) => {
        const address = `${options.host}:${options.port}`
        if (!closed && onceOnly !== undefined && connected.has(address)) {
          end()
          onceOnly.again()
        }
        if (closed) return close(new Net.Socket())
        const socket = connect({
          ...options,
          onConnect: () => {
            connected.add(address)
            options.onConnect()
          }
        })
        sockets.add(socket)
        return socket.once("close", () => {
          sockets.delete(socket)
          if (!closed && connected.has(address)) onceOnly?.ended()
        })
      },
      logLevel: logLevel.INFO,
      logCreator: () => (entry: LogEntry) => {
        if (closed) return
        const { logger: _logger, message, timestamp: _timestamp, stack: _stack, ...fields } = entry.log
        // Some messages are errors, whatever their type says.
        runFork(Effect.logWithLevel(levelOf(entry))(String(message), { "kafka.client": entry.namespace, ...fields }))
      }
    })
  }
)

const DISCONNECT_TIMEOUT = Duration.seconds(2)

/** Ends something of a client's in order, so that the broker knows. One that does not answer is not waited for: the client's scope ends the rest. */
export const inOrder = (end: Effect.Effect<unknown, unknown>): Effect.Effect<void> =>
  end.pipe(Effect.timeoutOption(DISCONNECT_TIMEOUT), Effect.ignore)
