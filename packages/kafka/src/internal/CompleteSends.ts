import type { createRequire } from "node:module"

interface Placement {
  readonly topic: string
  readonly message: object
}

type Partitioner = (placement: Placement) => number

interface Acknowledged {
  readonly topicName: string
  readonly partition: number
}

export interface SendRequest {
  readonly topicMessages: ReadonlyArray<{ readonly topic: string; readonly messages: ReadonlyArray<object> }>
}

type SendMessages<R> = (request: R) => Promise<ReadonlyArray<Acknowledged>>

type Retrier = <A>(attempt: (...control: ReadonlyArray<unknown>) => Promise<A>) => Promise<A>

interface Options {
  readonly partitioner: Partitioner
  readonly retrier: Retrier
  readonly cluster: { readonly removeBroker: (address: { readonly host: string; readonly port: number }) => void }
}

type Factory = <R extends SendRequest>(options: Options) => SendMessages<R>

/** Sends whose leaders moved while they were under way, before it is left to whoever wants them. */
const MAX_SENDS = 5

/**
 * kafkajs' `sendMessages`, mended.
 *
 * - It sends what was not acknowledged, or fails. kafkajs' own succeeds then: it keeps the answers by broker, and a partition whose leader
 *   moves, between two tries, to a broker that has answered already is never sent to.
 * - It looks for new leaders where a broker does not answer. kafkajs' own asks the same one until it gives up.
 */
export const completeSends = (require: ReturnType<typeof createRequire>): Factory => {
  const factory = require("kafkajs/src/producer/sendMessages") as Factory
  return (options) => async (request) => {
    const placed = new Map<object, string>()
    let replaced = false
    const send = factory<typeof request>({
      ...options,
      // Called again for every try.
      partitioner: (placement) => {
        const partition = options.partitioner(placement)
        const place = `${placement.topic}/${partition}`
        replaced ||= (placed.get(placement.message) ?? place) !== place
        placed.set(placement.message, place)
        return partition
      },
      retrier: (attempt) =>
        options.retrier(async (...control) => {
          try {
            return await attempt(...control)
          } catch (error) {
            const silent = silentBroker(error)
            if (silent !== undefined) options.cluster.removeBroker(silent)
            throw error
          }
        })
    })
    const answers: Array<Acknowledged> = []
    const answered = new Set<string>()
    let left = request
    for (let sends = 0; sends < MAX_SENDS && left.topicMessages.length > 0 && !replaced; sends++) {
      for (const answer of await send(left)) {
        answers.push(answer)
        answered.add(`${answer.topicName}/${answer.partition}`)
      }
      left = {
        ...left,
        topicMessages: left.topicMessages.map(({ messages, topic }) => ({
          topic,
          messages: messages.filter((message) => !answered.has(placed.get(message) ?? ""))
        })).filter(({ messages }) => messages.length > 0)
      }
    }
    if (replaced || left.topicMessages.length > 0) {
      throw Object.assign(new Error("The leaders of partitions moved while records were being written to them"), {
        type: "NOT_LEADER_FOR_PARTITION",
        retriable: true
      })
    }
    return answers
  }
}

/** The address of the broker that has let a request time out. */
const silentBroker = (error: unknown) => {
  if (!(error instanceof Error) || error.name !== "KafkaJSRequestTimeoutError" || !("broker" in error)) return undefined
  const [, host, port] = /^(.*):(\d+)$/.exec(String(error.broker)) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}
