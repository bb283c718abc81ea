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

type Factory = <R>(options: { readonly partitioner: Partitioner }) => SendMessages<R>

/**
 * kafkajs' `sendMessages`, failing where not every record has been acknowledged. Its own succeeds then: it keeps the answers by broker, and a
 * partition whose leader moves, between two tries, to a broker that has answered already is never sent to.
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
      }
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
