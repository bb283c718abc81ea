import { assert, describe, it } from "@effect/vitest"
import { type ClusterNode, KafkaCluster } from "@origin-regions/testkit/KafkaCluster"
import { whereAvailable } from "@origin-regions/testkit/WhereAvailable"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { accessCluster, COORDINATOR_OF } from "./internal/ClusterAccess.ts"
import { layerKafka, settingsFor, TestSettings } from "./internal/fixtures/TestKafka.ts"
import { keepCommitting, workplace } from "./internal/fixtures/TestTransactions.ts"
import { makeClient } from "./internal/KafkaClient.ts"

/** Names until one has its coordinator on this broker. */
const nameOn = Effect.fnUntraced(function*(node: ClusterNode, coordinatorType: number) {
  const connect = yield* accessCluster(yield* makeClient(yield* TestSettings, "look-up"))
  return yield* Effect.promise(async () => {
    const cluster = await connect()
    for (;;) {
      const name = `name-${randomUUID()}`
      const { nodeId } = await cluster.findGroupCoordinator({ groupId: name, coordinatorType })
      if (Number(nodeId) === node.nodeId) return name
    }
  })
}, Effect.scoped)

const goesOn = Effect.gen(function*() {
  const { nodes } = yield* KafkaCluster
  const [, second, third] = nodes
  if (second === undefined || third === undefined) return assert.fail("a cluster of three")
  const place = yield* workplace({
    groupId: yield* nameOn(second, COORDINATOR_OF.group),
    transactionalId: yield* nameOn(third, COORDINATOR_OF.transaction)
  })
  const { complete, more, told } = yield* keepCommitting(place)
  let step = "begin"
  const losing = Effect.gen(function*() {
    for (const node of [second, third]) {
      step = `before ${node.nodeId} is killed`
      yield* more
      yield* node.kill
      step = `without ${node.nodeId}`
      // By those that are left.
      yield* more
      yield* node.start
    }
    step = "all are back"
    yield* complete
  })
  yield* told(losing, () => step)
})

describe("A cluster that loses the coordinator of a group, and then that of its transactions", () => {
  it.live("costs no outcome, and makes none twice", ({ skip }) =>
    whereAvailable(
      KafkaCluster.layerJvm(),
      skip,
      Effect.gen(function*() {
        const { brokers } = yield* KafkaCluster
        yield* Effect.scoped(Effect.provide(goesOn, layerKafka(settingsFor(...brokers))))
      })
    ), 180_000)
})
