import { type MappingRequest, requestRecord } from "@origin-regions/domain/MappingRequest"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { topicNames } from "@origin-regions/domain/TopicNames"
import { Clock, Context, Duration, Effect, Layer, RcRef, Result } from "effect"
import { SecureRandom } from "effect/crypto"
import { EmitterError, InvalidRequests, NoOutcome, OutcomesUnreadable, type RequestProblem } from "./EmitterError.ts"
import { EmitterKafka, type EmitterKafkaError, type KafkaPort, type RequestRecord } from "./EmitterKafka.ts"
import { AwaitedOutcomes } from "./internal/AwaitedOutcomes.ts"
import { complete } from "./internal/Completion.ts"
import { makeSendQueue, Shipment } from "./internal/SendQueue.ts"
import { currentTraceparent } from "./internal/TraceContext.ts"
import { type MemoryKafka, memoryKafka } from "./MemoryKafka.ts"
import type { RequestDraft } from "./RequestDraft.ts"
import { type RequestOutcome, requestOutcome } from "./RequestOutcome.ts"

export interface EmitterOptions {
  /** The CloudEvents `source` of all its requests: which service asks, such as `/provisioning`. With their ids it says which request is which. */
  readonly source: string
  /** Default: `origin-regions.requests`. */
  readonly requestsTopic?: string | undefined
  /** Default: `origin-regions.outcomes`. */
  readonly outcomesTopic?: string | undefined
}

export interface AwaitOptions {
  /** How long to wait for the outcome, the sending included. Default: one minute. */
  readonly timeout?: Duration.Input | undefined
  /** Aborting it ends the wait, and not the request. */
  readonly signal?: AbortSignal | undefined
}

const DEFAULT_TIMEOUT = Duration.minutes(1)

/**
 * Sends mapping requests: completed, checked, keyed so that one address stays in one partition, and those that come at the same time together. All of it is
 * checked before any is sent.
 */
export class Emitter extends Context.Service<Emitter, {
  /** Sends a request, and yields it as it is in Kafka once all replicas have it. */
  readonly emit: (draft: RequestDraft) => Effect.Effect<MappingRequest, EmitterError>
  /** Sends requests in their order. */
  readonly emitAll: (
    drafts: ReadonlyArray<RequestDraft>
  ) => Effect.Effect<ReadonlyArray<MappingRequest>, EmitterError>
  /** Sends a request and waits for its outcome, whichever that is. The first one begins to read the outcomes' topic. */
  readonly request: (draft: RequestDraft, options?: AwaitOptions) => Effect.Effect<RequestOutcome, EmitterError>
}>()("@origin-regions/emitter/Emitter") {
  static readonly layerNoDeps = (
    options: EmitterOptions
  ): Layer.Layer<Emitter, never, EmitterKafka | SecureRandom.SecureRandom> => Layer.effect(Emitter, make(options))

  /** By a Kafka client of the service's own. */
  static readonly layer = (options: EmitterOptions & { readonly kafka: KafkaPort }): Layer.Layer<Emitter> =>
    Emitter.layerNoDeps(options).pipe(
      Layer.provide([EmitterKafka.layer(options.kafka), SecureRandom.layerWebCrypto])
    )

  /** Without Kafka: `kafka` has the requests that were sent, and answers them. */
  static readonly layerTest = (kafka: MemoryKafka = memoryKafka(), source = "/test"): Layer.Layer<Emitter> =>
    Emitter.layer({ source, kafka })
}

const decoder = new TextDecoder()
const textOf = (bytes: Uint8Array | null): string => decoder.decode(bytes ?? undefined)

