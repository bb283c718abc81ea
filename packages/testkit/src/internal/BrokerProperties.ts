/** The one Kafka version that the tests and `npm start` run. */
export const kafkaVersion = "4.3.1"

/** Of every broker we format, so that a data directory can be moved between the providers' containers and machines. */
export const clusterId = "b3JpZ2luLXJlZ2lvbnMtaw"

/** The memory of every broker we start. */
export const heap = "-Xmx512m"

export type BrokerProperties = Readonly<Record<string, string>>

/** Where a broker listens, and where it says it listens. */
export interface BrokerAddresses {
  /** The interface to listen on: `127.0.0.1`, or `0.0.0.0` inside a container. */
  readonly listenHost: string
  /** Ports to listen on. HOST is for clients, BROKER for the broker itself and our probe, CONTROLLER for Raft. */
  readonly ports: { readonly HOST: number; readonly BROKER: number; readonly CONTROLLER: number }
  /** What clients are told. */
  readonly advertised: string
  readonly dataDirectory: string
}

/** The settings of every broker we start, whoever runs it: one node, small and quick, and nothing appears by itself. */
const settings: BrokerProperties = {
  "process.roles": "broker,controller",
  "node.id": "1",
  "controller.listener.names": "CONTROLLER",
  "inter.broker.listener.name": "BROKER",
  "listener.security.protocol.map": "HOST:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
  "auto.create.topics.enable": "false",
  "offsets.topic.replication.factor": "1",
  "offsets.topic.num.partitions": "1",
  "transaction.state.log.replication.factor": "1",
  "transaction.state.log.min.isr": "1",
  "transaction.state.log.num.partitions": "4",
  "share.coordinator.state.topic.replication.factor": "1",
  "share.coordinator.state.topic.min.isr": "1",
  // A group of one starts at once.
  "group.initial.rebalance.delay.ms": "0",
  // Tests of lost members need not wait the default minimum of 6 s.
  "group.min.session.timeout.ms": "100",
  // Started again after a hard kill, the broker first waits for its former self's session to end.
  "broker.session.timeout.ms": "2000",
  "broker.heartbeat.interval.ms": "200",
  "num.network.threads": "2",
  "num.io.threads": "4",
  "log.cleaner.threads": "1",
  "log.cleaner.dedupe.buffer.size": "2097152"
}

/** The whole table of one broker; `extra` overrides. */
export const brokerProperties = (addresses: BrokerAddresses, extra: BrokerProperties = {}): BrokerProperties => {
  const { advertised, dataDirectory, listenHost, ports } = addresses
  return {
    ...settings,
    "controller.quorum.voters": `1@127.0.0.1:${ports.CONTROLLER}`,
    "listeners":
      `HOST://${listenHost}:${ports.HOST},BROKER://${listenHost}:${ports.BROKER},CONTROLLER://${listenHost}:${ports.CONTROLLER}`,
    "advertised.listeners": `HOST://${advertised},BROKER://127.0.0.1:${ports.BROKER}`,
    "log.dirs": dataDirectory,
    ...extra
  }
}

/** As the lines of a `server.properties` file. */
export const propertiesFile = (properties: BrokerProperties): string =>
  Object.entries(properties).map(([name, value]) => `${name}=${value.replaceAll("\\", "\\\\")}\n`).join("")

/**
 * As the environment of the `apache/kafka` image, which reads `KAFKA_A_B` as `a.b`; an underscore of the name is
 * doubled, a hyphen tripled.
 */
export const propertiesEnvironment = (properties: BrokerProperties): Record<string, string> =>
  Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [
      `KAFKA_${name.replaceAll("_", "__").replaceAll("-", "___").replaceAll(".", "_").toUpperCase()}`,
      value
    ])
  )
