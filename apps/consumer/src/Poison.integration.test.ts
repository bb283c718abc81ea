import { assert, layer } from "@effect/vitest"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { halvesOf, INSPECTED, type LiveMemory, makeLiveMemory } from "@origin-regions/testkit/LiveMemory"
import { Clock, Config, Console, Effect, Layer, Schema } from "effect"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { audit, seeLetter, seeOutcome, type Sent } from "./fixtures/PoisonAudit.ts"
import { poisonRecord } from "./fixtures/PoisonRecords.ts"
import { digestOf } from "./fixtures/RecordDigest.ts"
import { whileRunning } from "./fixtures/RunningConsumer.ts"
import { sequentialExecution } from "./fixtures/SequentialExecution.ts"
import { arrivals, layerKafka, settingsFor, uniqueTopicNames } from "./fixtures/TestTopics.ts"

/** More by hand: `CONSUMER_POISON_RECORDS=100000`. */
const recordCount = Effect.runSync(Config.Int("CONSUMER_POISON_RECORDS").pipe(Config.withDefault(2000)))
const seed = Effect.runSync(Config.String("CONSUMER_POISON_SEED").pipe(Config.withDefault("origin-regions")))

/** Larger than Kafka's default, and than what the consumer fetches of a partition at once. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024

/** Records of which outcomes may be missing while more are sent: the same load from the first one to the last. */
const AHEAD = 4000
const CHUNK = 250

/** So many tell whether memory grows. In the first tenth the process still grows into its work. */
const ENOUGH_TO_JUDGE_MEMORY = 50_000
const MOST_GROWTH = {
  live: 1.05,
  // What is kept of freed memory, to be given out again, goes up and down by some 20 MiB.
  resident: 1.25
}
/** How often memory is measured, with nothing in flight: after each of so many parts of the records. */
const MEASUREMENTS = 20

/** No few bits make the one of the other. */
const GOOD_ZONE = "good".repeat(8)
const OTHER_ZONE = "Evil".repeat(8)

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

const decodeRegions = Schema.decodeUnknownEffect(
  Schema.Struct({
    result: Schema.Struct({
      vendors: Schema.Record(Schema.String, Schema.Array(Schema.Struct({ name: Schema.String })))
    })
  })
)

/** The regions that the API has, by its own word. */
const regionsOf = Effect.fnUntraced(
  function*({ baseUrl, token }: { readonly baseUrl: string; readonly token: string }) {
    const { result } = yield* Effect.tryPromise(async () => {
      const response = await fetch(`${baseUrl}/zones/any/cache/origin_cloud_regions/supported_regions`, {
        headers: { authorization: `Bearer ${token}` }
      })
      return response.json()
    }).pipe(Effect.flatMap(decodeRegions), Effect.orDie)
    const regions = new Set(
      Object.entries(result.vendors).flatMap(([vendor, names]) => names.map(({ name }) => `${vendor} ${name}`))
    )
    return (vendor: string, region: string) => regions.has(`${vendor} ${region}`)
  }
)