const make = Effect.fnUntraced(function*(
  { outcomesTopic = topicNames.outcomes, requestsTopic = topicNames.requests, source }: EmitterOptions
) {
  const kafka = yield* EmitterKafka
  const { uuidV4 } = yield* SecureRandom.SecureRandom
  const awaited = new AwaitedOutcomes(source)
  const reader = yield* RcRef.make({
    idleTimeToLive: Duration.infinity,
    acquire: kafka.subscribe(outcomesTopic, awaited.received)
  })
  // The queue closes first: what was accepted is sent.
  yield* Effect.addFinalizer(() => Effect.sync(awaited.close))
  const queue = yield* makeSendQueue(kafka.send)

  const toKafka = (request: MappingRequest): RequestRecord => {
    const { headers, key, value } = requestRecord(request)
    return {
      topic: requestsTopic,
      key: textOf(key),
      value: textOf(value),
      headers: Object.fromEntries(headers.map(({ name, value }) => [name, textOf(value)]))
    }
  }

  const completed = Effect.fnUntraced(function*(drafts: ReadonlyArray<RequestDraft>) {
    const time = formatTimestamp(yield* Clock.currentTimeMillis)
    const traceparent = yield* currentTraceparent
    const requests: Array<MappingRequest> = []
    const problems: Array<RequestProblem> = []
    for (const [index, draft] of drafts.entries()) {
      const result = complete(draft, { id: yield* uuidV4(), source, time, traceparent })
      if (Result.isSuccess(result)) requests.push(result.success)
      else for (const problem of result.failure) problems.push({ request: index, ...problem })
    }
    if (problems.length === 0) return requests
    return yield* new EmitterError({ reason: new InvalidRequests({ requests: drafts.length, problems }) })
  })

  const completedOne = (draft: RequestDraft) =>
    Effect.flatMap(completed([draft]), ([request]) => Effect.orDie(Effect.fromNullishOr(request)))

  const shipmentOf = (requests: ReadonlyArray<MappingRequest>) => new Shipment(requests.map(toKafka))

  // As OpenTelemetry's conventions for messaging have it.
  const span = `send ${requestsTopic}`
  const options = {
    kind: "producer",
    attributes: {
      "messaging.system": "kafka",
      "messaging.operation.name": "send",
      "messaging.operation.type": "send",
      "messaging.destination.name": requestsTopic
    }
  } as const

  const reading = (shipment: Shipment) => (error: EmitterKafkaError) =>
    Effect.andThen(
      RcRef.invalidate(reader),
      Effect.fail(
        new EmitterError({ reason: new OutcomesUnreadable({ detail: error.detail, sent: shipment.withdraw() }) })
      )
    )

  return Emitter.of({
    emit: Effect.fn(span, options)(function*(draft) {
      const request = yield* completedOne(draft)
      yield* queue.ship(shipmentOf([request]))
      return request
    }),
    emitAll: Effect.fn(span, options)(function*(drafts) {
      const requests = yield* completed(drafts)
      yield* queue.ship(shipmentOf(requests))
      return requests
    }),
    request: Effect.fn(span, options)(
      function*(draft, { signal, timeout = DEFAULT_TIMEOUT } = {}) {
        const request = yield* completedOne(draft)
        const { id } = request
        const shipment = shipmentOf([request])
        const given = (why: "aborted" | "deadline") =>
          Effect.suspend(() =>
            Effect.fail(
              new EmitterError({ reason: new NoOutcome({ why, id, source, sent: shipment.withdraw() }) })
            )
          )
        const outcome = yield* awaited.awaiting(id, shipment, (outcome) =>
          Effect.scoped(Effect.gen(function*() {
            const failed = yield* Effect.catch(RcRef.get(reader), reading(shipment))
            return yield* Effect.raceFirst(
              Effect.andThen(queue.ship(shipment), outcome),
              Effect.catch(failed, reading(shipment))
            )
          })).pipe(
            Effect.timeoutOrElse({ duration: timeout, orElse: () => given("deadline") }),
            Effect.raceFirst(Effect.andThen(aborted(signal), given("aborted")))
          ))
        return requestOutcome(outcome)
      }
    )
  })
})

const aborted = (signal: AbortSignal | undefined): Effect.Effect<void> =>
  signal === undefined ? Effect.never : Effect.callback<void>((resume) => {
    const abort = () => resume(Effect.void)
    if (signal.aborted) return abort()
    signal.addEventListener("abort", abort, { once: true })
    return Effect.sync(() => signal.removeEventListener("abort", abort))
  })
