import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Duration, Effect, Exit, Fiber, Result, Scope } from "effect"
import { randomUUID } from "node:crypto"
import { apiKeys, type KafkaProxy, makeKafkaProxy } from "./internal/fixtures/KafkaProxy.ts"
import {
  layerOwnKafka,
  layerSharedKafka,
  newTopic,
  numbered,
  sendTo,
  settingsFor,
  takeWarnings,
  TestSettings,
  text,
  until,
  withKafkaJS
} from "./internal/fixtures/TestKafka.ts"
import { joinGroup } from "./internal/fixtures/TestMember.ts"
import {
  keepCommitting,
  openTransaction,
  readToEnd,
  serviceFor,
  stored,
  workplace
} from "./internal/fixtures/TestTransactions.ts"
import type { KafkaError } from "./KafkaError.ts"

const tagOf = (result: Result.Result<unknown, KafkaError>): string =>
  Result.isFailure(result) ? result.failure.reason._tag : "success"

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("KafkaTransactions", (it) => {
  it.effect("make records and offsets visible together, with the metadata as it was", () =>
    Effect.gen(function*() {
      const { commit, outcomes, transactions } = yield* workplace()
      const metadata = `me|${"ü".repeat(2_000)}\n💥`
      const longest = `me|${"x".repeat(4_093)}`
      yield* commit(["a", "b"], [{ partition: 0, offset: 7, metadata }, { partition: 1, offset: 9, metadata: longest }])
      const offsets = yield* transactions.stableOffsets([0, 1], false)
      assert.deepStrictEqual(stored(offsets), [[0, 7, metadata], [1, 9, longest]])
      yield* commit(["c"], [{ partition: 1, offset: 10, metadata: "" }])
      assert.deepStrictEqual(stored(yield* transactions.stableOffsets([1], false)), [[1, 10, ""]])
      assert.deepStrictEqual(yield* readToEnd(outcomes), ["a", "b", "c"])
    }))

  it.effect("make nothing visible where one of the offsets is refused, and go on with the next", () =>
    Effect.gen(function*() {
      const { commit, outcomes, transactions } = yield* workplace()
      yield* commit(["a"], [{ partition: 0, offset: 1, metadata: "me|1" }, {
        partition: 1,
        offset: 1,
        metadata: "me|1"
      }])
      const refused = yield* Effect.result(commit(["b"], [
        { partition: 0, offset: 2, metadata: "me|2" },
        { partition: 1, offset: 2, metadata: "x".repeat(4_097) }
      ]))
      if (Result.isSuccess(refused)) return assert.fail("it was committed")
      assert.deepInclude(refused.failure.reason, { _tag: "Refused", type: "OFFSET_METADATA_TOO_LARGE" })
      assert.deepStrictEqual(stored(yield* transactions.stableOffsets([0, 1], false)), [[0, 1, "me|1"], [1, 1, "me|1"]])
      yield* commit(["c"], [{ partition: 0, offset: 3, metadata: "me|3" }])
      assert.deepStrictEqual(yield* readToEnd(outcomes), ["a", "c"])
    }))

  it.effect("are refused to who is no member of the group any more, or not in its generation", () =>
    Effect.gen(function*() {
      const { commit, generation, outcomes, transactions } = yield* workplace()
      const { generationId, memberId } = generation()
      for (
        const stale of [
          { memberId, generationId: generationId - 1 },
          { memberId, generationId: generationId + 1 },
          { memberId: `${memberId}x`, generationId }
        ]
      ) {
        const refused = yield* Effect.result(commit(["x"], [{ partition: 0, offset: 1, metadata: "me|" }], stale))
        assert.strictEqual(tagOf(refused), "StaleGeneration")
      }
      assert.deepStrictEqual(stored(yield* transactions.stableOffsets([0], false)), [[0, 0, ""]])
      yield* commit(["a"], [{ partition: 0, offset: 1, metadata: "me|" }])
      assert.deepStrictEqual(yield* readToEnd(outcomes), ["a"])
    }))

  it.effect("are accepted while a rebalance waits for what is in flight, and refused after it", () =>
    Effect.gen(function*() {
      const requests = yield* newTopic(2)
      const outcomes = yield* newTopic(2)
      let settle: Effect.Effect<void> = Effect.void
      const member = yield* joinGroup({ topic: requests, drain: Effect.suspend(() => settle) })
      yield* until(() => member.assignments.length === 1)
      const transactions = yield* serviceFor(
        yield* TestSettings,
        member.groupId,
        requests,
        [outcomes],
        `id-${randomUUID()}`
      )
      const [first] = member.assignments
      if (first === undefined) return assert.fail("no assignment")
      const commit = (value: string, offset: number) =>
        transactions.commit({
          records: [{ topic: outcomes, record: { key: text(value), value: text(value), headers: [] } }],
          generation: first.generation,
          offsets: Effect.succeed([{ partition: 0, offset, metadata: `me|${value}` }])
        })
      settle = Effect.orDie(commit("a", 5))
      const other = yield* joinGroup({ topic: requests, groupId: member.groupId })
      yield* until(() => member.assignments.length === 2 && other.assignments.length === 1)
      const heads = new Map([...member.heads(), ...other.heads()])
      assert.deepStrictEqual(heads.get(0), { offset: 5, metadata: "me|a" })
      assert.strictEqual(tagOf(yield* Effect.result(commit("b", 6))), "StaleGeneration")
      assert.deepStrictEqual(yield* readToEnd(outcomes), ["a"])
    }))

  it.effect("go on after somebody else has taken their id: what was fenced is committed when it is tried again", () =>
    Effect.gen(function*() {
      const { commit, member, outcomes, requests, transactionalId, ...place } = yield* workplace()
      yield* commit(["a"], [{ partition: 0, offset: 1, metadata: "me|1" }])
      const usurper = yield* openTransaction(
        transactionalId,
        { groupId: member.groupId, requests, generation: place.generation() },
        [{ partition: 0, offset: 99, metadata: "not me|" }]
      )
      const fenced = yield* Effect.result(commit(["b"], [{ partition: 0, offset: 2, metadata: "me|2" }]))
      assert.isTrue(Result.isFailure(fenced))
      yield* commit(["b"], [{ partition: 0, offset: 2, metadata: "me|2" }])
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.tryPromise(() => usurper.commit()))))
      assert.deepStrictEqual(stored(yield* place.transactions.stableOffsets([0], false)), [[0, 2, "me|2"]])
      assert.deepStrictEqual(yield* readToEnd(outcomes), ["a", "b"])
    }))

  it.effect("say of a record that is too large what it is, and go on with the next", () =>
    Effect.gen(function*() {
      const { commit, outcomes } = yield* workplace({ outcomes: { "max.message.bytes": "2000" } })
      const refused = yield* Effect.result(
        commit(["a", "x".repeat(3_000)], [{ partition: 0, offset: 1, metadata: "me|" }])
      )
      assert.strictEqual(tagOf(refused), "RecordTooLarge")
      yield* commit(["b"], [{ partition: 0, offset: 1, metadata: "me|" }])
      assert.deepStrictEqual(yield* readToEnd(outcomes), ["b"])
    }))

  it.effect("take records for many requests to the broker", () =>
    Effect.gen(function*() {
      const { commit, outcomes } = yield* workplace()
      const values = numbered("v".repeat(700), 1_500)
      yield* commit(values, [{ partition: 0, offset: 1_500, metadata: "me|" }])
      assert.deepStrictEqual(yield* readToEnd(outcomes), [...values].toSorted())
    }))
})

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("Stable offsets", (it) => {
  it.effect("are the beginning of a partition where the group has committed nothing", () =>
    Effect.gen(function*() {
      const { requests, transactions } = yield* workplace()
      assert.deepStrictEqual(stored(yield* transactions.stableOffsets([0, 1], true)), [[0, 0, ""], [1, 0, ""]])
      yield* sendTo(requests, 1, numbered("v", 5))
      yield* withKafkaJS(async (client) => {
        const admin = client.admin()
        await admin.connect()
        // What it deletes in must have been looked up before.
        await admin.fetchTopicOffsets(requests)
        await admin.deleteTopicRecords({ topic: requests, partitions: [{ partition: 1, offset: "3" }] })
        await admin.disconnect()
      })
      assert.deepStrictEqual(stored(yield* transactions.stableOffsets([0, 1], true)), [[0, 0, ""], [1, 3, ""]])
    }))

  it.effect("are waited for while a transaction is pending, and are then what it has committed", () =>
    Effect.gen(function*() {
      const { member, requests, transactions, ...place } = yield* workplace()
      const pending = yield* openTransaction(
        `other-${randomUUID()}`,
        { groupId: member.groupId, requests, generation: place.generation() },
        [{ partition: 1, offset: 42, metadata: "other|" }]
      )
      const reading = yield* Effect.forkChild(transactions.stableOffsets([0, 1], false))
      // It has been asked in between, and still waits.
      assert.deepStrictEqual(stored(yield* transactions.stableOffsets([0], false)), [[0, 0, ""]])
      assert.isUndefined(reading.pollUnsafe())
      yield* Effect.promise(() => pending.commit())
      assert.deepStrictEqual(stored(yield* Fiber.join(reading)), [[0, 0, ""], [1, 42, "other|"]])
    }))

  it.effect("end the transaction of an owner that is dead, long before its timeout, and fence it", () =>
    Effect.gen(function*() {
      const { member, requests, transactions, ...place } = yield* workplace()
      const took: Array<number> = []
      for (let round = 1; round <= 3; round++) {
        const dead = `dead-${randomUUID()}`
        const before = [{ partition: 0, offset: round, metadata: `${dead}|before` }]
        yield* member.commit(member.epoch(), before)
        const pending = yield* openTransaction(
          dead,
          { groupId: member.groupId, requests, generation: place.generation() },
          [{ partition: 0, offset: 99, metadata: `${dead}|pending` }]
        )
        const [duration, offsets] = yield* Effect.timed(transactions.stableOffsets([0], true))
        took.push(Duration.toMillis(duration))
        assert.deepStrictEqual(stored(offsets), [[0, round, `${dead}|before`]])
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.tryPromise(() => pending.commit()))))
        assert.deepStrictEqual(stored(yield* transactions.stableOffsets([0], false)), [[0, round, `${dead}|before`]])
      }
      // Of the 60 seconds that it would take by itself.
      assert.isBelow(Math.max(...took), 5_000)
    }))

  it.effect("leave a transaction alone that is over before its owner can be taken for dead", () =>
    Effect.gen(function*() {
      const { member, requests, transactions, ...place } = yield* workplace()
      const alive = `alive-${randomUUID()}`
      yield* member.commit(member.epoch(), [{ partition: 0, offset: 1, metadata: `${alive}|before` }])
      const pending = yield* openTransaction(
        alive,
        { groupId: member.groupId, requests, generation: place.generation() },
        [{ partition: 0, offset: 2, metadata: `${alive}|after` }]
      )
      const reading = yield* Effect.forkChild(transactions.stableOffsets([0], true))
      yield* Effect.promise(() => pending.commit())
      assert.deepStrictEqual(stored(yield* Fiber.join(reading)), [[0, 2, `${alive}|after`]])
    }))
})

