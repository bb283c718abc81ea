import { requestRecord } from "@origin-regions/domain/MappingRequest"
import { requestTypes } from "@origin-regions/domain/Operation"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import type { OutgoingRecord, SourceRecord } from "@origin-regions/domain/SourceRecord"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { type ChildExit, describeExit, spawn } from "@origin-regions/testkit/ChildProcess"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { type ProcessUsage, processUsage } from "@origin-regions/testkit/ProcessUsage"
import { Deferred, Effect, Option, Schema, Stream, SubscriptionRef } from "effect"
import { SecureRandom } from "effect/crypto"
import * as NodePath from "node:path"

export type DeliveryMode = "exactly-once" | "at-least-once"

const PARTITIONS = 12

/** The shortest that the consumer takes. */
export const SESSION_SECONDS = 10

/** An outcome as it came to a `read_committed` reader. */
interface Arrival {
  /** The number of its request. */
  readonly request: number
  /** When it came, in milliseconds of `performance.now()`. */
  readonly at: number
  /** When the consumer settled it, in milliseconds since 1970. */
  readonly settledAt: number
}

/** Topics that nobody has used, an API that costs little, and consumers between them. */
export interface Bench {
  /** Requests by their numbers, which become their ids, each for the address of a number. */
  readonly send: (requests: ReadonlyArray<{ readonly number: number; readonly address: number }>) => Effect.Effect<void>
  readonly startConsumer: Effect.Effect<Consumer.Consumer, never, Effect.Services<ReturnType<typeof Consumer.spawn>>>
  readonly arrivals: ReadonlyArray<Arrival>
  /** Waits until this holds of the arrivals; dies where a consumer has refused to run. */
  readonly until: (condition: (arrivals: ReadonlyArray<Arrival>) => boolean) => Effect.Effect<void>
  /** How often the API was called, for each address that it was called for. */
  readonly calls: Effect.Effect<ReadonlyArray<number>>
  readonly apiPid: number
}

const decodeAddress = Schema.decodeOption(Schema.fromJsonString(Schema.Struct({ port: Schema.Int })))
const decodeCalls = Schema.decodeUnknownEffect(Schema.Array(Schema.Int))

const requestOf = (number: number, address: number): OutgoingRecord =>
  requestRecord({
    specversion: "1.0",
    id: String(number),
    source: "/bench",
    type: requestTypes.upsert,
    data: {
      zone_id: ZoneId.make(`zone-${address % 16}`),
      ip: OriginIp.make(`10.${address >> 16}.${(address >> 8) & 255}.${address & 255}`),
      vendor: Vendor.make("aws"),
      region: Region.make("us-east-1")
    }
  })

const decoder = new TextDecoder()

const headerOf = ({ headers }: SourceRecord, name: string): string =>
  decoder.decode(headers.find((header) => header.name === name)?.value ?? undefined)

export const makeBench = Effect.fnUntraced(
  function*(delivery: DeliveryMode, apiLatency: number) {
    const { brokers } = yield* KafkaBroker
    const admin = yield* KafkaAdmin
    const producer = yield* KafkaProducer
    const reader = yield* KafkaTopicReader
    const id = SecureRandom.uuidV4Unsafe()
    const topics = { requests: `requests-${id}`, outcomes: `outcomes-${id}`, deadLetters: `dead-letters-${id}` }
    yield* admin.createTopics([
      { topic: topics.requests, partitions: PARTITIONS },
      { topic: topics.outcomes, partitions: PARTITIONS },
      { topic: topics.deadLetters, partitions: 1 }
    ])

    const api = yield* spawn({
      name: "The API's stand-in",
      command: process.execPath,
      args: [NodePath.join(import.meta.dirname, "ApiStandIn.ts")],
      environment: { LATENCY: String(apiLatency) }
    })
    const { port } = yield* api.firstLine(decodeAddress)
    const origin = `http://127.0.0.1:${port}`

    const arrivals: Array<Arrival> = []
    const count = yield* SubscriptionRef.make(0)
    yield* reader.read({ topic: topics.outcomes, from: "beginning" }).pipe(
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

    const failed = yield* Deferred.make<never>()
    const tellIfFailed = ({ lines }: Consumer.Consumer, exit: ChildExit) =>
      exit.code === undefined || exit.code === 0 ? Effect.void : Effect.flatMap(
        Stream.runCollect(lines),
        (lines) => Deferred.die(failed, new Error(`A consumer ended with ${describeExit(exit)}:\n${lines.join("\n")}`))
      )

    const environment = {
      KAFKA_BROKERS: brokers.join(","),
      KAFKA_GROUP_ID: `group-${id}`,
      KAFKA_SESSION_TIMEOUT: `${SESSION_SECONDS} seconds`,
      REQUESTS_TOPIC: topics.requests,
      OUTCOMES_TOPIC: topics.outcomes,
      DEAD_LETTERS_TOPIC: topics.deadLetters,
      DELIVERY: delivery,
      CLOUDFLARE_BASE_URL: `${origin}/client/v4`,
      CLOUDFLARE_API_TOKEN: "none",
      API_GENERATION: "1",
      HTTP_PORT: "0"
    }
    return {
      send: (numbers) =>
        Effect.orDie(
          producer.send(
            numbers.map(({ address, number }) => ({ topic: topics.requests, record: requestOf(number, address) }))
          )
        ),
      startConsumer: Effect.tap(
        Effect.orDie(Consumer.spawn(environment)),
        (consumer) => Effect.forkScoped(Effect.flatMap(consumer.exit, (exit) => tellIfFailed(consumer, exit)))
      ),
      arrivals,
      until: (condition) =>
        Stream.runDrain(Stream.takeUntil(SubscriptionRef.changes(count), () => condition(arrivals))),
      calls: Effect.tryPromise(async () => {
        const response = await fetch(`${origin}/upserts`)
        return response.json()
      }).pipe(Effect.flatMap(decodeCalls), Effect.orDie),
      apiPid: api.pid
    } satisfies Bench
  }
)

/** What a process has used; not a number where only Linux tells. */
export const usageOf = (pid: number): Effect.Effect<ProcessUsage> =>
  Effect.map(
    processUsage(pid),
    Option.getOrElse(() => ({
      cpuSeconds: Number.NaN,
      residentBytes: Number.NaN,
      peakResidentBytes: Number.NaN
    }))
  )
