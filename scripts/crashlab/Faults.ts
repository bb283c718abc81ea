import { Api } from "@origin-regions/testkit/Api"
import type { ChildProcessError } from "@origin-regions/testkit/ChildProcess"
import { canLimitFileSizes, limitFileSizes } from "@origin-regions/testkit/FileSizeLimit"
import type { KafkaBrokerError } from "@origin-regions/testkit/KafkaBrokerError"
import { type ClusterNode, KafkaCluster } from "@origin-regions/testkit/KafkaCluster"
import type { LinkState, NetworkLink } from "@origin-regions/testkit/NetworkLink"
import type { Choices } from "@origin-regions/testkit/SeededChoices"
import { Effect, Schema } from "effect"
import { Clocks } from "./Clocks.ts"
import type { Laboratory, Way } from "./Laboratory.ts"

class FaultsNotSet extends Schema.TaggedError<FaultsNotSet>()("FaultsNotSet", { detail: Schema.String }) {
  override get message(): string {
    return `The API's faults could not be set: ${this.detail}`
  }
}

type FaultError = ChildProcessError | FaultsNotSet | KafkaBrokerError

/** Something that happens to the system under load. */
export interface Fault {
  /** What it strikes: faults of different parts strike at the same time, those of one part one after another. */
  readonly part: "consumers" | "network" | "broker" | "API" | "clocks"
  /** Over when what it took away is back. The choices decide all that is left open. */
  readonly strike: (
    laboratory: Laboratory,
    choices: Choices
  ) => Effect.Effect<void, FaultError, Api | Clocks | KafkaCluster>
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

/** In bytes. Some files of the broker are larger, some smaller. */
const LARGEST_FILE = 65_536

const anyPlace = ({ places }: Laboratory, choices: Choices) => choices.pick(places) ?? 0

/** Strikes one of the brokers, the controller among them. */
const ofBroker = (strike: (broker: ClusterNode, choices: Choices) => ReturnType<Fault["strike"]>): Fault => ({
  part: "broker",
  strike: Effect.fnUntraced(function*(_, choices) {
    const { nodes } = yield* KafkaCluster
    const broker = choices.pick(nodes)
    if (broker !== undefined) yield* strike(broker, choices)
  })
})

/** A broker's process, while it runs. */
const processOf = ({ instance }: ClusterNode) => Effect.map(instance, (id) => id === undefined ? undefined : Number(id))

const signal = (broker: ClusterNode, name: NodeJS.Signals) =>
  Effect.map(processOf(broker), (pid) => {
    if (pid !== undefined) process.kill(pid, name)
  })

/** Lets none of the broker's files grow any further, of which it dies, and starts it again when there is room. */
const fillDisk = ofBroker(Effect.fnUntraced(function*(broker, choices) {
  const pid = yield* processOf(broker)
  if (pid === undefined) return
  yield* limitFileSizes(pid, choices.below(LARGEST_FILE))
  yield* Effect.sleep("100 millis").pipe(
    Effect.repeat({ while: () => Effect.map(processOf(broker), (running) => running === pid) }),
    Effect.timeoutOption("10 seconds")
  )
  yield* limitFileSizes(pid, undefined)
  yield* within(choices, 0, 2_000)
  yield* broker.start
}))

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

/** An API that is far away, and now and then slow: there are always calls under way when something breaks, and some that come late. */
const distance = [
  { fault: { type: "delay", millis: { mean: 50, maximum: 1_000 } } },
  { probability: 0.05, fault: { type: "delay", millis: { minimum: 500, maximum: 4_000 } } }
]

/** The API at its best. */
export const calmApi = setApiFaults({ seed: 1, rules: distance })

const unreliable = [
  ...distance,
  { probability: 0.1, fault: { type: "reset", when: "after" } },
  { probability: 0.05, fault: { type: "reset", when: "before" } },
  { probability: 0.1, fault: { type: "error", status: 503, when: "after" } },
  { probability: 0.05, fault: { type: "error", status: 502, when: "before" } }
]

const makeUnreliable = (choices: Choices) => setApiFaults({ seed: 1 + choices.below(1_000_000), rules: unreliable })

/** One consumer's way to the API, to Kafka, or to one of several brokers. */
const anyLink = ({ links, places }: Laboratory, to: Way, choices: Choices): Pick<NetworkLink, "set"> => {
  const all = links(choices.pick(places) ?? 0, to)
  const one = choices.chance(0.5) ? choices.pick(all) : undefined
  return one ?? { set: (state) => Effect.forEach(all, ({ set }) => set(state), { discard: true }) }
}

/** Puts one consumer's way to the API or to Kafka into a state for a while. */
const impaired = (to: Way, state: LinkState, minimum: number, maximum: number): Fault => ({
  part: "network",
  strike: Effect.fnUntraced(function*(laboratory, choices) {
    const link = anyLink(laboratory, to, choices)
    yield* link.set(state)
    yield* within(choices, minimum, maximum)
    yield* link.set("open")
  })
})

/** Cuts one consumer's connections to Kafka again and again: in between it connects, and has something under way. */
const flickering = (state: LinkState): Fault => ({
  part: "network",
  strike: Effect.fnUntraced(function*(laboratory, choices) {
    const link = anyLink(laboratory, "kafka", choices)
    for (let times = 3 + choices.below(12); times > 0; times--) {
      yield* link.set(state)
      yield* within(choices, 5, 50)
      yield* link.set("open")
      yield* within(choices, 50, 400)
    }
  })
})

const MINUTE = 60_000

/** Sets one consumer's wall clock for a while. */
const misset = (shift: (choices: Choices) => number): Fault => ({
  part: "clocks",
  strike: Effect.fnUntraced(function*(laboratory, choices) {
    const clock = yield* Clocks.use(({ ofPlace }) => Effect.succeed(ofPlace(anyPlace(laboratory, choices))))
    yield* clock.set(shift(choices))
    yield* within(choices, 1_000, 15_000)
    yield* clock.set(0)
  })
})

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
  // Half a second of each is many lost calls in a row: a request is tried again at once.
  "calls to the API cut before their effect": impaired("api", "losing requests", 200, 1_500),
  "calls to the API cut after their effect": impaired("api", "losing answers", 200, 1_500),
  "way to the API closed": impaired("api", "closed", 500, 6_000),
  // Beyond the time-out of a call.
  "way to the API silent": impaired("api", "silent", 500, 13_000),
  "requests to Kafka cut": flickering("losing requests"),
  "answers from Kafka cut": flickering("losing answers"),
  "way to Kafka closed": impaired("kafka", "closed", 500, 8_000),
  // Beyond the session: somebody else gets the partitions, and the one who is cut off does not hear of it.
  "way to Kafka silent": impaired("kafka", "silent", 1_000, 16_000),
  "broker killed": ofBroker(Effect.fnUntraced(function*(broker, choices) {
    yield* broker.kill
    yield* within(choices, 0, 3_000)
    yield* broker.start
  })),
  "broker restarted": ofBroker(({ start, stop }) => Effect.andThen(stop, start)),
  "broker frozen": ofBroker(Effect.fnUntraced(function*(broker, choices) {
    yield* signal(broker, "SIGSTOP")
    yield* within(choices, 1_000, 8_000)
    yield* signal(broker, "SIGCONT")
  })),
  // Beyond an hour Kafka refuses its records, and outcomes wait.
  "consumer's clock set forward": misset((choices) => (1 + choices.below(300)) * MINUTE),
  "consumer's clock set back": misset((choices) => -(1 + choices.below(300)) * MINUTE),
  // Never back: see what is not promised.
  "API's clock set forward": {
    part: "clocks",
    strike: Effect.fnUntraced(function*(_, choices) {
      const { api } = yield* Clocks
      yield* api.set(api.shift() + (1 + choices.below(60)) * MINUTE)
      yield* within(choices, 500, 3_000)
    })
  },
  ...(canLimitFileSizes ? { "broker's disk full": fillDisk } : undefined),
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
  // One call too many, and all are refused for a while, again and again.
  "API throttling in storms": {
    part: "API",
    strike: Effect.fnUntraced(function*(_, choices) {
      const storm = { type: "throttle", retry_after: 1 + choices.below(3), storm_millis: 200 + choices.below(2_000) }
      yield* setApiFaults({
        seed: 1 + choices.below(1_000_000),
        rules: [...distance, { probability: 0.03, fault: storm }]
      })
      yield* within(choices, 3_000, 12_000)
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