/** A workplace whose transactions take a way to the broker that can fail. */
const throughProxy = Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
  return { proxy, ...(yield* workplace({ settings: settingsFor(proxy.address) })) }
})

const faults: ReadonlyArray<{
  readonly name: string
  readonly arm: (proxy: KafkaProxy) => Effect.Effect<Effect.Effect<void>>
  readonly committed: boolean
}> = [
  {
    name: "the answer to its end",
    arm: ({ cutNextAnswer }) => cutNextAnswer(apiKeys.EndTxn),
    committed: true
  },
  {
    name: "the request for its end",
    arm: ({ cutNextRequest }) => cutNextRequest(apiKeys.EndTxn),
    committed: false
  },
  {
    name: "the answer to its offsets",
    arm: ({ cutNextAnswer }) => cutNextAnswer(apiKeys.TxnOffsetCommit),
    committed: false
  },
  {
    name: "the request with its offsets",
    arm: ({ cutNextRequest }) => cutNextRequest(apiKeys.TxnOffsetCommit),
    committed: false
  },
  {
    name: "the answer to the announcement of its offsets",
    arm: ({ cutNextAnswer }) => cutNextAnswer(apiKeys.AddOffsetsToTxn),
    committed: false
  },
  {
    name: "the answer to the announcement of its records",
    arm: ({ cutNextAnswer }) => cutNextAnswer(apiKeys.AddPartitionsToTxn),
    committed: false
  },
  {
    name: "the answer to its records",
    arm: ({ cutNextAnswer }) => cutNextAnswer(apiKeys.Produce),
    committed: false
  }
]

