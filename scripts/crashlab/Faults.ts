import type { Choices } from "@origin-regions/consumer/fixtures/SeededChoices"
import { Api } from "@origin-regions/testkit/Api"
import type { ChildProcessError } from "@origin-regions/testkit/ChildProcess"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import type { KafkaBrokerError } from "@origin-regions/testkit/KafkaBrokerError"
import { Effect, Schema } from "effect"
import type { Laboratory } from "./Laboratory.ts"

class FaultsNotSet extends Schema.TaggedError<FaultsNotSet>()("FaultsNotSet", { detail: Schema.String }) {
  override get message(): string {
    return `The API's faults could not be set: ${this.detail}`
  }
}

type FaultError = ChildProcessError | FaultsNotSet | KafkaBrokerError

/** Something that happens to the system under load. */
export interface Fault {
  /** What it strikes: faults of different parts strike at the same time, those of one part one after another. */
  readonly part: "consumers" | "broker" | "API"
  /** Over when what it took away is back. The choices decide all that is left open. */
  readonly strike: (laboratory: Laboratory, choices: Choices) => Effect.Effect<void, FaultError, Api | KafkaBroker>
}

/** Sleeps for a random time, in milliseconds. */
const within = (choices: Choices, minimum: number, maximum: number) =>
  Effect.sleep(minimum + choices.below(maximum - minimum))

/** Kills every consumer at once, and starts as many again. */
const killAll = ({ kill, places, start }: Laboratory) =>
  Effect.andThen(
    Effect.forEach(places, kill, { concurrency: "unbounded", discard: true }),
    Effect.forEach(places, start, { discard: true })
  )

const anyPlace = ({ places }: Laboratory, choices: Choices) => choices.pick(places) ?? 0

/** Signals the broker's process, where it is one of this machine. */
const signalBroker = (signal: NodeJS.Signals) =>
  KafkaBroker.use(({ instance }) =>
    Effect.map(instance, (id) => {
      if (id !== undefined && /^\d+$/.test(id)) process.kill(Number(id), signal)
    })
  )

/** Sets the API's own faults, by its administration route. */
const setApiFaults = (plan: object) =>
  Api.use(({ baseUrl, token }) =>
    Effect.tryPromise({
      try: async () => {
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
        const response = await fetch(new URL("/faults", baseUrl), {
          method: "PUT",
          headers,
          body: JSON.stringify(plan)
        })
        if (!response.ok) throw new Error(`the API answers ${response.status}`)
      },
      catch: (error) => new FaultsNotSet({ detail: error instanceof Error ? error.message : String(error) })
    })
  )

/** Nothing fails, but an answer takes its time as from far away: there are always calls under way when something breaks. */
export const calmApi = setApiFaults({
  seed: 1,
  rules: [{ fault: { type: "delay", millis: { mean: 30, maximum: 500 } } }]
})

const unreliable = [
  { probability: 0.6, fault: { type: "delay", millis: { mean: 30, maximum: 3_000 } } },
  { probability: 0.1, fault: { type: "reset", when: "after" } },
  { probability: 0.05, fault: { type: "reset", when: "before" } },
  { probability: 0.1, fault: { type: "error", status: 503, when: "after" } },
  { probability: 0.05, fault: { type: "error", status: 502, when: "before" } }
]

const makeUnreliable = (choices: Choices) => setApiFaults({ seed: 1 + choices.below(1_000_000), rules: unreliable })

export const faults: Readonly<Record<string, Fault>> = {
  "consumer killed": {
    part: "consumers",
    strike: Effect.fnUntraced(function*(laboratory, choices) {
      const place = anyPlace(laboratory, choices)
      yield* laboratory.kill(place)
      yield* within(choices, 0, 2_000)
      yield* laboratory.start(place)
    })
  },
  "consumer restarted": {
    part: "consumers",
    strike: Effect.fnUntraced(function*(laboratory, choices) {
      const place = anyPlace(laboratory, choices)
      yield* laboratory.terminate(place)
      yield* laboratory.start(place)
    })
  },
  "consumer stopped for a while": {
    part: "consumers",
    strike: Effect.fnUntraced(function*(laboratory, choices) {
      const place = anyPlace(laboratory, choices)
      yield* laboratory.terminate(place)
      yield* within(choices, 2_000, 6_000)
      yield* laboratory.start(place)
    })
  },
  "consumer frozen": {
    part: "consumers",
    strike: Effect.fnUntraced(function*(laboratory, choices) {
      const place = anyPlace(laboratory, choices)
      yield* laboratory.pause(place)
      yield* within(choices, 500, 9_000)
      yield* laboratory.resume(place)
    })
  },
  // Somebody else has its partitions when it wakes.
  "consumer frozen beyond its session": {
    part: "consumers",
    strike: Effect.fnUntraced(function*(laboratory, choices) {
      const place = anyPlace(laboratory, choices)
      yield* laboratory.pause(place)
      yield* within(choices, 10_500, 16_000)
      yield* laboratory.resume(place)
    })
  },
  "all consumers killed": { part: "consumers", strike: killAll },
  "broker killed": {
    part: "broker",
    strike: Effect.fnUntraced(function*(_, choices) {
      const broker = yield* KafkaBroker
      yield* broker.kill
      yield* within(choices, 0, 3_000)
      yield* broker.start
    })
  },
  "broker restarted": {
    part: "broker",
    strike: Effect.fnUntraced(function*() {
      const broker = yield* KafkaBroker
      yield* broker.restart
    })
  },
  "broker frozen": {
    part: "broker",
    strike: Effect.fnUntraced(function*(_, choices) {
      yield* signalBroker("SIGSTOP")
      yield* within(choices, 1_000, 8_000)
      yield* signalBroker("SIGCONT")
    })
  },
  "API killed": {
    part: "API",
    strike: Effect.fnUntraced(function*(_, choices) {
      const api = yield* Api
      yield* api.kill
      yield* within(choices, 0, 3_000)
      yield* api.start
      yield* calmApi
    })
  },
  "API unreliable": {
    part: "API",
    strike: Effect.fnUntraced(function*(_, choices) {
      yield* makeUnreliable(choices)
      yield* within(choices, 1_000, 6_000)
      yield* calmApi
    })
  },
  "API throttling": {
    part: "API",
    strike: Effect.fnUntraced(function*(_, choices) {
      yield* setApiFaults({ seed: 1, rules: [{ fault: { type: "throttle", retry_after: 1 } }] })
      yield* within(choices, 500, 3_000)
      yield* calmApi
    })
  },
  "consumers killed while the API is unreliable": {
    part: "API",
    strike: Effect.fnUntraced(function*(laboratory, choices) {
      yield* makeUnreliable(choices)
      yield* within(choices, 500, 2_000)
      yield* killAll(laboratory)
      yield* within(choices, 500, 3_000)
      yield* calmApi
    })
  }
}
