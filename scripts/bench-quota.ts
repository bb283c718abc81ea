/** How many upserts in a second go through Cloudflare's quota: real broker, real consumers, and the self-hosted API with the limit that Cloudflare publishes. */
import { answersOf } from "@origin-regions/consumer/fixtures/ApiRecords"
import { requestRecord } from "@origin-regions/domain/MappingRequest"
import { requestTypes } from "@origin-regions/domain/Operation"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Api } from "@origin-regions/testkit/Api"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { layerKafka } from "./bench/LayerKafka.ts"
import { readOutcomes } from "./bench/Outcomes.ts"
import { makeTopics, settingsOf } from "./bench/Topics.ts"
import { count, runCommandLine } from "./CommandLine.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"
import { table } from "./Table.ts"

/** https://developers.cloudflare.com/fundamentals/api/reference/limits/ */
const LIMIT = 1_200
/** No call carries more than a hundred items. */
const MOST_PER_MINUTE = LIMIT / 5 * 100
/** Within what a zone can hold. */
const ZONES = 4
const ADDRESSES = 3_000

const CHUNK = 10_000

const requestOf = (number: number): OutgoingRecord => {
  const address = Math.floor(number / ZONES) % ADDRESSES
  return requestRecord({
    specversion: "1.0",
    id: String(number),
    source: "/bench",
    type: requestTypes.upsert,
    data: {
      zone_id: ZoneId.make(`quota-${number % ZONES}`),
      ip: OriginIp.make(`10.0.${address >> 8}.${address & 255}`),
      vendor: Vendor.make("aws"),
      region: Region.make(["us-east-1", "eu-west-1"][Math.floor(number / ZONES / ADDRESSES) % 2] ?? "us-east-1")
    }
  })
}

const measure = Effect.fnUntraced(function*(minutes: number, consumers: number, batchSize: number, generation: string) {
  const { brokers } = yield* KafkaBroker
  const producer = yield* KafkaProducer
  const api = yield* Api
  const topics = yield* makeTopics
  // The first window may begin with a burst of half the limit.
  const requests = Math.ceil(MOST_PER_MINUTE * (minutes + 5) * batchSize / 100)
  for (let sent = 0; sent < requests; sent += CHUNK) {
    const records = Array.from({ length: Math.min(CHUNK, requests - sent) }, (_, index) => requestOf(sent + index))
    yield* Effect.orDie(producer.send(records.map((record) => ({ topic: topics.requests, record }))))
  }
  const { arrivals } = yield* readOutcomes(topics.outcomes)
  const environment = {
    ...settingsOf(brokers, topics, new URL(api.baseUrl).origin),
    CLOUDFLARE_API_TOKEN: api.token,
    API_GENERATION: generation,
    API_BATCH_SIZE: String(batchSize),
    // Not Cloudflare's address, but its limit.
    API_QUOTA: String(LIMIT)
  }
  for (let member = 0; member < consumers; member++) yield* Consumer.start(environment)
  const minutesDone: Array<{ readonly upserts: number; readonly calls: number; readonly refusals: number }> = []
  let before = { upserts: 0, calls: 0, refusals: 0 }
  for (let minute = 1; minute <= minutes; minute++) {
    yield* Effect.sleep("1 minute")
    const answers = yield* answersOf(api)
    const countOf = (counted: typeof answers) => counted.reduce((sum, { count }) => sum + count, 0)
    const refusals = answers.filter(({ code }) => code === "971")
    const now = { upserts: arrivals.length, calls: countOf(answers), refusals: countOf(refusals) }
    const done = {
      upserts: now.upserts - before.upserts,
      calls: now.calls - before.calls,
      refusals: now.refusals - before.refusals
    }
    yield* printError(`Minute ${minute}: ${JSON.stringify(done)}`)
    minutesDone.push(done)
    before = now
  }
  return { requests, minutes: minutesDone }
}, Effect.scoped)

const benchQuota = Command.make(
  "npm run bench:quota --",
  {
    minutes: count("minutes", 15, "How long"),
    consumers: count("consumers", 1, "Members of the group"),
    batchSize: count("batch-size", 100, "API_BATCH_SIZE"),
    generation: Flag.Literals("generation", ["1", "2"]).pipe(
      Flag.withDescription("API_GENERATION (default: 2)"),
      Flag.withDefault("2")
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the results as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*(flags) {
    const { minutes } = yield* measure(flags.minutes, flags.consumers, flags.batchSize, flags.generation).pipe(
      Effect.provide([layerKafka, Api.layerWith({ environment: { API_RATE_LIMIT: String(LIMIT) } })])
    )
    if (flags.json) return yield* print(JSON.stringify({ flags, minutes }))
    const sum = (of: (minute: (typeof minutes)[number]) => number) => minutes.reduce((all, each) => all + of(each), 0)
    const [upserts, calls] = [sum(({ upserts }) => upserts), sum(({ calls }) => calls)]
    for (
      const line of table({ name: `${flags.minutes} minutes`, cells: [""] }, [
        { name: "upserts/s", cells: [(upserts / flags.minutes / 60).toFixed(1)] },
        { name: "upserts for a call", cells: [(upserts / calls).toFixed(1)] },
        { name: "calls", cells: [String(calls)] },
        { name: "refused for their number", cells: [String(sum(({ refusals }) => refusals))] }
      ])
    ) yield* print(line)
  })
).pipe(Command.withDescription(
  "Measure how many upserts in a second go through Cloudflare's quota of calls, and that no call is refused."
))

runScript(runCommandLine(benchQuota))
