/**
 * What an experienced hand writes for speed alone: batches are taken and never waited for, a lane for each key, calls by undici, outcomes sent together,
 * offsets committed up to the first that is not done. No retries, no rebalances, nothing remembered: what is under way at a crash is done again.
 */
import type { Message } from "kafkajs"
import { setInterval } from "node:timers"
import { setTimeout as pause } from "node:timers/promises"
import { Pool } from "undici"
import { connect, consumer, producer } from "./Clients.ts"
import { type Answer, bodyOf, headers, outcomeOf, readRequest, type Request, urlOf } from "./Request.ts"
import * as Settings from "./Settings.ts"

interface Work {
  readonly request: Request
  readonly partition: number
  readonly offset: number
}

const topic = Settings.outcomesTopic()
const requestsTopic = Settings.requestsTopic()
const pool = new Pool(new URL(Settings.apiBase()).origin, { connections: Settings.concurrency() })

/** Of each key that has work, in order; the first is under way, or its key is `ready`. */
const lanes = new Map<string, Array<Work>>()
const ready = new Set<string>()
let free = Settings.concurrency()

/** Above that no more is read. */
const MOST_IN_HAND = 10_000
let inHand = 0

/** By partition: the first offset that is not done, and those done after it. */
const positions = new Map<number, { next: number; readonly done: Set<number> }>()

const done = ({ offset, partition }: Work) => {
  const position = positions.get(partition)
  position?.done.add(offset)
  while (position?.done.delete(position.next) === true) position.next += 1
  inHand -= 1
}

let outcomes: Array<{ readonly work: Work; readonly message: Message }> = []
let isSending = false

/** One send after the other, each with all that is there. */
const sendOutcomes = async () => {
  if (isSending) return
  isSending = true
  while (outcomes.length > 0) {
    const sent = outcomes
    outcomes = []
    await producer.sendBatch({ topicMessages: [{ topic, messages: sent.map(({ message }) => message) }] })
    for (const { work } of sent) done(work)
  }
  isSending = false
}

const call = async (key: string, lane: Array<Work>, work: Work) => {
  const path = new URL(urlOf(work.request)).pathname
  const { body, statusCode } = await pool.request({ method: "PATCH", path, headers, body: bodyOf(work.request) })
  if (statusCode !== 200) throw new Error(`The API answered ${statusCode}`)
  outcomes.push({ work, message: outcomeOf(work.request, await body.json() as Answer) })
  void sendOutcomes()
  lane.shift()
  if (lane.length === 0) lanes.delete(key)
  else ready.add(key)
  free += 1
  callReady()
}

const callReady = () => {
  for (const key of ready) {
    if (free === 0) return
    const lane = lanes.get(key)
    const work = lane?.[0]
    ready.delete(key)
    if (lane === undefined || work === undefined) continue
    free -= 1
    void call(key, lane, work)
  }
}

await connect()
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: Settings.partitions(),
  eachBatch: async ({ batch: { messages, partition }, heartbeat }) => {
    for (const message of messages) {
      const work = { request: readRequest(message), partition, offset: Number(message.offset) }
      if (!positions.has(partition)) positions.set(partition, { next: work.offset, done: new Set() })
      const lane = lanes.get(work.request.key)
      if (lane === undefined) {
        lanes.set(work.request.key, [work])
        ready.add(work.request.key)
      } else lane.push(work)
    }
    inHand += messages.length
    callReady()
    while (inHand > MOST_IN_HAND) {
      await pause(20)
      await heartbeat()
    }
  }
})

setInterval(() => {
  const offsets = [...positions].map(([partition, { next }]) => ({
    topic: requestsTopic,
    partition,
    offset: `${next}`
  }))
  void consumer.commitOffsets(offsets)
}, 1000)
