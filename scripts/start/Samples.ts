import { describeRequest } from "@origin-regions/cli/OutcomeTable"
import { type MappingKey, mappingKey } from "@origin-regions/domain/MappingKey"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Option, Schema } from "effect"

/** What has to come out: always the same, or one code where the address had no mapping before the run and another where it had one. */
const Expectation = Schema.Union([Schema.String, Schema.Struct({ absent: Schema.String, present: Schema.String })])

type Expectation = typeof Expectation.Type

const Expectations = Schema.fromJsonString(Schema.Record(Schema.String, Expectation))

/** What every sample has, the bad ones included; the rest is what they are about. */
const SampleEvent = Schema.fromJsonString(
  Schema.StructWithRest(
    Schema.Struct({ id: Schema.NonEmptyString, data: Schema.optionalKey(Schema.Unknown) }),
    [Schema.Record(Schema.String, Schema.Unknown)]
  )
)

const SampleData = Schema.Struct({
  zone_id: Schema.optionalKey(Schema.Unknown),
  ip: Schema.optionalKey(Schema.Unknown),
  vendor: Schema.optionalKey(Schema.Unknown),
  region: Schema.optionalKey(Schema.Unknown)
})

/** One of the requests that `npm start` sends through the system. */
export interface Sample {
  readonly id: string
  /** The event's JSON. */
  readonly text: string
  /** What it asks for, in words, with zone and address as they are spelled. */
  readonly asked: string
  readonly zoneId: ZoneId | undefined
  readonly key: MappingKey | undefined
  readonly expected: Expectation
}

/** The examples contradict each other, or are none. */
class SamplesUnusable extends Schema.TaggedError<SamplesUnusable>()("SamplesUnusable", {
  problem: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

const unusable = (problem: string) => new SamplesUnusable({ problem })

/** As people write values: text as it is, anything else as JSON. */
const shown = (value: unknown): string | undefined =>
  value === undefined ? undefined : typeof value === "string" ? value : JSON.stringify(value)

const encoder = new TextEncoder()

const readSample = (event: typeof SampleEvent.Type, source: string, expected: Expectation): Sample => {
  const text = JSON.stringify({ ...event, source })
  const { operation, originIp, zoneId } = readRequest({ value: encoder.encode(text), headers: [] })
  const data = Option.getOrElse(
    Schema.decodeUnknownOption(SampleData)(event.data),
    () => ({} as typeof SampleData.Type)
  )
  const vendor = shown(data.vendor)
  return {
    id: event.id,
    text,
    asked: describeRequest({
      operation,
      address: `${shown(data.zone_id) ?? "?"}/${shown(data.ip) ?? "?"}`,
      mapping: vendor === undefined ? undefined : { vendor, region: shown(data.region) ?? "?" }
    }),
    zoneId: zoneId ?? undefined,
    key: zoneId !== null && originIp !== null ? mappingKey(zoneId, originIp) : undefined,
    expected
  }
}

/**
 * Reads the examples: `requests` has one event a line, `outcomes` the expected code of each by its id. Every event gets the `source` of this run, so that
 * a run's outcomes are told from all others.
 */
export const readSamples = Effect.fnUntraced(function*(requests: string, outcomes: string, source: string) {
  const expectations = yield* Effect.mapError(
    Schema.decodeEffect(Expectations)(outcomes),
    ({ message }) => unusable(`examples/outcomes.json is not as it should be: ${message}`)
  )
  const samples = new Map<string, Sample>()
  for (const [index, line] of requests.split("\n").entries()) {
    if (line.trim() === "") continue
    const place = `examples/requests.jsonl:${index + 1}`
    const event = yield* Effect.mapError(
      Schema.decodeEffect(SampleEvent)(line),
      () => unusable(`${place} is not a JSON object with an id.`)
    )
    const expected = expectations[event.id]
    if (samples.has(event.id)) return yield* unusable(`${place}: the id ${event.id} is there already.`)
    if (expected === undefined) {
      return yield* unusable(`${place}: examples/outcomes.json does not say what comes of ${event.id}.`)
    }
    samples.set(event.id, readSample(event, source, expected))
  }
  if (samples.size === 0) return yield* unusable("examples/requests.jsonl has no request.")
  return samples
})

/** The outcome's code that a sample must get, by which addresses had a mapping before the run. */
export const expectedCode = ({ expected, key }: Sample, mapped: ReadonlySet<MappingKey>): string =>
  typeof expected === "string"
    ? expected
    : key !== undefined && mapped.has(key)
    ? expected.present
    : expected.absent
