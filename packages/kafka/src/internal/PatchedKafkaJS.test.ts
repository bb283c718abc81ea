import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import { vi } from "vitest"
import "./PatchedKafkaJS.ts"

const require = createRequire(import.meta.url)

interface EosManager {
  initProducerId(): Promise<void>
  getProducerId(): number
}

const createEosManager = require("kafkajs/src/producer/eosManager") as (options: object) => EosManager
const { prototype } = require("kafkajs/src/cluster") as { readonly prototype: object }

describe("kafkajs' transactions", () => {
  it("wait for the end of the transaction before, as long as they were set to", async () => {
    let refusals = 0
    const coordinator = {
      initProducerId: async () => {
        if (refusals === 3) return { producerId: 7, producerEpoch: 0 }
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
    const setTimers = vi.spyOn(globalThis, "setTimeout")
    await manager.initProducerId()
    const delays = setTimers.mock.calls.map(([, delay]) => delay ?? 0)
    setTimers.mockRestore()
    assert.strictEqual(manager.getProducerId(), 7)
    assert.lengthOf(delays, 3)
    // By default it waits for 300 ms, or 50 under test, and longer each time.
    assert.isBelow(Math.max(...delays), 30)
  })
})
