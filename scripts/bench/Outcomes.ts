import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Effect, Stream, SubscriptionRef } from "effect"

/** An outcome as it came to a `read_committed` reader. */
interface Arrival {
  /** The number of its request. */
  readonly request: number
  /** When it came, in milliseconds of `performance.now()`. */
  readonly at: number
  /** When it was settled, in milliseconds since 1970. */
  readonly settledAt: number
}

/** The outcomes of a topic, as they come. */
export interface Outcomes {
  readonly arrivals: ReadonlyArray<Arrival>
  /** Waits until this holds of the arrivals. */
  readonly until: (condition: (arrivals: ReadonlyArray<Arrival>) => boolean) => Effect.Effect<void>
}

const decoder = new TextDecoder()

const headerOf = ({ headers }: SourceRecord, name: string): string =>
  decoder.decode(headers.find((header) => header.name === name)?.value ?? undefined)

/** Reads a topic of outcomes from its beginning until the scope closes. */
export const readOutcomes = Effect.fnUntraced(function*(topic: string) {
  const reader = yield* KafkaTopicReader
  const arrivals: Array<Arrival> = []
  const count = yield* SubscriptionRef.make(0)
  yield* reader.read({ topic, from: "beginning" }).pipe(
    Stream.runForEachArray((records) => {
      const at = performance.now()
      for (const record of records) {
        const settledAt = Date.parse(headerOf(record, "ce_time"))
        arrivals.push({ request: Number(headerOf(record, "ce_causationid")), at, settledAt })
      }
      return SubscriptionRef.set(count, arrivals.length)
    }),
    Effect.orDie,
    Effect.forkScoped
  )
  return {
    arrivals,
    until: (condition) => Stream.runDrain(Stream.takeUntil(SubscriptionRef.changes(count), () => condition(arrivals)))
  } satisfies Outcomes
})
