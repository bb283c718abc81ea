import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { mappingKey } from "@origin-regions/domain/MappingKey"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import type { OutgoingRecord, SourceRecord } from "@origin-regions/domain/SourceRecord"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Clock, Duration, Effect, Fiber, Option, Random, Schedule, Schema, Stream } from "effect"
import { lagOf } from "../start/Lag.ts"
import { audit } from "./Audit.ts"
import { faults } from "./Faults.ts"
import type { Laboratory } from "./Laboratory.ts"
import { makeRequests, zonesOf } from "./Workload.ts"

class Stalled extends Schema.TaggedError<Stalled>()("Stalled", { round: Schema.Int, unanswered: Schema.Int }) {
  override get message() {
    return `Round ${this.round}: ${this.unanswered} requests are still unanswered, and nothing has moved for ${
      Duration.format(PATIENCE)
    }.`
  }
}

const PATIENCE = Duration.minutes(3)
/** So many that some of them fall into every partition. */
const SENTINELS = 120

export const topics = { requests: "lab.requests", outcomes: "lab.outcomes", deadLetters: "lab.dead-letters" }
export const groupId = "lab"
const encoder = new TextEncoder()
const decoder = new TextDecoder()

const text = (bytes: Uint8Array | null): string => bytes === null ? "" : decoder.decode(bytes)

const sentinelOf = (record: SourceRecord): string | undefined => {
  const key = text(record.key)
  return key.startsWith("sentinel ") ? key : undefined
}

/** Everything in a topic up to now: sentinels written behind it say when all of it has been read. */
const readWhole = Effect.fnUntraced(function*(topic: string, from: ReadonlyMap<number, number>, name: string) {
  const producer = yield* KafkaProducer
  const reader = yield* KafkaTopicReader
  const keys = Array.from({ length: SENTINELS }, (_, index) => `sentinel ${name} ${index}`)
  yield* producer.send(keys.map((key) => ({ topic, record: { key: encoder.encode(key), value: null, headers: [] } })))
    .pipe(
      Effect.retry(Schedule.spaced("1 second"))
    )
  const missing = new Set(keys)
  const records = yield* reader.read({ topic, from }).pipe(
    Stream.takeUntil((record) => {
      missing.delete(sentinelOf(record) ?? "")
      return missing.size === 0
    }),
    Stream.runCollect,
    Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 30 })))
  )
  return records.filter((record) => sentinelOf(record) === undefined)
})

/** Waits until the group has committed everything; fails where nothing moves any more. */
const untilAnswered = Effect.fnUntraced(function*(round: number) {
  const { beginningOffsets, committedOffsets, endOffsets } = yield* KafkaAdmin
  let least = Number.POSITIVE_INFINITY
  let since = yield* Clock.currentTimeMillis
  for (;;) {
    const lag = yield* Effect.all({
      beginning: beginningOffsets(topics.requests),
      end: endOffsets(topics.requests),
      committed: committedOffsets(groupId, topics.requests)
    }).pipe(Effect.map(lagOf), Effect.retry(Schedule.spaced("1 second")))
    if (lag === 0) return
    const now = yield* Clock.currentTimeMillis
    if (lag < least) {
      least = lag
      since = now
    } else if (now - since > Duration.toMillis(PATIENCE)) return yield* new Stalled({ round, unanswered: lag })
    yield* Effect.sleep("200 millis")
  }
})

/** Sends in small batches, so that there is always something under way when something breaks. */
const emit = Effect.fnUntraced(function*(records: ReadonlyArray<OutgoingRecord>) {
  const producer = yield* KafkaProducer
  for (let index = 0; index < records.length; index += 20) {
    const batch = records.slice(index, index + 20).map((record) => ({ topic: topics.requests, record }))
    yield* producer.send(batch).pipe(Effect.retry(Schedule.spaced("500 millis")))
    yield* Effect.sleep(yield* Random.nextIntBetween(20, 400))
  }
})

/** So many faults one after another, with the system at work in between. */
const strike = Effect.fnUntraced(
  function*(laboratory: Laboratory, { count, names }: Strikes, tally: Map<string, number>) {
    for (let left = count; left > 0; left--) {
      yield* Effect.sleep(yield* Random.nextIntBetween(200, 2_500))
      const name = names[yield* Random.nextIntBetween(0, names.length, { halfOpen: true })]
      const fault = name === undefined ? undefined : faults[name]
      if (name === undefined || fault === undefined) return
      tally.set(name, (tally.get(name) ?? 0) + 1)
      yield* fault(laboratory)
    }
  }
)

/** What the API holds for the addresses of a round. */
const placesOf = Effect.fnUntraced(function*(round: string) {
  const api = yield* OriginRegionsApi
  const lists = yield* Effect.forEach(
    zonesOf(round),
    (zone) => Effect.retry(api.list(zone), Schedule.spaced("500 millis").pipe(Schedule.upTo({ times: 20 })))
  )
  return new Map(
    lists.flat().map((
      { origin_ip, region, vendor, zone_id }
    ) => [mappingKey(zone_id, origin_ip), `${vendor} ${region}`])
  )
})

/** The faults of one round: how many, out of which. */
export interface Strikes {
  readonly count: number
  readonly names: ReadonlyArray<string>
}

/** Sends a round's requests while faults strike, waits for every outcome, and holds all against the records of Kafka and of the API. */
export const runRound = Effect.fnUntraced(function*(
  laboratory: Laboratory,
  round: number,
  requests: number,
  strikes: Strikes,
  tally: Map<string, number>
) {
  const admin = yield* KafkaAdmin
  const name = `r${round}`
  const [fromRequests, fromOutcomes] = yield* Effect.all([
    admin.endOffsets(topics.requests),
    admin.endOffsets(topics.outcomes)
  ])
  const records = yield* makeRequests(name, requests)
  const emitting = yield* Effect.forkChild(emit(records))
  yield* strike(laboratory, strikes, tally)
  yield* Fiber.join(emitting)
  yield* untilAnswered(round)
  const sent = yield* readWhole(topics.requests, fromRequests, `${name} requests`)
  const answered = (yield* readWhole(topics.outcomes, fromOutcomes, `${name} outcomes`)).flatMap(({ value }) =>
    value === null ? [] : Option.toArray(readOutcome(value))
  )
  const verdict = audit(sent, answered, yield* placesOf(name))
  return {
    verdict,
    requests: sent.length,
    outcomes: answered.length,
    recovered: answered.filter(({ data }) => "recovered" in data && data.recovered).length
  }
})
