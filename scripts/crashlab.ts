/** Breaks a running system in every way it knows, under load, and proves from its own records that no request was lost, doubled, or answered falsely. */
import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { mappingKey } from "@origin-regions/domain/MappingKey"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import type { OutgoingRecord, SourceRecord } from "@origin-regions/domain/SourceRecord"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Api } from "@origin-regions/testkit/Api"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { Clock, Duration, Effect, Fiber, Layer, Option, Random, Redacted, Schedule, Schema, Stream } from "effect"
import { parseArgs } from "node:util"
import { audit, type Verdict } from "./crashlab/Audit.ts"
import { faults } from "./crashlab/Faults.ts"
import { type Laboratory, makeLaboratory } from "./crashlab/Laboratory.ts"
import { makeRequests } from "./crashlab/Workload.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"

class Stalled extends Schema.TaggedError<Stalled>()("Stalled", { round: Schema.Int, unanswered: Schema.Int }) {
  override get message() {
    return `Round ${this.round}: ${this.unanswered} requests are still unanswered, and nothing has moved for ${
      Duration.format(PATIENCE)
    }.`
  }
}

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seed: { type: "string" },
    requests: { type: "string", default: "600" },
    faults: { type: "string", default: "4" },
    consumers: { type: "string", default: "3" },
    delivery: { type: "string", default: "exactly-once" },
    only: { type: "string" },
    json: { type: "boolean", default: false }
  }
})

const SESSION = Duration.seconds(10)
const PATIENCE = Duration.minutes(3)
const PARTITIONS = 6
/** So many that some of them fall into every partition. */
const SENTINELS = 120

