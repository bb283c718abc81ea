import { Api } from "@origin-regions/testkit/Api"
import type { ChildProcessError } from "@origin-regions/testkit/ChildProcess"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import type { KafkaBrokerError } from "@origin-regions/testkit/KafkaBrokerError"
import { Effect, Random, Schema } from "effect"
import type { Laboratory } from "./Laboratory.ts"

class FaultsNotSet extends Schema.TaggedError<FaultsNotSet>()("FaultsNotSet", { detail: Schema.String }) {
  override get message(): string {
    return `The API's faults could not be set: ${this.detail}`
  }
}

/** Sleeps for a random time, in milliseconds. */
const within = (minimum: number, maximum: number) =>
  Effect.flatMap(Random.nextIntBetween(minimum, maximum), (millis) => Effect.sleep(millis))

/** Kills every consumer at once, and starts as many again. */
const killAll = ({ kill, places, start }: Laboratory) =>
  Effect.andThen(
    Effect.forEach(places, kill, { concurrency: "unbounded", discard: true }),
    Effect.forEach(places, start, { discard: true })
  )

const anyPlace = ({ size }: Laboratory) => Random.nextIntBetween(0, size, { halfOpen: true })

type Fault = (
  laboratory: Laboratory
) => Effect.Effect<void, ChildProcessError | FaultsNotSet | KafkaBrokerError, Api | KafkaBroker>

/** Signals the broker's process, where it is one of this machine. */
const signalBroker = (signal: NodeJS.Signals) =>
  KafkaBroker.use(({ instance }) =>
    Effect.map(instance, (id) => {
      if (id !== undefined && /^\d+$/.test(id)) process.kill(Number(id), signal)
    })
  )

/** Sets or ends the API's own faults, by its administration route. */
const setApiFaults = (plan: object | undefined) =>
  Api.use(({ baseUrl, token }) =>
    Effect.tryPromise({
      try: async () => {
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
        const response = await fetch(
          new URL("/faults", baseUrl),
          plan === undefined ? { method: "DELETE", headers } : { method: "PUT", headers, body: JSON.stringify(plan) }
        )
        if (!response.ok) throw new Error(`the API answers ${response.status}`)
      },
      catch: (error) => new FaultsNotSet({ detail: error instanceof Error ? error.message : String(error) })
    })
  )

/** Answers that are late, lost, or errors, before and after the request took effect. */
const unreliable = [
  { fault: { type: "delay", millis: { mean: 30, maximum: 3_000 } } },
  { probability: 0.1, fault: { type: "reset", when: "after" } },
  { probability: 0.05, fault: { type: "reset", when: "before" } },
  { probability: 0.1, fault: { type: "error", status: 503, when: "after" } },
  { probability: 0.05, fault: { type: "error", status: 502, when: "before" } }
]

/** Everything that happens to the system under load. Each fault is over when its Effect is: what it took away is back. */
export const faults: Readonly<Record<string, Fault>> = {
  "consumer killed": Effect.fnUntraced(function*(laboratory) {
    const place = yield* anyPlace(laboratory)
    yield* laboratory.kill(place)
    yield* within(0, 2_000)
    yield* laboratory.start(place)
  }),
  "consumer restarted": Effect.fnUntraced(function*(laboratory) {
    const place = yield* anyPlace(laboratory)
    yield* laboratory.terminate(place)
    yield* laboratory.start(place)
  }),
  "consumer stopped for a while": Effect.fnUntraced(function*(laboratory) {
    const place = yield* anyPlace(laboratory)
    yield* laboratory.terminate(place)
    yield* within(2_000, 6_000)
    yield* laboratory.start(place)
  }),
  "consumer frozen": Effect.fnUntraced(function*(laboratory) {
    const place = yield* anyPlace(laboratory)
    yield* laboratory.pause(place)
    // Beyond the session every other time: then somebody else has its partitions when it wakes.
    yield* within(1_000, 16_000)
    yield* laboratory.resume(place)
  }),
  "all consumers killed": killAll,
  "broker killed": Effect.fnUntraced(function*() {
    const broker = yield* KafkaBroker
    yield* broker.kill
    yield* within(0, 3_000)
    yield* broker.start
  }),
  "broker frozen": Effect.fnUntraced(function*() {
    yield* signalBroker("SIGSTOP")
    yield* within(1_000, 8_000)
    yield* signalBroker("SIGCONT")
  }),
  "API killed": Effect.fnUntraced(function*() {
    const api = yield* Api
    yield* api.kill
    yield* within(0, 3_000)
    yield* api.start
  }),
  "API unreliable": Effect.fnUntraced(function*() {
    yield* setApiFaults({ seed: yield* Random.nextIntBetween(1, 1_000_000), rules: unreliable })
    yield* within(1_000, 6_000)
    yield* setApiFaults(undefined)
  }),
  "API throttling": Effect.fnUntraced(function*() {
    yield* setApiFaults({ seed: 1, rules: [{ fault: { type: "throttle", retry_after: 1 } }] })
    yield* within(500, 3_000)
    yield* setApiFaults(undefined)
  }),
  "consumers killed while the API is unreliable": Effect.fnUntraced(function*(laboratory) {
    yield* setApiFaults({ seed: yield* Random.nextIntBetween(1, 1_000_000), rules: unreliable })
    yield* within(500, 2_000)
    yield* killAll(laboratory)
    yield* within(500, 3_000)
    yield* setApiFaults(undefined)
  })
}
