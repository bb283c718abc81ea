import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import "./PatchedKafkaJS.ts"

const require = createRequire(import.meta.url)

interface EosManager {
  initProducerId(): Promise<void>
  getProducerId(): number
}

const createEosManager = require("kafkajs/src/producer/eosManager") as (options: object) => EosManager
const { prototype } = require("kafkajs/src/cluster") as { readonly prototype: object }

/** More than kafkajs would stand by default, and less than what was set. */
const REFUSALS = 12

describe("kafkajs' transactions", () => {
  it("wait for the end of the transaction before, as often as they were set to", async () => {
    let refusals = 0
    const coordinator = {
      initProducerId: async () => {
        if (refusals === REFUSALS) return { producerId: 7, producerEpoch: 0 }
        refusals += 1
        throw Object.assign(new Error("another transaction is being completed"), { type: "CONCURRENT_TRANSACTIONS" })
      }
    }
    const manager = createEosManager({
      logger: { namespace: () => ({ debug: () => {} }), debug: () => {} },
      cluster: Object.assign(Object.create(prototype), {
        refreshMetadataIfNecessary: async () => {},
        findGroupCoordinator: async () => coordinator
      }),
      transactionTimeout: 1_000,
      transactional: true,
      transactionalId: "id"
    })
    await manager.initProducerId()
    assert.deepStrictEqual([manager.getProducerId(), refusals], [7, REFUSALS])
  })
})
