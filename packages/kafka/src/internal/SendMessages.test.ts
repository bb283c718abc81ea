import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { createRequire } from "node:module"
import { kafkaError } from "./KafkaErrors.ts"
import { sendMessages } from "./SendMessages.ts"

const require = createRequire(import.meta.url)

interface Message {
  readonly value: string
}

interface TopicData {
  readonly topic: string
  readonly partitions: ReadonlyArray<{ readonly partition: number; readonly messages: ReadonlyArray<Message> }>
}

const notLeader = Object.assign(new Error("moved"), { type: "NOT_LEADER_FOR_PARTITION", retriable: true })

/**
 * Two brokers and a topic, as far as a send has to do with them; brokers whose leadership moves at just this moment can't be had otherwise. The
 * first request to broker 2 fails, and `afterFailure` says who leads, and how many partitions there are, from then on.
 */
const cluster = (
  afterFailure: { readonly leaders: ReadonlyArray<number> },
  { failure = notLeader, slow = Promise.resolve() }: { readonly failure?: Error; readonly slow?: Promise<void> } = {}
) => {
  const written: Array<string> = []
  const removed: Array<object> = []
  const askedAgain = Promise.withResolvers<void>()
  let asked = 0
  let leaders: ReadonlyArray<number> = [1, 2]
  const brokers = [1, 2].map((nodeId) => ({
    nodeId,
    produce: async ({ topicData }: { readonly topicData: ReadonlyArray<TopicData> }) => {
      if (nodeId === 2 && leaders !== afterFailure.leaders) {
        leaders = afterFailure.leaders
        throw failure
      }
      if (nodeId === 1 && ++asked === 2) askedAgain.resolve()
      if (nodeId === 1) await slow
      written.push(
        ...topicData.flatMap(({ partitions }) => partitions.flatMap(({ messages }) => messages.map((m) => m.value)))
      )
      return {
        topics: topicData.map(({ partitions, topic }) => ({
          topicName: topic,
          partitions: partitions.map(({ partition }) => ({ partition, errorCode: 0, offset: "0" }))
        }))
      }
    }
  }))
  return {
    written,
    removed,
    removeBroker: (address: object) => removed.push(address),
    isConnected: () => true,
    askedAgain: askedAgain.promise,
    addMultipleTargetTopics: async () => {},
    connect: async () => {},
    refreshMetadata: async () => {},
    refreshMetadataIfNecessary: async () => {},
    findTopicPartitionMetadata: () => leaders.map((leader, partitionId) => ({ partitionId, leader })),
    findLeaderForPartitions: (_topic: string, partitions: ReadonlyArray<string | number>) =>
      Object.groupBy(partitions.map(Number), (partition) => leaders[partition] ?? 0),
    findBroker: async ({ nodeId }: { readonly nodeId: string }) =>
      brokers[Number(nodeId) - 1] ?? assert.fail(`no broker ${nodeId}`)
  }
}

const send = (
  factory: ReturnType<typeof sendMessages>,
  to: ReturnType<typeof cluster>,
  values: ReadonlyArray<string>
) => {
  const createRetry = require("kafkajs/src/retry") as (
    options: object
  ) => Parameters<typeof factory>[0]["retrier"]
  const retrier = createRetry({ initialRetryTime: 1, retries: 5 })
  const options = {
    cluster: to,
    retrier,
    logger: { debug: () => {}, error: () => {} },
    eosManager: {
      acquireBrokerLock: async () => {},
      releaseBrokerLock: async () => {},
      isTransactional: () => false,
      addPartitionsToTransaction: async () => {},
      getTransactionalId: () => "",
      getProducerId: () => -1,
      getProducerEpoch: () => 0,
      getSequence: () => 0,
      updateSequence: () => {}
    },
    partitioner: ({ message, partitionMetadata }: { message: object; partitionMetadata?: ReadonlyArray<unknown> }) =>
      Number((message as Message).value) % (partitionMetadata?.length ?? 1)
  }
  const topicMessages = [{ topic: "t", messages: values.map((value) => ({ value })) }]
  return Effect.tryPromise({
    try: () => factory(options)({ acks: -1, topicMessages }),
    catch: (error) => kafkaError("write", error)
  })
}

