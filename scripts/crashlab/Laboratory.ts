import { Api } from "@origin-regions/testkit/Api"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaCluster } from "@origin-regions/testkit/KafkaCluster"
import { makeKafkaLinks } from "@origin-regions/testkit/KafkaLink"
import { Leash } from "@origin-regions/testkit/Leash"
import { makeNetworkLink, type NetworkLink } from "@origin-regions/testkit/NetworkLink"
import { Effect, Exit, Scope, Semaphore, Stream } from "effect"
import { appendFileSync } from "node:fs"
import * as NodePath from "node:path"
import { Clocks } from "./Clocks.ts"

export type Way = "api" | "kafka"

/** The consumers of a run, by their place. A place can stand empty. */
export interface Laboratory {
  readonly places: ReadonlyArray<number>
  /** Starts a consumer in an empty place, or one that ended by itself; nothing where one runs. */
  readonly start: (place: number) => Effect.Effect<void>
  readonly kill: (place: number) => Effect.Effect<void>
  readonly terminate: (place: number) => Effect.Effect<void>
  readonly pause: (place: number) => Effect.Effect<void>
  readonly resume: (place: number) => Effect.Effect<void>
  /** A place's links to the API, of which there is one, or to each of the brokers. */
  readonly links: (place: number, to: Way) => ReadonlyArray<NetworkLink>
  /** How many consumers have ended without having been asked to. */
  readonly endedByThemselves: () => number
}

export interface LaboratoryOptions {
  readonly size: number
  /** The consumers' settings, but for those that the laboratory knows. */
  readonly environment: Readonly<Record<string, string>>
  /** Where the consumers' sources are, if not in this repository. */
  readonly root: string | undefined
  /** The folder that gets what the consumers write, a file for each. */
  readonly logs: string | undefined
}

interface Running {
  readonly consumer: Consumer.Consumer
  readonly scope: Scope.Closeable
}

/** A number of places for real consumer processes of one group. */
export const makeLaboratory = Effect.fnUntraced(function*({ environment, logs, root, size }: LaboratoryOptions) {
  const { brokers } = yield* KafkaCluster
  const api = yield* Api
  const leash = yield* Leash
  const clocks = yield* Clocks
  const places = Array.from({ length: size }, (_, place) => place)
  const occupants: Array<Running | undefined> = []
  const locks = yield* Effect.forEach(places, () => Semaphore.make(1))
  const apiUrl = new URL(api.baseUrl)
  const linksOf = yield* Effect.forEach(
    places,
    () => Effect.all({ api: Effect.map(makeNetworkLink(apiUrl.host), Array.of), kafka: makeKafkaLinks(brokers) })
  )

  const links: Laboratory["links"] = (place, to) => {
    const ofPlace = linksOf[place]
    if (ofPlace === undefined) throw new Error(`there is no place ${place}`)
    return ofPlace[to]
  }
  const addresses = (place: number, to: Way): string => links(place, to).map(({ address }) => address).join(",")

  let started = 0
  let endedByThemselves = 0

  /** One thing at a time at each place. */
  const at = (place: number, act: Effect.Effect<void>): Effect.Effect<void> =>
    locks[place]?.withPermit(act) ?? Effect.void

  const vacate = (place: number, end: (consumer: Consumer.Consumer) => Effect.Effect<unknown>) =>
    Effect.suspend(() => {
      const running = occupants[place]
      if (running === undefined) return Effect.void
      occupants[place] = undefined
      return running.consumer.resume.pipe(
        Effect.andThen(end(running.consumer)),
        Effect.andThen(Scope.close(running.scope, Exit.void))
      )
    })

  const keepLines = (place: number, { lines }: Consumer.Consumer) => {
    if (logs === undefined) return Effect.void
    const file = NodePath.join(logs, `consumer-${place}-${++started}.log`)
    return Stream.runForEach(lines, (line) => Effect.sync(() => appendFileSync(file, `${line}\n`)))
  }

  const spawn = Effect.fnUntraced(function*(place: number) {
    if (occupants[place] !== undefined) return
    const scope = yield* Scope.make()
    const consumer = yield* Consumer.spawn({
      ...environment,
      ...clocks.ofPlace(place).environment,
      KAFKA_BROKERS: addresses(place, "kafka"),
      CLOUDFLARE_BASE_URL: `http://${addresses(place, "api")}${apiUrl.pathname}`,
      CLOUDFLARE_API_TOKEN: api.token,
      HTTP_PORT: "0"
    }, root).pipe(Effect.provideService(Scope.Scope, scope), Effect.provideService(Leash, leash), Effect.orDie)
    const running = { consumer, scope }
    occupants[place] = running
    yield* Effect.forkDetach(keepLines(place, consumer))
    yield* Effect.forkDetach(Effect.andThen(consumer.exit, replace(place, running)))
  })

  const start = (place: number): Effect.Effect<void> => at(place, spawn(place))

  /** A consumer that ends loudly is started again, as an orchestrator would. */
  const replace = (place: number, running: Running): Effect.Effect<void> =>
    at(
      place,
      Effect.suspend(() => {
        if (occupants[place] !== running) return Effect.void
        endedByThemselves += 1
        occupants[place] = undefined
        return Effect.andThen(Scope.close(running.scope, Exit.void), spawn(place))
      })
    )

  const laboratory: Laboratory = {
    places,
    start,
    kill: (place) => at(place, vacate(place, ({ kill }) => kill)),
    terminate: (place) => at(place, vacate(place, ({ terminate }) => terminate)),
    pause: (place) => at(place, Effect.suspend(() => occupants[place]?.consumer.pause ?? Effect.void)),
    resume: (place) => at(place, Effect.suspend(() => occupants[place]?.consumer.resume ?? Effect.void)),
    links,
    endedByThemselves: () => endedByThemselves
  }
  yield* Effect.addFinalizer(() => Effect.forEach(places, laboratory.kill, { discard: true }))
  return laboratory
})
