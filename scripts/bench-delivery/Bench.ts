import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { type ChildExit, describeExit } from "@origin-regions/testkit/ChildProcess"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Deferred, Effect, Stream } from "effect"
import { type Outcomes, readOutcomes } from "../bench/Outcomes.ts"
import { type StandInReport, startStandIn } from "../bench/StandIn.ts"
import { makeTopics } from "../bench/Topics.ts"
import { type BenchRequest, recordOf } from "../bench/Workload.ts"

export type DeliveryMode = "exactly-once" | "at-least-once"

/** The shortest that the consumer takes. */
export const SESSION_SECONDS = 10

/** Topics that nobody has used, an API that costs little, and consumers between them. */
export interface Bench {
  readonly send: (requests: ReadonlyArray<BenchRequest>) => Effect.Effect<void>
  readonly startConsumer: Effect.Effect<Consumer.Consumer, never, Effect.Services<ReturnType<typeof Consumer.spawn>>>
  readonly arrivals: Outcomes["arrivals"]
  /** Waits until this holds of the arrivals; dies where a consumer has refused to run. */
  readonly until: Outcomes["until"]
  readonly apiReport: Effect.Effect<StandInReport>
  readonly apiPid: number
}

export const makeBench = Effect.fnUntraced(
  function*(delivery: DeliveryMode, apiLatency: number) {
    const { brokers } = yield* KafkaBroker
    const producer = yield* KafkaProducer
    const topics = yield* makeTopics
    const api = yield* startStandIn(apiLatency)
    const { arrivals, until } = yield* readOutcomes(topics.outcomes)

    const failed = yield* Deferred.make<never>()
    const tellIfFailed = ({ lines }: Consumer.Consumer, exit: ChildExit) =>
      exit.code === undefined || exit.code === 0 ? Effect.void : Effect.flatMap(
        Stream.runCollect(lines),
        (lines) => Deferred.die(failed, new Error(`A consumer ended with ${describeExit(exit)}:\n${lines.join("\n")}`))
      )

    const environment = {
      KAFKA_BROKERS: brokers.join(","),
      KAFKA_GROUP_ID: topics.group,
      KAFKA_SESSION_TIMEOUT: `${SESSION_SECONDS} seconds`,
      REQUESTS_TOPIC: topics.requests,
      OUTCOMES_TOPIC: topics.outcomes,
      DEAD_LETTERS_TOPIC: topics.deadLetters,
      DELIVERY: delivery,
      CLOUDFLARE_BASE_URL: `${api.origin}/client/v4`,
      CLOUDFLARE_API_TOKEN: "none",
      API_GENERATION: "1",
      HTTP_PORT: "0"
    }
    return {
      send: (requests) =>
        Effect.orDie(
          producer.send(requests.map((request) => ({ topic: topics.requests, record: recordOf(request) })))
        ),
      startConsumer: Effect.tap(
        Effect.orDie(Consumer.spawn(environment)),
        (consumer) => Effect.forkScoped(Effect.flatMap(consumer.exit, (exit) => tellIfFailed(consumer, exit)))
      ),
      arrivals,
      until: (condition) => Effect.raceFirst(until(condition), Deferred.await(failed)),
      apiReport: api.report,
      apiPid: api.pid
    } satisfies Bench
  }
)
