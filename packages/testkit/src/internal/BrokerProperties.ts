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
  /** Ports to listen on. HOST is for clients, BROKER for the brokers themselves and our probe, CONTROLLER (node 1's) for Raft. */
  readonly ports: { readonly HOST: number; readonly BROKER: number; readonly CONTROLLER: number }
  /** What clients are told. */
  readonly advertised: string
  readonly dataDirectory: string
  /** Of a cluster: default 1, the only one that is a controller, too. */
  readonly nodeId?: number
}

/** The settings of every broker we start, whoever runs it: small and quick, and nothing appears by itself. */
const settings: BrokerProperties = {
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
  const { advertised, dataDirectory, listenHost, nodeId = 1, ports } = addresses
  const isController = nodeId === 1
  const listeners = [`HOST://${listenHost}:${ports.HOST}`, `BROKER://${listenHost}:${ports.BROKER}`]
  return {
    ...settings,
    "process.roles": isController ? "broker,controller" : "broker",
    "node.id": String(nodeId),
    "controller.quorum.voters": `1@127.0.0.1:${ports.CONTROLLER}`,
    "listeners": [...listeners, ...(isController ? [`CONTROLLER://${listenHost}:${ports.CONTROLLER}`] : [])].join(","),
    "advertised.listeners": `HOST://${advertised},BROKER://127.0.0.1:${ports.BROKER}`,
    "log.dirs": dataDirectory,
    ...extra
  }
}

/** What brokers that stand in for each other have on top: every record is on all of them, and one is enough to go on. */
export const clusterProperties = (size: number): BrokerProperties => ({
  "default.replication.factor": String(size),
  "offsets.topic.replication.factor": String(size),
  "offsets.topic.num.partitions": "6",
  "transaction.state.log.replication.factor": String(size),
  "transaction.state.log.num.partitions": "6",
  "min.insync.replicas": "1"
})

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