layer(layerSharedKafka, { excludeTestServices: true, timeout: "2 minutes" })("A transaction that loses", (it) => {
  it.effect.each(faults)("$name is reported as what has become of it", ({ arm, committed }) =>
    Effect.gen(function*() {
      const { commit, outcomes, proxy, transactions } = yield* throughProxy
      yield* commit(["a"], [{ partition: 0, offset: 1, metadata: "me|1" }])
      const cut = yield* arm(proxy)
      const second = [{ partition: 0, offset: 2, metadata: "me|2" }]
      const result = yield* Effect.result(commit(["b"], second))
      yield* cut
      assert.strictEqual(tagOf(result), committed ? "success" : "Unreachable")
      assert.deepStrictEqual(
        stored(yield* transactions.stableOffsets([0], false)),
        committed ? [[0, 2, "me|2"]] : [[0, 1, "me|1"]]
      )
      if (!committed) yield* commit(["b"], second)
      yield* commit(["c"], [{ partition: 0, offset: 3, metadata: "me|3" }])
      assert.deepStrictEqual(yield* readToEnd(outcomes), ["a", "b", "c"])
    }))

  it.effect("its way to the broker for a while says so, and goes on when it is back", () =>
    Effect.gen(function*() {
      const { commit, outcomes, proxy } = yield* throughProxy
      const { layer: logger, warnings } = takeWarnings()
      const cut = yield* proxy.cutNextAnswer(apiKeys.EndTxn)
      const committing = yield* Effect.forkChild(
        commit(["a"], [{ partition: 0, offset: 1, metadata: "me|1" }]).pipe(Effect.provide(logger))
      )
      yield* cut
      yield* proxy.down
      yield* until(() => warnings.some((line) => line.startsWith("Could not begin transactions")))
      assert.isUndefined(committing.pollUnsafe())
      yield* proxy.up
      yield* Fiber.join(committing)
      assert.deepStrictEqual(yield* readToEnd(outcomes), ["a"])
    }))

  it.effect("its broker for good is given up soon where the process ends", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const proxy = yield* makeKafkaProxy(brokers[0] ?? "")
      const scope = yield* Scope.make()
      const { commit } = yield* Scope.provide(workplace({ settings: settingsFor(proxy.address) }), scope)
      yield* commit(["a"], [{ partition: 0, offset: 1, metadata: "me|1" }])
      yield* proxy.freeze
      const committing = yield* Effect.forkChild(commit(["b"], [{ partition: 0, offset: 2, metadata: "me|2" }]))
      yield* until(() => proxy.withheld() > 0)
      const [took] = yield* Effect.timed(Effect.andThen(Fiber.interrupt(committing), Scope.close(scope, Exit.void)))
      assert.isBelow(Duration.toMillis(took), 8_000)
    }))
})

layer(layerOwnKafka, { excludeTestServices: true, timeout: "2 minutes" })(
  "A broker that is killed between transactions and in them",
  (it) => {
    it.effect("costs no outcome, and makes none twice", () =>
      Effect.gen(function*() {
        const broker = yield* KafkaBroker
        const { complete, failures, more, told } = yield* keepCommitting(yield* workplace())
        let kills = 0
        const killing = Effect.gen(function*() {
          // Not every kill meets a transaction at work.
          for (; kills < 2 || failures() === 0; kills++) {
            yield* more
            yield* broker.kill
            yield* broker.start
          }
          yield* complete
        })
        yield* told(killing, () => `${kills} kills`)
      }))
  }
)
