import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { Clock, type Context, Effect, Metric } from "effect"
import type { KafkaError } from "../KafkaError.ts"
import type { AddressedRecord } from "../KafkaProducer.ts"

/** `send`: one request of records; `commit`: offsets outside of a transaction; `transaction`: records and offsets together, to its end. */
type MeasuredOperation = "send" | "commit" | "transaction"

const system = { "messaging.system": "kafka" }

const makeDuration = (operation: MeasuredOperation, errorType: KafkaError["reason"]["_tag"] | "") =>
  Metric.histogram("messaging_client_operation_duration_seconds", {
    description: "How long operations on Kafka took",
    boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    attributes: { ...system, "messaging.operation.name": operation, "error.type": errorType }
  })

const makeSent = (topic: string) =>
  Metric.counter("messaging_client_sent_messages_total", {
    description: "Records written to Kafka and acknowledged, whole transactions only",
    incremental: true,
    attributes: { ...system, "messaging.operation.name": "send", "messaging.destination.name": topic }
  })

const makeConsumed = (topic: string, partition: number) =>
  Metric.counter("messaging_client_consumed_messages_total", {
    description: "Records read from Kafka, those read again included",
    incremental: true,
    attributes: {
      ...system,
      "messaging.operation.name": "poll",
      "messaging.destination.name": topic,
      "messaging.destination.partition.id": String(partition)
    }
  })

/** A metric for each of few keys, made once: its labels are put together when it is made. */
const keyed = <K extends ReadonlyArray<string | number>, M>(make: (...key: K) => M) => {
  const made = new Map<string, M>()
  return (...key: K): M => {
    const name = key.join(" ")
    const known = made.get(name)
    if (known !== undefined) return known
    const metric = make(...key)
    made.set(name, metric)
    return metric
  }
}

const durationOf = keyed(makeDuration)
const sentTo = keyed(makeSent)
const consumedOf = keyed(makeConsumed)

/** Takes the time of an operation, by how it ends. One that is interrupted does not count. */
export const measured = Effect.fnUntraced(function*<A, R>(
  operation: MeasuredOperation,
  effect: Effect.Effect<A, KafkaError, R>
) {
  const clock = yield* Clock.Clock
  const startedAt = steadyMillis(clock)
  const ended = (errorType: KafkaError["reason"]["_tag"] | "") =>
    Metric.update(durationOf(operation, errorType), (steadyMillis(clock) - startedAt) / 1000)
  return yield* effect.pipe(Effect.tap(ended("")), Effect.tapError(({ reason }) => ended(reason._tag)))
})

/** Counts records that have been written. */
export const countSent = (records: ReadonlyArray<AddressedRecord>): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      const byTopic = Map.groupBy(records, ({ topic }) => topic)
      for (const [topic, sent] of byTopic) sentTo(topic).updateUnsafe(sent.length, context)
    })
  )

/** What counts the records that a fetch has brought. */
export const consumedCounter =
  (context: Context.Context<never>) => (topic: string, partition: number, records: number) =>
    consumedOf(topic, partition).updateUnsafe(records, context)
