import { type ChildExit, describeExit } from "@origin-regions/testkit/ChildProcess"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Deferred, Effect, Stream } from "effect"
import { type Outcomes, readOutcomes } from "../bench/Outcomes.ts"
import { type StandInReport, startStandIn } from "../bench/StandIn.ts"
import { makeTopics, sendTo, settingsOf } from "../bench/Topics.ts"
import type { BenchRequest } from "../bench/Workload.ts"

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
  function*(delivery: DeliveryMode, apiLatency: number, more: Readonly<Record<string, string>> = {}) {
    const { brokers } = yield* KafkaBroker
    const send = yield* sendTo
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
      ...settingsOf(brokers, topics, api.origin),
      KAFKA_SESSION_TIMEOUT: `${SESSION_SECONDS} seconds`,
      DELIVERY: delivery,
      // A call for each request: batches would hide what a mode costs.
      API_BATCH_SIZE: "1",
      ...more
    }
    return {
      send: (requests) => send(topics, requests),
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
