import { Context, Deferred, Effect, Layer, Schema, type Scope } from "effect"

/** A request as it goes to Kafka. */
export interface RequestRecord {
  readonly topic: string
  readonly key: string
  readonly value: string
  readonly headers: Readonly<Record<string, string>>
}

/** Which partitions a send wrote to, of how many that the topic has. */
export interface Placement {
  readonly partitions: ReadonlyArray<number>
  readonly of: number
}

/** A record of the outcomes topic, as far as it is needed. */
export interface OutcomeRecord {
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, unknown>> | undefined
}

/** What reads a topic tells. */
export interface Subscriber {
  /** Gets every record, those of a partition in their order. Returns at once. */
  readonly received: (record: OutcomeRecord) => void
  /** Nothing more will come. */
  readonly failed: (error: unknown) => void
}

/**
 * What an emitter needs of Kafka, to be had from whichever client a service has already. `kafkaJs` makes one of kafkajs'.
 *
 * The client's partitioner must choose as Java's does (murmur2 of the key): requests of one address are in order only if they meet in one partition,
 * whoever sent them.
 */
export interface KafkaPort {
  /**
   * Writes the records in their order and resolves when all in-sync replicas have all of them (`acks=all`). It is called for one batch at a time. What it says
   * of the partitions is checked; a client that can't tell them resolves with nothing.
   */
  send(records: ReadonlyArray<RequestRecord>): Promise<Placement | void>
  /**
   * Reads a topic from its end, outside of any lasting group and `read_committed`. Resolves once it is positioned: every record that is written afterwards will
   * be received. What it resolves with ends it. Only needed for awaiting outcomes.
   */
  subscribe?(topic: string, subscriber: Subscriber): Promise<() => Promise<void>>
  /** Ends what it has begun. */
  close?(): Promise<void>
}

/** The client could not do it. */
export class EmitterKafkaError extends Schema.TaggedError<EmitterKafkaError>()("EmitterKafkaError", {
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** An emitter's way to Kafka. */
export class EmitterKafka extends Context.Service<EmitterKafka, {
  readonly send: (records: ReadonlyArray<RequestRecord>) => Effect.Effect<Placement | void, EmitterKafkaError>
  /** As `KafkaPort.subscribe`, until the scope closes. What it yields fails when nothing more will come. */
  readonly subscribe: (
    topic: string,
    received: Subscriber["received"]
  ) => Effect.Effect<Effect.Effect<never, EmitterKafkaError>, EmitterKafkaError, Scope.Scope>
}>()("@origin-regions/emitter/EmitterKafka") {
  /** By a client of the service's own; it is closed with the layer. */
  static readonly layer = (port: KafkaPort): Layer.Layer<EmitterKafka> =>
    Layer.effect(
      EmitterKafka,
      Effect.acquireRelease(
        Effect.succeed(ofPort(port)),
        () => Effect.ignore(attempt(async () => await port.close?.()))
      )
    )
}

const words = (error: unknown): string => error instanceof Error && error.message !== "" ? error.message : String(error)

const kafkaError = (error: unknown) => new EmitterKafkaError({ detail: words(error) })

const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: kafkaError })

const ofPort = (port: KafkaPort): EmitterKafka["Service"] => ({
  send: (records) => attempt(() => port.send(records)),
  subscribe: (topic, received) =>
    Effect.gen(function*() {
      if (port.subscribe === undefined) {
        return yield* new EmitterKafkaError({ detail: "the Kafka port has no subscribe" })
      }
      const failure = yield* Deferred.make<never, EmitterKafkaError>()
      const failed = (error: unknown) => void Deferred.doneUnsafe(failure, Effect.fail(kafkaError(error)))
      const { subscribe } = port
      let isPositioned = false
      const subscribing = Promise.resolve().then(() => subscribe.call(port, topic, { received, failed }))
      yield* Effect.addFinalizer(() => {
        const ending = subscribing.then((end) => end()).catch(() => {})
        // One that is not there yet is not waited for: whoever asked for it has had no time left.
        return isPositioned ? Effect.promise(() => ending) : Effect.void
      })
      yield* attempt(() => subscribing)
      isPositioned = true
      return Deferred.await(failure)
    })
})
