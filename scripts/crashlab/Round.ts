import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { changesOf } from "@origin-regions/consumer/fixtures/ApiRecords"
import { mappingKey } from "@origin-regions/domain/MappingKey"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Api } from "@origin-regions/testkit/Api"
import { seededChoices } from "@origin-regions/testkit/SeededChoices"
import { Clock, Duration, Effect, Fiber, Option, Schedule, Schema } from "effect"
import { lagOf } from "../start/Lag.ts"
import type { Records } from "./Audit.ts"
import { faults } from "./Faults.ts"
import type { Laboratory } from "./Laboratory.ts"
import { planFaults, type PlannedFault } from "./Schedule.ts"
import { placeOf } from "./SequentialModel.ts"
import { readUpToEnd, readUpToNow } from "./TopicRecords.ts"
import { nextRequest, zonesOf } from "./Workload.ts"

class Stalled extends Schema.TaggedError<Stalled>()("Stalled", { round: Schema.String, unanswered: Schema.Int }) {
  override get message() {
    return `Round ${this.round}: ${this.unanswered} requests are still unanswered, and nothing has moved for ${
      Duration.format(PATIENCE)
    }.`
  }
}

const PATIENCE = Duration.minutes(3)
const BATCH = 30

export const topics = { requests: "lab.requests", outcomes: "lab.outcomes", deadLetters: "lab.dead-letters" }
export const groupId = "lab"

/** One round: its name is part of its zones' ids. */
export interface RoundOptions {
  readonly name: string
  readonly seed: string
  /** How many requests at least: there are more as long as faults strike. */
  readonly requests: number
  readonly faults: number
  /** The faults that there can be. */
  readonly names: ReadonlyArray<string>
  /** How often each fault has struck. */
  readonly tally: Map<string, number>
}

/** Where the topics end now: what is behind that is for others. */
const endsOfTopics = Effect.flatMap(KafkaAdmin, ({ endOffsets }) =>
  Effect.all({
    requests: endOffsets(topics.requests),
    outcomes: endOffsets(topics.outcomes),
    deadLetters: endOffsets(topics.deadLetters)
  })).pipe(Effect.retry(Schedule.spaced("1 second")))

type Ends = Effect.Success<typeof endsOfTopics>

const BEGINNING: Ends = { requests: new Map(), outcomes: new Map(), deadLetters: new Map() }

/** Sends requests in small batches, so that there is always something under way when something breaks, until there are enough and nothing strikes any more. */
const emit = Effect.fnUntraced(function*({ name, requests, seed }: RoundOptions, isStruck: () => boolean) {
  const producer = yield* KafkaProducer
  const choices = seededChoices(`${seed} requests`)
  const sent: Array<OutgoingRecord> = []
  while (sent.length < requests || isStruck()) {
    const from = sent.length
    while (sent.length < from + BATCH) sent.push(nextRequest(name, sent, choices))
    const batch = sent.slice(from).map((record) => ({ topic: topics.requests, record }))
    yield* producer.send(batch).pipe(Effect.retry(Schedule.spaced("500 millis")))
    yield* Effect.sleep(20 + choices.below(380))
  }
})

/** How much the group has answered: the sum of its offsets. */
const answered = Effect.flatMap(KafkaAdmin, ({ committedOffsets }) => committedOffsets(groupId, topics.requests)).pipe(
  Effect.map((committed) => [...committed.values()].reduce((sum, { offset }) => sum + offset, 0)),
  Effect.retry(Schedule.spaced("1 second"))
)

/** Waits until the group answers requests. Where it does not for long, it is not faults that are missing. */
const untilAtWork = Effect.gen(function*() {
  const before = yield* answered
  while ((yield* answered) <= before) yield* Effect.sleep("200 millis")
}).pipe(Effect.timeoutOption(PATIENCE))

const strike = Effect.fnUntraced(
  function*(laboratory: Laboratory, planned: ReadonlyArray<PlannedFault>, tally: Map<string, number>) {
    for (const { atWork, choices, name, pause } of planned) {
      if (atWork) yield* untilAtWork
      yield* Effect.sleep(pause)
      tally.set(name, (tally.get(name) ?? 0) + 1)
      yield* faults[name]?.strike(laboratory, choices) ?? Effect.void
    }
  }
)

/** Waits until the group has committed everything; fails where nothing moves any more. */
const untilAnswered = Effect.fnUntraced(function*(round: string) {
  const { beginningOffsets, committedOffsets, endOffsets } = yield* KafkaAdmin
  let least = Number.POSITIVE_INFINITY
  let since = yield* Clock.currentTimeMillis
  for (;;) {
    const lag = yield* Effect.all({
      beginning: beginningOffsets(topics.requests),
      end: endOffsets(topics.requests),
      committed: committedOffsets(groupId, topics.requests)
    }).pipe(Effect.map(lagOf), Effect.retry(Schedule.spaced("1 second")))
    if (lag === 0) return
    const now = yield* Clock.currentTimeMillis
    if (lag < least) {
      least = lag
      since = now
    } else if (now - since > Duration.toMillis(PATIENCE)) return yield* new Stalled({ round, unanswered: lag })
    yield* Effect.sleep("200 millis")
  }
})

/** All that Kafka and the API have on record, of these rounds. */
const recordsOf = Effect.fnUntraced(function*(rounds: ReadonlyArray<string>, from: Ends, run: string) {
  const api = yield* OriginRegionsApi
  const server = yield* Api
  const requests = yield* readUpToEnd(topics.requests, from.requests)
  const outcomes = yield* readUpToNow(topics.outcomes, from.outcomes, run)
  const deadLetters = yield* readUpToNow(topics.deadLetters, from.deadLetters, run)
  const zones = rounds.flatMap(zonesOf)
  const changes = yield* Effect.forEach(zones, (zone) => changesOf(server, zone))
  const mappings = yield* Effect.forEach(
    zones,
    (zone) => Effect.retry(api.list(zone), Schedule.spaced("500 millis").pipe(Schedule.upTo({ times: 20 })))
  )
  const records: Records = {
    requests,
    outcomes: outcomes.flatMap(({ value }) => value === null ? [] : Option.toArray(readOutcome(value))),
    deadLetters,
    changes: changes.flat(),
    mappings: new Map(
      mappings.flat().map((mapping) => [mappingKey(mapping.zone_id, mapping.origin_ip), placeOf(mapping)])
    )
  }
  return records
})

/** Sends requests while faults strike, waits for every outcome, and answers what is on record of it. */
export const runRound = Effect.fnUntraced(function*(laboratory: Laboratory, options: RoundOptions) {
  const { name, names, seed, tally } = options
  const from = yield* endsOfTopics
  const planned = planFaults(
    `${seed} faults`,
    options.faults,
    names.flatMap((fault) => faults[fault] === undefined ? [] : [[fault, faults[fault]] as const])
  )
  let struck = true
  const emitting = yield* Effect.forkChild(emit(options, () => struck))
  yield* Effect.forEach(
    Map.groupBy(planned, ({ part }) => part).values(),
    (ofPart) => strike(laboratory, ofPart, tally),
    { concurrency: "unbounded", discard: true }
  )
  struck = false
  yield* Fiber.join(emitting)
  yield* untilAnswered(name)
  return yield* recordsOf([name], from, name)
})

/** All that is on record of these rounds, once nobody writes any more. */
export const wholeRecord = (rounds: ReadonlyArray<string>) => recordsOf(rounds, BEGINNING, "all")
