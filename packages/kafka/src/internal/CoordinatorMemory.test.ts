import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import "./PatchedKafkaJS.ts"

const require = createRequire(import.meta.url)

interface Broker {
  endTxn(request: object): Promise<unknown>
}

interface Cluster {
  findGroupCoordinator(of: { readonly groupId: string; readonly coordinatorType: number }): Promise<Broker>
}

const createEosManager = require("kafkajs/src/producer/eosManager") as (options: object) => unknown
const createRetry = require("kafkajs/src/retry") as (options: object) => unknown
const { prototype: clusters } = require("kafkajs/src/cluster") as { readonly prototype: Cluster }
const { prototype: brokers } = require("kafkajs/src/broker") as { readonly prototype: Broker }

const GROUP = { groupId: "group", coordinatorType: 0 }
const TRANSACTIONS = { groupId: "transactions", coordinatorType: 1 }

const failure = (fields: object): Error => Object.assign(new Error("told to fail"), fields)

/** The cluster of a producer, with a broker that fails as it is told; counts what is looked up. */
const producer = (transactional: boolean) => {
  const state: { lookups: number; unreachable: Error | undefined } = { lookups: 0, unreachable: undefined }
  const logger = { namespace: () => logger, debug: () => {} }
  const asked = {
    findGroupCoordinator: async () => {
      state.lookups += 1
      return { host: "anywhere", coordinator: { nodeId: 1 } }
    }
  }
  let refusal = failure({})
  const coordinator: Broker = Object.assign(Object.create(brokers), {
    lookupRequest: () => {
      throw refusal
    }
  })
  const cluster: Cluster = Object.assign(Object.create(clusters), {
    logger,
    retrier: createRetry({ initialRetryTime: 1, retries: 2 }),
    refreshMetadata: async () => {},
    brokerPool: {
      withBroker: (use: (of: object) => Promise<unknown>) => use({ nodeId: 0, broker: asked }),
      findBroker: async () => {
        const { unreachable } = state
        state.unreachable = undefined
        if (unreachable !== undefined) throw unreachable
        return coordinator
      }
    }
  })
  createEosManager({ logger, cluster, transactional, transactionalId: "transactions" })
  const lookups = async (of: typeof GROUP) => {
    const before = state.lookups
    await cluster.findGroupCoordinator(of)
    return state.lookups - before
  }
  const failWith = async (fields: object) => {
    refusal = failure(fields)
    const found = await cluster.findGroupCoordinator(TRANSACTIONS)
    assert.strictEqual(await found.endTxn({}).then(() => undefined, (error: unknown) => error), refusal)
  }
  return { state, lookups, failWith }
}

describe("A producer of transactions", () => {
  it("looks each of its coordinators up once", async () => {
    const { lookups } = producer(true)
    assert.deepStrictEqual([await lookups(GROUP), await lookups(TRANSACTIONS)], [1, 1])
    assert.deepStrictEqual([await lookups(GROUP), await lookups(TRANSACTIONS)], [0, 0])
  })

  for (
    const fields of [
      { type: "NOT_COORDINATOR_FOR_GROUP" },
      { type: "NOT_COORDINATOR" },
      { type: "GROUP_COORDINATOR_NOT_AVAILABLE" },
      { type: "COORDINATOR_NOT_AVAILABLE" },
      { name: "KafkaJSConnectionClosedError" },
      { name: "KafkaJSRequestTimeoutError" }
    ]
  ) {
    it(`looks them up again after ${Object.values(fields).join()}`, async () => {
      const { failWith, lookups } = producer(true)
      await lookups(GROUP)
      await failWith(fields)
      assert.deepStrictEqual([await lookups(GROUP), await lookups(TRANSACTIONS)], [1, 1])
    })
  }

  it("looks one up again that can't be reached, before it gives up", async () => {
    const { lookups, state } = producer(true)
    await lookups(TRANSACTIONS)
    state.unreachable = failure({ name: "KafkaJSConnectionError", code: "ECONNREFUSED" })
    assert.strictEqual(await lookups(TRANSACTIONS), 1)
  })

  it("remembers one that is busy with the transaction before", async () => {
    const { failWith, lookups } = producer(true)
    await failWith({ type: "CONCURRENT_TRANSACTIONS" })
    assert.strictEqual(await lookups(TRANSACTIONS), 0)
  })
})

describe("Any other client", () => {
  it("looks coordinators up each time", async () => {
    const { lookups } = producer(false)
    assert.deepStrictEqual([await lookups(TRANSACTIONS), await lookups(TRANSACTIONS)], [1, 1])
  })
})
