import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect } from "effect"
import { readOutcomes } from "./Outcomes.ts"
import { startStandIn } from "./StandIn.ts"
import { type Program, startProgram } from "./Systems.ts"
import { makeTopics, PARTITIONS, sendTo, settingsOf } from "./Topics.ts"
import type { BenchRequest } from "./Workload.ts"

export interface ArenaOptions {
  /** Calls at once. */
  readonly concurrency: number
  /** How long the API takes for a call, in milliseconds. */
  readonly latency: number
  /** What Node is told in each system that runs on it, beyond what the system tells it itself. */
  readonly nodeOptions?: string
}

/** Fresh topics, a fresh stand-in for the API, and a reader of the outcomes; `start` lets a system in. */
export const makeArena = Effect.fnUntraced(function*({ concurrency, latency, nodeOptions = "" }: ArenaOptions) {
  const { brokers, instance, provider } = yield* KafkaBroker
  const admin = yield* KafkaAdmin
  const send = yield* sendTo
  const topics = yield* makeTopics
  const api = yield* startStandIn(latency)
  const outcomes = yield* readOutcomes(topics.outcomes)
  return {
    api,
    /** Not a number where its process is not on this machine. */
    brokerPid: provider === "jvm" ? Number(yield* instance) : Number.NaN,
    outcomes,
    send: (requests: ReadonlyArray<BenchRequest>) => send(topics, requests),
    /** How many records the system's group has committed as done. */
    committed: Effect.map(
      Effect.orDie(admin.committedOffsets(topics.group, topics.requests)),
      (offsets) => [...offsets.values()].reduce((sum, { offset }) => sum + offset, 0)
    ),
    start: (program: Program, requests: { readonly requests: number; readonly addresses: number }) =>
      startProgram(program, {
        ...settingsOf(brokers, topics, api.origin),
        CONCURRENCY: String(concurrency),
        PARTITIONS: String(PARTITIONS),
        REQUESTS: String(requests.requests),
        ADDRESSES: String(requests.addresses),
        NODE_OPTIONS: nodeOptions
      })
  }
})
