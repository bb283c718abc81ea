import { assert, describe, it } from "@effect/vitest"
import { type ClusterNode, KafkaCluster } from "@origin-regions/testkit/KafkaCluster"
import { Effect, Fiber, Layer, Result } from "effect"
import { randomUUID } from "node:crypto"
import { accessCluster, COORDINATOR_OF } from "./internal/ClusterAccess.ts"
import { layerKafka, missing, numbered, settingsFor, TestSettings, until } from "./internal/fixtures/TestKafka.ts"
import { readToEnd, workplace } from "./internal/fixtures/TestTransactions.ts"
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
  const { commit, member, outcomes, transactions } = yield* workplace({
    groupId: yield* nameOn(second, COORDINATOR_OF.group),
    transactionalId: yield* nameOn(third, COORDINATOR_OF.transaction)
  })
  let committed = 0
  let lastFailure = "none"
  let goal = Infinity
  const round = Effect.suspend(() =>
    commit([`v-${committed}`], [{ partition: 0, offset: committed + 1, metadata: `me|${committed}` }])
  ).pipe(
    Effect.match({
      onSuccess: () => {
        committed += 1
      },
      onFailure: ({ message }) => {
        lastFailure = message
      }
    })
  )
  const working = yield* Effect.forkScoped(Effect.repeat(round, { while: () => committed < goal }))
  const more = Effect.suspend(() => {
    const enough = committed + 50
    return until(() => committed >= enough)
  })
  let step = "begin"
  const losing = Effect.gen(function*() {
    for (const node of [second, third]) {
      step = `before ${node.nodeId} is killed`
      yield* more
      yield* node.kill
      step = `without ${node.nodeId}`
      yield* more
      yield* node.start
    }
    step = "all are back"
    goal = committed + 50
    yield* Fiber.join(working)
  })
  // Where it gets stuck, this is what one wants to know.
  yield* Effect.onInterrupt(losing, () =>
    Effect.logError(`Stuck: ${step}, after ${committed} commits`, {
      lastFailure,
      pending: transactions.pending(),
      generation: member.assignments.at(-1)?.generation
    }))
  assert.strictEqual((yield* transactions.stableOffsets([0], false)).get(0)?.offset, committed)
  assert.deepStrictEqual(yield* readToEnd(outcomes), [...numbered("v", committed)].toSorted())
})

describe("A cluster that loses the coordinator of a group, and then that of its transactions", () => {
  it.live("costs no outcome, and makes none twice", ({ skip }) =>
    Effect.gen(function*() {
      const built = yield* Effect.result(Layer.build(KafkaCluster.layerJvm()))
      if (Result.isFailure(built)) {
        const { message, reason } = built.failure
        return missing.has(reason._tag) ? skip(message) : yield* built.failure
      }
      yield* Effect.gen(function*() {
        const { brokers } = yield* KafkaCluster
        yield* Effect.scoped(Effect.provide(goesOn, layerKafka(settingsFor(...brokers))))
      }).pipe(Effect.provide(built.success))
    }), 180_000)
})
