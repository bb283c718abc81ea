import type { createRequire } from "node:module"

interface Lookup {
  readonly groupId: string
  readonly coordinatorType?: number
}

type Lookups = Map<string, unknown>

/** What a producer of transactions asks of coordinators. */
const asked = ["initProducerId", "addPartitionsToTxn", "addOffsetsToTxn", "txnOffsetCommit", "endTxn"] as const

type Broker = Record<typeof asked[number], (request: object) => Promise<unknown>>

interface Cluster {
  findGroupCoordinatorMetadata(lookup: Lookup): Promise<unknown>
  findBroker(of: { readonly nodeId: string | number }): Promise<Broker>
}

type Factory = (options: { readonly cluster: Cluster; readonly transactional: boolean }) => unknown

/** Only a coordinator says so: it is still busy with the end of the transaction before. */
const isOfCoordinator = (error: unknown): boolean =>
  error instanceof Error && "type" in error && error.type === "CONCURRENT_TRANSACTIONS"

/**
 * kafkajs' `eosManager`, which remembers where the coordinators are that its transactions need, until anything fails with one. kafkajs' own asks a broker
 * before each of its requests to a coordinator: four round trips more in every transaction, one after the other.
 *
 * A broker that is no coordinator any more says so, or can't be reached. What is tried again after that is looked up again. Other clusters than those of
 * producers of transactions remember nothing: nobody watches their requests.
 */
export const rememberCoordinators = (require: ReturnType<typeof createRequire>): Factory => {
  const { prototype: cluster } = require("kafkajs/src/cluster") as { readonly prototype: Cluster }
  const { prototype: broker } = require("kafkajs/src/broker") as { readonly prototype: Broker }
  const create = require("kafkajs/src/producer/eosManager") as Factory
  const { findBroker, findGroupCoordinatorMetadata } = cluster
  const ofClusters = new WeakMap<Cluster, Lookups>()
  const ofBrokers = new WeakMap<Broker, Lookups>()

  cluster.findGroupCoordinatorMetadata = async function(lookup) {
    const lookups = ofClusters.get(this)
    if (lookups === undefined) return findGroupCoordinatorMetadata.call(this, lookup)
    const key = `${lookup.coordinatorType} ${lookup.groupId}`
    const known = lookups.get(key)
    if (known !== undefined) return known
    const found = await findGroupCoordinatorMetadata.call(this, lookup)
    lookups.set(key, found)
    return found
  }

  cluster.findBroker = async function(of) {
    const lookups = ofClusters.get(this)
    if (lookups === undefined) return findBroker.call(this, of)
    try {
      const found = await findBroker.call(this, of)
      ofBrokers.set(found, lookups)
      return found
    } catch (error) {
      lookups.clear()
      throw error
    }
  }

  for (const name of asked) {
    const ask = broker[name]
    broker[name] = async function(request) {
      try {
        return await ask.call(this, request)
      } catch (error) {
        if (!isOfCoordinator(error)) ofBrokers.get(this)?.clear()
        throw error
      }
    }
  }

  return (options) => {
    if (options.transactional) ofClusters.set(options.cluster, new Map())
    return create(options)
  }
}