const topics = { requests: "lab.requests", outcomes: "lab.outcomes", deadLetters: "lab.dead-letters" }
const group = "lab"
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
  const { committedOffsets, endOffsets } = yield* KafkaAdmin
  let least = Number.POSITIVE_INFINITY
  let since = yield* Clock.currentTimeMillis
  for (;;) {
    const lag = yield* Effect.all({
      end: endOffsets(topics.requests),
      committed: committedOffsets(group, topics.requests)
    }).pipe(
      Effect.map(({ committed, end }) => {
        let sum = 0
        for (const [partition, offset] of end) sum += offset - (committed.get(partition)?.offset ?? 0)
        return sum
      }),
      Effect.retry(Schedule.spaced("1 second"))
    )
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

const strike = Effect.fnUntraced(function*(laboratory: Laboratory, count: number, tally: Map<string, number>) {
  const names = Object.keys(faults).filter((name) => flags.only === undefined || name.includes(flags.only))
  for (let left = count; left > 0; left--) {
    yield* Effect.sleep(yield* Random.nextIntBetween(200, 2_500))
    const name = names[yield* Random.nextIntBetween(0, names.length, { halfOpen: true })] ?? "consumer killed"
    tally.set(name, (tally.get(name) ?? 0) + 1)
    yield* faults[name]?.(laboratory, SESSION) ?? Effect.void
  }
})

const placesOf = Effect.fnUntraced(function*(round: string) {
  const api = yield* OriginRegionsApi
  const lists = yield* Effect.forEach(
    [0, 1, 2, 3],
    (zone) =>
      Effect.retry(
        api.list(ZoneId.make(`${round}-${zone}`)),
        Schedule.spaced("500 millis").pipe(Schedule.upTo({ times: 20 }))
      )
  )
  return new Map(
    lists.flat().map((
      mapping
    ) => [mappingKey(mapping.zone_id, mapping.origin_ip), `${mapping.vendor} ${mapping.region}`])
  )
})

const sum = (verdicts: ReadonlyArray<Verdict>, pick: (verdict: Verdict) => number): number =>
  verdicts.reduce((total, verdict) => total + pick(verdict), 0)

const run = Effect.fnUntraced(function*(seed: string) {
  const admin = yield* KafkaAdmin
  yield* admin.createTopics([
    { topic: topics.requests, partitions: PARTITIONS },
    { topic: topics.outcomes, partitions: PARTITIONS },
    { topic: topics.deadLetters, partitions: 1, configs: { "max.message.bytes": "2097152" } }
  ])
  const laboratory = yield* makeLaboratory(Number(flags.consumers), {
    KAFKA_GROUP_ID: group,
    REQUESTS_TOPIC: topics.requests,
    OUTCOMES_TOPIC: topics.outcomes,
    DEAD_LETTERS_TOPIC: topics.deadLetters,
    KAFKA_SESSION_TIMEOUT: Duration.format(SESSION).replace("s", " seconds"),
    DELIVERY: flags.delivery
  })
  const tally = new Map<string, number>()
  const verdicts: Array<Verdict> = []
  let requests = 0
  let recovered = 0
  for (let place = 0; place < laboratory.size; place++) yield* laboratory.start(place)
  for (let round = 1; round <= Number(flags.rounds); round++) {
    const name = `r${round}`
    const [fromRequests, fromOutcomes] = yield* Effect.all([
      admin.endOffsets(topics.requests),
      admin.endOffsets(topics.outcomes)
    ])
    const records = yield* makeRequests(name, Number(flags.requests))
    const emitting = yield* Effect.forkChild(emit(records))
    yield* strike(laboratory, Number(flags.faults), tally)
    yield* Fiber.join(emitting)
    yield* untilAnswered(round)
    const sent = yield* readWhole(topics.requests, fromRequests, `${name} requests`)
    const answered = (yield* readWhole(topics.outcomes, fromOutcomes, `${name} outcomes`)).flatMap(({ value }) =>
      value === null ? [] : Option.toArray(readOutcome(value))
    )
    const verdict = audit(sent, answered, yield* placesOf(name))
    verdicts.push(verdict)
    requests += sent.length
    recovered += answered.filter(({ data }) => "recovered" in data && data.recovered).length
    yield* printError(
      `Round ${round}: ${sent.length} requests, ${answered.length} outcomes, ${recovered} recovered so far; lost ${verdict.lost}, duplicate ${verdict.duplicate}, false ${verdict.false}, out of order ${verdict.outOfOrder}, wrong state ${verdict.wrongState}`
    )
    for (const example of verdict.examples) yield* printError(`  ${example}`)
  }
  const result = {
    seed,
    rounds: Number(flags.rounds),
    requests,
    recovered,
    faults: Object.fromEntries(tally),
    lost: sum(verdicts, ({ lost }) => lost),
    duplicate: sum(verdicts, ({ duplicate }) => duplicate),
    false: sum(verdicts, (verdict) => verdict.false),
    outOfOrder: sum(verdicts, ({ outOfOrder, wrongState }) => outOfOrder + wrongState)
  }
  yield* print(
    flags.json
      ? JSON.stringify(result)
      : `seed ${seed}: ${result.rounds} rounds, ${requests} requests, ${
        [...tally.values()].reduce((a, b) => a + b, 0)
      } faults (${
        [...tally].map(([fault, times]) => `${times} × ${fault}`).join(", ")
      }), ${recovered} recovered; ${result.lost} lost, ${result.duplicate} duplicate, ${result.false} false, ${result.outOfOrder} out of order`
  )
  return result.lost + result.duplicate + result.false + result.outOfOrder === 0 ? 0 : 1
})

const clients = Layer.unwrap(Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  const { baseUrl, token } = yield* Api
  const settings = { brokers, tls: undefined, sasl: undefined }
  const api = OriginRegionsApi.layerNoDeps.pipe(
    Layer.provide(Layer.succeed(
      ApiSettings,
      ApiSettings.of({
        baseUrl: new URL(baseUrl),
        credential: { _tag: "Token", token: Redacted.make(token) },
        timeout: Duration.seconds(10),
        connections: 4
      })
    ))
  )
  return Layer.mergeAll(
    KafkaProducer.layer(settings),
    KafkaAdmin.layer(settings),
    KafkaTopicReader.layer(settings),
    api
  )
}))

const main = Effect.gen(function*() {
  const seed = flags.seed ?? String(yield* Random.nextInt)
  yield* printError(`Seed ${seed}: the same again with --seed ${seed}`)
  return yield* Effect.scoped(run(seed)).pipe(
    Random.withSeed(seed),
    Effect.provide(clients.pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          KafkaBroker.layerJvm({ progress: printError }),
          Api.layerWith({ environment: { API_FAULTS: "true" } })
        ).pipe(
          Layer.provideMerge(Leash.layer)
        )
      )
    ))
  )
})

runScript(main)