const own = require("kafkajs/src/producer/sendMessages") as ReturnType<typeof sendMessages>
const complete = sendMessages(require)

describe("sendMessages", () => {
  it.live("sends again what a broker has refused", () =>
    Effect.gen(function*() {
      const steady = cluster({ leaders: [1, 2] })
      yield* send(complete, steady, ["0", "1", "2", "3"])
      assert.sameMembers(steady.written, ["0", "1", "2", "3"])
    }))

  it.live("forgets a broker that does not answer, so that the new leader is looked for", () =>
    Effect.gen(function*() {
      const silence = Object.assign(new Error("timed out"), {
        name: "KafkaJSRequestTimeoutError",
        broker: "::1:9092",
        retriable: true
      })
      const failing = cluster({ leaders: [1, 2] }, { failure: silence })
      yield* send(complete, failing, ["0", "1"])
      assert.deepStrictEqual(failing.removed, [{ host: "::1", port: 9092 }])
      assert.sameMembers(failing.written, ["0", "1"])
    }))

  it.live("sends what went unsent, as its leader moved to a broker that had answered", () =>
    Effect.gen(function*() {
      const alone = cluster({ leaders: [1, 1] })
      yield* send(own, alone, ["0", "1"])
      assert.deepStrictEqual(alone.written, ["0"], "kafkajs by itself loses a record and succeeds")
      const mended = cluster({ leaders: [1, 1] })
      yield* send(complete, mended, ["0", "1"])
      assert.deepStrictEqual(mended.written, ["0", "1"])
    }))

  it.live("sends nothing twice whose leader moves, once it has answered, to a broker that has not", () =>
    Effect.gen(function*() {
      const alone = cluster({ leaders: [2, 2] })
      yield* send(own, alone, ["0", "1"])
      assert.deepStrictEqual(alone.written, ["0", "0", "1"], "kafkajs by itself writes a record twice")
      const mended = cluster({ leaders: [2, 2] })
      yield* send(complete, mended, ["0", "1"])
      assert.deepStrictEqual(mended.written, ["0", "1"])
    }))

  it.live("sends nothing twice that a broker still writes while another has failed", () =>
    Effect.gen(function*() {
      const written = Effect.fnUntraced(function*(factory: typeof own) {
        const slow = Promise.withResolvers<void>()
        const failing = cluster({ leaders: [1, 2] }, { slow: slow.promise })
        const sending = yield* Effect.forkChild(send(factory, failing, ["0", "1"]))
        // It is asked a second time, or there was time enough for that.
        yield* Effect.raceFirst(Effect.promise(() => failing.askedAgain), Effect.sleep("200 millis"))
        slow.resolve()
        yield* Fiber.join(sending)
        return failing.written
      })
      assert.sameMembers(yield* written(own), ["0", "0", "1"], "kafkajs by itself writes a record twice")
      assert.sameMembers(yield* written(complete), ["0", "1"])
    }))

  it.live("leaves records in the partitions that they were placed in, though there are more by then", () =>
    Effect.gen(function*() {
      const alone = cluster({ leaders: [1, 2, 1] })
      yield* send(own, alone, ["0", "1", "3", "5"])
      assert.notInclude(alone.written, "3", "kafkajs by itself loses a record and succeeds")
      const mended = cluster({ leaders: [1, 2, 1] })
      yield* send(complete, mended, ["0", "1", "3", "5"])
      assert.sameMembers(mended.written, ["0", "1", "3", "5"])
    }))

  it.live("fails at once where trying again is of no use", () =>
    Effect.gen(function*() {
      const refusal = Object.assign(new Error("no"), { type: "TOPIC_AUTHORIZATION_FAILED", retriable: false })
      const refusing = cluster({ leaders: [1, 2] }, { failure: refusal })
      const error = yield* Effect.flip(send(complete, refusing, ["0", "1"]))
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.deepStrictEqual(refusing.written, ["0"])
    }))
})
