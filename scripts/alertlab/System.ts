import { requestRecord } from "@origin-regions/domain/MappingRequest"
import { requestTypes } from "@origin-regions/domain/Operation"
import { Region } from "@origin-regions/domain/Region"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Api } from "@origin-regions/testkit/Api"
import type { ChildProcessError } from "@origin-regions/testkit/ChildProcess"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Context, Effect, Exit, Schedule, Schema, Scope } from "effect"

type Environment = Readonly<Record<string, string>>

/** A consumer that comes and goes at one address. */
export interface Member {
  /** `host:port`, where Prometheus finds it. */
  readonly address: string
  /** Starts it, with more settings if need be; it may still be on its way to work. */
  readonly start: (more?: Environment) => Effect.Effect<void, ChildProcessError>
  readonly kill: Effect.Effect<void>
  readonly terminate: Effect.Effect<void>
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

const makeMember = Effect.fnUntraced(function*(environment: Environment) {
  const leash = yield* Leash
  let port = "0"
  let running: { readonly consumer: Consumer.Consumer; readonly scope: Scope.Closeable } | undefined
  const start = Effect.fnUntraced(function*(more: Environment = {}) {
    const scope = yield* Scope.make()
    const consumer = yield* Consumer.spawn({ ...environment, HTTP_PORT: port, ...more }).pipe(
      Effect.provide(Context.make(Leash, leash).pipe(Context.add(Scope.Scope, scope)))
    )
    running = { consumer, scope }
    port = new URL(yield* consumer.address).port
  })
  const end = (how: (consumer: Consumer.Consumer) => Effect.Effect<unknown>) =>
    Effect.suspend(() => {
      const ended = running
      if (ended === undefined) return Effect.void
      running = undefined
      return Effect.andThen(how(ended.consumer), Scope.close(ended.scope, Exit.void))
    })
  const kill = end((consumer) => consumer.kill)
  yield* Effect.addFinalizer(() => kill)
  yield* start()
  const { consumer } = running ?? (yield* Effect.die("it has just been started"))
  yield* consumer.ready
  const member: Member = {
    address: `127.0.0.1:${port}`,
    start,
    kill,
    terminate: end((consumer) => consumer.terminate),
    pause: Effect.suspend(() => running?.consumer.pause ?? Effect.void),
    resume: Effect.suspend(() => running?.consumer.resume ?? Effect.void)
  }
  return member
})

class FaultsNotSet extends Schema.TaggedError<FaultsNotSet>()("FaultsNotSet", { status: Schema.Int }) {
  override get message(): string {
    return `The API's faults could not be set: it answers ${this.status}`
  }
}

/** Kafka, an API and members of one group with a little to do, for one experiment. */
export interface System {
  readonly broker: KafkaBroker["Service"]
  readonly api: Api["Service"]
  readonly members: ReadonlyArray<Member>
  readonly topics: { readonly requests: string; readonly outcomes: string; readonly deadLetters: string }
  readonly makeTopic: (topic: string) => Effect.Effect<void, KafkaError>
  readonly emit: (...records: ReadonlyArray<OutgoingRecord>) => Effect.Effect<void>
  /** Sets faults of the API; none lifts them. */
  readonly fail: (...rules: ReadonlyArray<object>) => Effect.Effect<void, FaultsNotSet>
}

const PARTITIONS = 3

/** The zone of what there is always to do. */
const BUSY_ZONE = "busy"

/** The `number`th request for a zone. */
export const upsert = (zone: string, number: number): OutgoingRecord =>
  requestRecord({
    specversion: "1.0",
    id: `${zone}-${number}`,
    source: "/alertlab",
    type: requestTypes.upsert,
    data: {
      zone_id: ZoneId.make(zone),
      ip: `10.0.0.${number % 250}`,
      vendor: Vendor.make("aws"),
      region: Region.make("us-east-1")
    }
  })

export interface SystemOptions {
  readonly members: number
  /** Settings of the members, beside those that the system knows. */
  readonly environment: Environment
}

export const makeSystem = Effect.fnUntraced(function*({ environment, members }: SystemOptions) {
  const broker = yield* KafkaBroker
  const api = yield* Api
  const admin = yield* KafkaAdmin
  const producer = yield* KafkaProducer
  const topics = { requests: yield* uniqueTopic, outcomes: yield* uniqueTopic, deadLetters: yield* uniqueTopic }
  const makeTopic = (topic: string) => Effect.asVoid(admin.createTopics([{ topic, partitions: PARTITIONS }]))
  yield* Effect.forEach(Object.values(topics), makeTopic, { discard: true })
  const settings = {
    KAFKA_BROKERS: broker.brokers.join(","),
    KAFKA_GROUP_ID: yield* uniqueGroup,
    KAFKA_SESSION_TIMEOUT: "10 seconds",
    REQUESTS_TOPIC: topics.requests,
    OUTCOMES_TOPIC: topics.outcomes,
    DEAD_LETTERS_TOPIC: topics.deadLetters,
    CLOUDFLARE_BASE_URL: api.baseUrl,
    CLOUDFLARE_API_TOKEN: api.token,
    ...environment
  }
  // Where Kafka is gone there is nobody to send to.
  const emit: System["emit"] = (...records) =>
    Effect.ignore(producer.send(records.map((record) => ({ topic: topics.requests, record }))))
  let number = 0
  yield* Effect.suspend(() => emit(upsert(BUSY_ZONE, number++))).pipe(
    Effect.repeat(Schedule.spaced("200 millis")),
    Effect.forkScoped
  )
  const system: System = {
    broker,
    api,
    members: yield* Effect.all(Array.from({ length: members }, () => makeMember(settings)), {
      concurrency: "unbounded"
    }),
    topics,
    makeTopic,
    emit,
    fail: Effect.fnUntraced(function*(...rules: ReadonlyArray<object>) {
      const { status } = yield* Effect.promise(() =>
        fetch(new URL("/faults", api.baseUrl), {
          method: "PUT",
          headers: { authorization: `Bearer ${api.token}`, "content-type": "application/json" },
          body: JSON.stringify({ seed: 1, rules })
        })
      )
      if (status !== 200) return yield* new FaultsNotSet({ status })
    })
  }
  return system
})
