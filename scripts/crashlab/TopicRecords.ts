import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Effect, Schedule, Stream } from "effect"

/** So many that some of them fall into every partition. */
const SENTINELS = 120
const SENTINEL = "sentinel "
const encoder = new TextEncoder()
const decoder = new TextDecoder()

const untilItWorks = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 30 })))

const sentinelOf = ({ key }: SourceRecord): string | undefined => {
  const text = key === null ? "" : decoder.decode(key)
  return text.startsWith(SENTINEL) ? text : undefined
}

/** All records of a topic that only our own producer writes to, and without transactions. */
export const readUpToEnd = Effect.fnUntraced(function*(topic: string, from: ReadonlyMap<number, number>) {
  const reader = yield* KafkaTopicReader
  const { endOffsets } = yield* KafkaAdmin
  return yield* Effect.gen(function*() {
    const ends = yield* endOffsets(topic)
    const unread = new Map([...ends].filter(([partition, end]) => end > (from.get(partition) ?? 0)))
    if (unread.size === 0) return []
    return yield* reader.read({ topic, from }).pipe(
      Stream.takeUntil(({ offset, partition }) => {
        if (offset + 1 >= (unread.get(partition) ?? 0)) unread.delete(partition)
        return unread.size === 0
      }),
      Stream.runCollect
    )
  }).pipe(untilItWorks)
})

/** All records of a topic that others write to in transactions, as `read_committed`: sentinels written behind them say when all have been read. */
export const readUpToNow = Effect.fnUntraced(function*(topic: string, from: ReadonlyMap<number, number>, run: string) {
  const producer = yield* KafkaProducer
  const reader = yield* KafkaTopicReader
  const keys = Array.from({ length: SENTINELS }, (_, index) => `${SENTINEL}${run} ${index}`)
  yield* producer.send(keys.map((key) => ({ topic, record: { key: encoder.encode(key), value: null, headers: [] } })))
    .pipe(untilItWorks)
  return yield* Effect.gen(function*() {
    const missing = new Set(keys)
    const records = yield* reader.read({ topic, from }).pipe(
      Stream.takeUntil((record) => {
        missing.delete(sentinelOf(record) ?? "")
        return missing.size === 0
      }),
      Stream.runCollect
    )
    return records.filter((record) => sentinelOf(record) === undefined)
  }).pipe(untilItWorks)
})