/** Sends so many records to a consumer, and audits what it makes of them. */
const poison = (generation: string) =>
  Effect.gen(function*() {
    const count = Math.floor(recordCount / 2)
    const { brokers } = yield* KafkaBroker
    const api = yield* Api
    const admin = yield* KafkaAdmin
    const producer = yield* KafkaProducer
    const names = uniqueTopicNames()
    yield* admin.createTopics([
      // One partition: a record's offset is its index.
      { topic: names.requests, partitions: 1, configs: { "max.message.bytes": String(MAX_MESSAGE_BYTES) } },
      { topic: names.outcomes, partitions: 1 },
      { topic: names.deadLetters, partitions: 1, configs: { "max.message.bytes": String(2 * MAX_MESSAGE_BYTES) } }
    ])
    const options = { seed, goodZone: GOOD_ZONE, otherZone: OTHER_ZONE, maxMessageBytes: MAX_MESSAGE_BYTES }
    const startedAt = yield* Clock.currentTimeMillis
    const execute = sequentialExecution({ generation, isKnown: yield* regionsOf(api), now: startedAt })
    const outcomes = yield* arrivals(names.outcomes, seeOutcome)
    const letters = yield* arrivals(names.deadLetters, seeLetter)
    const judgesMemory = count >= ENOUGH_TO_JUDGE_MEMORY
    const environment = settingsFor(brokers, names, api, {
      API_GENERATION: generation,
      ...(judgesMemory ? { NODE_OPTIONS: INSPECTED } : undefined)
    })
    const consumer = yield* ConsumerProcess.start(environment)
    const memoryNow = judgesMemory ? yield* makeLiveMemory(consumer.lines) : undefined

    const sent: Array<Sent> = []
    const memory: Array<LiveMemory> = []
    while (sent.length < count) {
      const made = Array.from(
        { length: Math.min(CHUNK, count - sent.length) },
        (_, each) => poisonRecord(options, sent.length + each)
      )
      yield* producer.send(made.map(({ record }) => ({ topic: names.requests, record })))
      for (const { code, kind, record } of made) {
        sent.push({ kind, code, expected: execute(record), digest: digestOf(record) })
      }
      const isToMeasure = memoryNow !== undefined && sent.length >= (memory.length + 1) * count / MEASUREMENTS
      const awaited = isToMeasure ? sent.length : sent.length - AHEAD
      yield* whileRunning(consumer)(outcomes.until((all) => all.length >= awaited))
      if (isToMeasure) memory.push(yield* memoryNow)
    }
    yield* whileRunning(consumer)(outcomes.until((all) => all.length >= count))
    const took = (yield* Clock.currentTimeMillis) - startedAt
    assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })
    const committed = yield* admin.committedOffsets(environment["KAFKA_GROUP_ID"] ?? "", names.requests)
    assert.strictEqual(committed.get(0)?.offset, count)
    // Whatever else there is comes before these.
    const last = { key: null, value: null, headers: [] }
    yield* producer.send([names.outcomes, names.deadLetters].map((topic) => ({ topic, record: last })))
    yield* outcomes.until((all) => all.at(-1) === undefined)
    yield* letters.until((all) => all.length > 0 && all.at(-1) === undefined)

    const findings = audit(
      sent,
      outcomes.all.filter((each) => each !== undefined),
      letters.all.filter((each) => each !== undefined)
    )
    assert.deepStrictEqual(
      findings.slice(0, 20),
      [],
      `${findings.length} findings with CONSUMER_POISON_SEED=${seed}`
    )
    assert.strictEqual(outcomes.all.length, count + 1)

    // What the API itself says of the good ones.
    const made = yield* changesOf(api, GOOD_ZONE)
    const changes = sent.filter(({ expected: { code }, kind }) =>
      kind === "good" && ["created", "upserted", "deleted"].includes(code)
    )
    const wanted = changes.map(({ expected: { code, mapping, subject } }) => ({
      subject,
      after: code === "deleted" ? null : mapping
    }))
    assert.deepStrictEqual(
      Map.groupBy(
        made.map(({ after, origin_ip, zone_id }) => ({
          subject: `${zone_id}/${origin_ip}`,
          after: after === null ? null : { vendor: after.vendor, region: after.region }
        })),
        ({ subject }) => subject
      ),
      Map.groupBy(wanted, ({ subject }) => subject)
    )

    const codes = [...Map.groupBy(sent, ({ expected: { code } }) => code)].map(([code, all]) => `${all.length} ${code}`)
    const good = sent.filter(({ kind }) => kind === "good").length
    yield* Console.log(
      `${count} records (CONSUMER_POISON_SEED=${seed}), ${good} of them good, in ${(took / 1000).toFixed(1)} s: ${
        codes.join(", ")
      }; ${letters.all.length - 1} dead letters`
    )
    for (const kind of judgesMemory ? ["live", "resident"] as const : []) {
      const { description, first, second } = halvesOf(kind, memory)
      yield* Console.log(description)
      assert.isAtMost(second, first * MOST_GROWTH[kind])
    }
  })

// Each with an API of its own, where nothing else has been.
for (const generation of ["1", "2"]) {
  layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })(
    `With generation ${generation} of the API, the consumer`,
    (it) => {
      it.effect(
        "gives every record of a poisoned topic its one outcome, as if it were alone, and keeps what is malformed as it is",
        () => poison(generation),
        // Nothing should ever reach it.
        120_000 + 20 * recordCount
      )
    }
  )
}
