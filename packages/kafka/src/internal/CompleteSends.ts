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

type SendMessages<R> = (request: R) => Promise<ReadonlyArray<Acknowledged>>

type Retrier = <A>(attempt: (...control: ReadonlyArray<unknown>) => Promise<A>) => Promise<A>

interface Options {
  readonly partitioner: Partitioner
  readonly retrier: Retrier
  readonly cluster: { readonly removeBroker: (address: { readonly host: string; readonly port: number }) => void }
}

type Factory = <R>(options: Options) => SendMessages<R>

/**
 * kafkajs' `sendMessages`, mended.
 *
 * - It fails where not every record has been acknowledged. kafkajs' own succeeds then: it keeps the answers by broker, and a partition whose leader
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
    const acknowledged = await send(request)
    const answered = new Set(acknowledged.map(({ partition, topicName }) => `${topicName}/${partition}`))
    if (replaced || [...placed.values()].some((place) => !answered.has(place))) {
      throw Object.assign(new Error("The leaders of partitions moved while records were being written to them"), {
        type: "NOT_LEADER_FOR_PARTITION",
        retriable: true
      })
    }
    return acknowledged
  }
}

/** The address of the broker that has let a request time out. */
const silentBroker = (error: unknown) => {
  if (!(error instanceof Error) || error.name !== "KafkaJSRequestTimeoutError" || !("broker" in error)) return undefined
  const [, host, port] = /^(.*):(\d+)$/.exec(String(error.broker)) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}
